//! What an alert does locally, at once: commands to adapters (`[alerts.*] actions`).
//!
//! This is the one edge that leads back: pipeline -> adapter -> device.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway_core::ports::{Command, Message, Prepare, Target};
use gateway_core::{Alert, AlertState, Condition};
use tokio::sync::{mpsc, oneshot};

use super::encoding::{PrepareQueue, Prepared};

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
}

impl Actions {
    pub fn new(by_rule: BTreeMap<String, Vec<Action>>, commanders: Commanders) -> Self {
        Self { by_rule, commanders, preparing: PrepareQueue::default() }
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
        let Self { rule, adapter, .. } = self;
        tokio::spawn(async move {
            let result = result.await;
            condition.commanded(matches!(result, Ok(Ok(()))));
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

    fn log_failure(&self, reason: &str) {
        tracing::error!(rule = %self.rule, adapter = %self.adapter, "action not sent: {reason}");
    }

    fn commander(&self) -> Option<(mpsc::Sender<Command>, Condition)> {
        let commanders = self.commanders.lock().unwrap_or_else(PoisonError::into_inner);
        commanders.get(&self.adapter).map(|one| (one.commands.clone(), one.condition.clone()))
    }
}
