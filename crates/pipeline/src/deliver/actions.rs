//! What an alert does locally, at once: commands to adapters (`[alerts.*] actions`).
//!
//! This is the one edge that leads back: pipeline -> adapter -> device.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway_core::ports::{Clock as _, Command, Message, Prepare, Target};
use gateway_core::{Alert, AlertState, Condition, DeviceId, Timestamp};
use read_model::{ActionOutcome, ReadModel};
use tokio::sync::{mpsc, oneshot};

use super::encoding::{PrepareQueue, Prepared};
use crate::clock::SystemClock;

/// One command of a rule.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name: `kind.name`.
    pub adapter: String,
    pub message: Message,
}

/// How to command an adapter.
pub struct Commander {
    pub commands: mpsc::Sender<Command>,
    /// Where what became of the commands is counted.
    pub condition: Condition,
}

/// The adapters that run now.
pub type Commanders = Arc<Mutex<BTreeMap<String, Commander>>>;

/// Rule -> its commands.
#[derive(Default)]
pub struct Actions {
    by_rule: BTreeMap<String, Vec<Action>>,
    commanders: Commanders,
    preparing: PrepareQueue,
    /// Where people look at what was done.
    shown: Option<ReadModel>,
}

impl Actions {
    pub fn new(by_rule: BTreeMap<String, Vec<Action>>, commanders: Commanders) -> Self {
        Self { by_rule, commanders, preparing: PrepareQueue::default(), shown: None }
    }

    /// Shows each outcome in the read model.
    #[must_use]
    pub fn showing(self, read_model: ReadModel) -> Self {
        Self { shown: Some(read_model), ..self }
    }

    pub fn reconfigure(&mut self, by_rule: BTreeMap<String, Vec<Action>>) {
        self.by_rule = by_rule;
    }

    /// Sends the commands of an alert that was raised; never waits.
    pub fn run(&self, alert: &Alert) {
        if alert.state != AlertState::Raised {
            return;
        }
        for action in self.by_rule.get(&*alert.rule).into_iter().flatten() {
            let order = Order {
                rule: Arc::clone(&alert.rule),
                device: alert.device,
                since: alert.since,
                shown: self.shown.clone(),
                adapter: action.adapter.clone(),
                commanders: Arc::clone(&self.commanders),
            };
            match &action.message {
                Message::Ready { target, payload } => order.send(target.clone(), payload.clone()),
                Message::Prepared(message) => self.prepare(order, message),
            }
        }
    }

    fn prepare(&self, order: Order, message: &Arc<dyn Prepare>) {
        let refused = order.clone();
        let then = move |prepared: Prepared| match prepared {
            Ok((target, payload)) => order.send(target, payload),
            Err(reason) => order.fail(&reason),
        };
        if !self.preparing.push(message, then) {
            refused.fail("too many commands wait for their codecs");
        }
    }
}

/// A command on its way to its adapter.
#[derive(Clone)]
struct Order {
    rule: Arc<str>,
    device: DeviceId,
    since: Timestamp,
    shown: Option<ReadModel>,
    adapter: String,
    commanders: Commanders,
}

impl Order {
    /// Gives it to the adapter; the outcome is logged and counted.
    fn send(self, target: Target, payload: Bytes) {
        let Some((commands, condition)) = self.commander() else {
            return self.log_failure("no such adapter runs");
        };
        let (done, result) = oneshot::channel();
        let to = target.to_string();
        if commands.try_send(Command { target, payload, done }).is_err() {
            return self.fail("its queue of commands is full");
        }
        tokio::spawn(async move {
            let result = result.await;
            condition.commanded(matches!(result, Ok(Ok(()))));
            self.show(
                &to,
                match &result {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(_) => Some("its adapter stopped".to_owned()),
                },
            );
            let Self { rule, adapter, .. } = self;
            match result {
                Ok(Ok(())) => tracing::info!(%rule, adapter, to, "action taken"),
                Ok(Err(error)) => tracing::error!(%rule, adapter, to, "action failed: {error}"),
                Err(_) => tracing::error!(%rule, adapter, to, "action lost: its adapter stopped"),
            }
        });
    }

    /// It did not get as far as its adapter, for whose device it was.
    fn fail(&self, reason: &str) {
        if let Some((_, condition)) = self.commander() {
            condition.commanded(false);
        }
        self.log_failure(reason);
    }

    fn show(&self, target: &str, error: Option<String>) {
        let Some(shown) = &self.shown else { return };
        shown.actions().add(ActionOutcome {
            rule: Arc::clone(&self.rule),
            device: self.device,
            since: self.since,
            at: SystemClock.now(),
            adapter: self.adapter.clone(),
            target: target.to_owned(),
            error,
        });
    }

    fn log_failure(&self, reason: &str) {
        self.show("", Some(reason.to_owned()));
        tracing::error!(rule = %self.rule, adapter = %self.adapter, "action not sent: {reason}");
    }

    fn commander(&self) -> Option<(mpsc::Sender<Command>, Condition)> {
        let commanders = self.commanders.lock().unwrap_or_else(PoisonError::into_inner);
        commanders.get(&self.adapter).map(|one| (one.commands.clone(), one.condition.clone()))
    }
}
