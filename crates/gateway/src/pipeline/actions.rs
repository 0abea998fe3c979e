//! What an alert does locally, at once: commands to adapters (`[alerts.*] actions`).
//!
//! This is the one edge that leads back: pipeline -> adapter -> device.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway_core::ports::{Command, Destination};
use gateway_core::{Alert, AlertState, Condition};
use tokio::sync::{mpsc, oneshot};

/// One command of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// `mqtt.floor`.
    pub(crate) adapter: String,
    pub(crate) to: Destination,
    pub(crate) payload: Bytes,
}

/// How to command an adapter.
pub(crate) struct Commander {
    pub(crate) commands: mpsc::Sender<Command>,
    /// Where what became of the commands is counted.
    pub(crate) condition: Condition,
}

/// The adapters that run now.
pub(crate) type Commanders = Arc<Mutex<BTreeMap<String, Commander>>>;

/// Rule -> its commands.
#[derive(Default)]
pub(crate) struct Actions {
    by_rule: BTreeMap<String, Vec<Action>>,
    commanders: Commanders,
}

impl Actions {
    pub(crate) fn new(by_rule: BTreeMap<String, Vec<Action>>, commanders: Commanders) -> Self {
        Self { by_rule, commanders }
    }

    pub(crate) fn reconfigure(&mut self, by_rule: BTreeMap<String, Vec<Action>>) {
        self.by_rule = by_rule;
    }

    /// Sends the commands of an alert that was raised; never waits.
    pub(crate) fn run(&self, alert: &Alert) {
        if alert.state != AlertState::Raised {
            return;
        }
        for action in self.by_rule.get(&*alert.rule).into_iter().flatten() {
            if let Err(reason) = self.send(action, &alert.rule) {
                tracing::error!(rule = %alert.rule, adapter = %action.adapter, "action not sent: {reason}");
            }
        }
    }

    fn send(&self, action: &Action, rule: &Arc<str>) -> Result<(), &'static str> {
        let commanders = self.commanders.lock().unwrap_or_else(PoisonError::into_inner);
        let adapter = commanders.get(&action.adapter).ok_or("no such adapter runs")?;
        let (done, result) = oneshot::channel();
        let payload = action.payload.clone();
        let condition = adapter.condition.clone();
        if adapter.commands.try_send(Command { to: action.to.clone(), payload, done }).is_err() {
            condition.commanded(false);
            return Err("too many commands wait for it");
        }
        let (rule, adapter, to) = (Arc::clone(rule), action.adapter.clone(), action.to.to_string());
        tokio::spawn(async move {
            let result = result.await;
            condition.commanded(matches!(result, Ok(Ok(()))));
            match result {
                Ok(Ok(())) => tracing::info!(%rule, adapter, to, "action taken"),
                Ok(Err(error)) => tracing::error!(%rule, adapter, to, "action failed: {error}"),
                Err(_) => tracing::error!(%rule, adapter, to, "action lost: its adapter stopped"),
            }
        });
        Ok(())
    }
}
