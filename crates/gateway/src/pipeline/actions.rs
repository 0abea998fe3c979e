//! What an alert does locally, at once: commands to adapters (`[alerts.*] actions`).
//!
//! This is the one edge that leads back: pipeline -> adapter -> device.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway_core::ports::Command;
use gateway_core::{Alert, AlertState};
use tokio::sync::{mpsc, oneshot};

/// One command of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// `mqtt.floor`.
    pub(crate) adapter: String,
    pub(crate) topic: String,
    pub(crate) payload: String,
}

/// The command channels of the adapters that run now.
pub(crate) type Commanders = Arc<Mutex<BTreeMap<String, mpsc::Sender<Command>>>>;

/// Rule -> its commands.
#[derive(Debug, Default)]
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
        let payload = Bytes::from(action.payload.clone());
        let command = Command { topic: action.topic.clone(), payload, done };
        adapter.try_send(command).map_err(|_| "too many commands wait for it")?;
        let (rule, topic) = (Arc::clone(rule), action.topic.clone());
        tokio::spawn(async move {
            match result.await {
                Ok(Ok(())) => tracing::info!(%rule, topic, "action taken by the broker"),
                Ok(Err(error)) => tracing::error!(%rule, topic, "action failed: {error}"),
                Err(_) => tracing::error!(%rule, topic, "action lost: its adapter stopped"),
            }
        });
        Ok(())
    }
}
