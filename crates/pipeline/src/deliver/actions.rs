//! What an alert does locally, at once: commands to adapters (`[alerts.*] actions`).
//!
//! A command that fails is tried again with growing pauses until its deadline, but never behind a newer one to the same target: a
//! fan that was switched off stays off.
//!
//! This is the one edge that leads back: pipeline -> adapter -> device.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::ports::{Clock as _, Command, CommandError, Message, Prepare, Target};
use gateway_core::{Alert, AlertState, Condition, DeviceId, Timestamp};
use read_model::{ActionOutcome, ReadModel};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::encoding::{PrepareQueue, Prepared};
use super::template::Values;
use crate::clock::SystemClock;
use crate::engine::registry::Registry;

/// One command of a rule.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name: `kind.name`.
    pub adapter: String,
    pub on: On,
    pub message: Message,
    /// How long it is tried again where it fails; zero: not at all.
    pub deadline: Duration,
}

/// When it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Raised,
    Cleared,
    Both,
}

impl On {
    fn includes(self, alert: &Alert) -> bool {
        match alert.state {
            AlertState::Raised => alert.is_new() && self != Self::Cleared,
            AlertState::Cleared => self != Self::Raised,
            AlertState::Acknowledged => false,
        }
    }
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
    newest: Newest,
    /// Where people look at what was done.
    shown: Option<ReadModel>,
}

impl Actions {
    pub fn new(by_rule: BTreeMap<String, Vec<Action>>, commanders: Commanders) -> Self {
        Self {
            by_rule,
            commanders,
            preparing: PrepareQueue::default(),
            newest: Newest::default(),
            shown: None,
        }
    }

    /// Shows each outcome in the read model.
    #[must_use]
    pub fn showing(self, read_model: ReadModel) -> Self {
        Self { shown: Some(read_model), ..self }
    }

    pub fn reconfigure(&mut self, by_rule: BTreeMap<String, Vec<Action>>) {
        self.by_rule = by_rule;
    }

    /// Sends the commands of an alert that was raised or cleared; never waits.
    pub fn run(&self, alert: &Alert, registry: &Registry) {
        let actions = self.by_rule.get(&*alert.rule).into_iter().flatten();
        for action in actions.filter(|action| action.on.includes(alert)) {
            let order = Order {
                rule: Arc::clone(&alert.rule),
                device: alert.device,
                since: alert.since,
                shown: self.shown.clone(),
                adapter: action.adapter.clone(),
                deadline: action.deadline,
                commanders: Arc::clone(&self.commanders),
                newest: self.newest.clone(),
            };
            match &action.message {
                Message::Ready { target, payload } => {
                    let values = Values::of(alert, registry);
                    let target = target.filled(&|text| values.fill_topic(text));
                    let payload = match std::str::from_utf8(payload) {
                        Ok(text) if text.contains('{') => Bytes::from(values.fill_payload(text)),
                        _ => payload.clone(),
                    };
                    order.send(target, payload);
                }
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

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Most targets with commands under way.
const MAX_TARGETS: usize = 1024;

/// Which command to a target is the newest: an older one is not tried again behind it.
#[derive(Debug, Clone, Default)]
struct Newest(Arc<Mutex<HashMap<(String, String), Turns>>>);

/// Of one target.
#[derive(Debug, Default)]
struct Turns {
    last: u64,
    under_way: u32,
}

/// A command's place among those to its target.
struct Turn {
    newest: Newest,
    target: (String, String),
    number: u64,
}

impl Newest {
    /// None where too many are under way.
    fn begin(&self, adapter: &str, target: &str) -> Option<Turn> {
        let target = (adapter.to_owned(), target.to_owned());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_TARGETS && !all.contains_key(&target) {
            return None;
        }
        let turns = all.entry(target.clone()).or_default();
        turns.last += 1;
        turns.under_way += 1;
        Some(Turn { newest: self.clone(), target, number: turns.last })
    }
}

impl Turn {
    fn is_newest(&self) -> bool {
        let all = self.newest.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&self.target).is_none_or(|turns| turns.last == self.number)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self.newest.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(turns) = all.get_mut(&self.target) else { return };
        turns.under_way -= 1;
        if turns.under_way == 0 {
            all.remove(&self.target);
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
    deadline: Duration,
    commanders: Commanders,
    newest: Newest,
}

impl Order {
    /// Gives it to the adapter, again where it fails and may be tried again; the outcome is logged and counted.
    fn send(self, target: Target, payload: Bytes) {
        let to = target.to_string();
        let Some(turn) = self.newest.begin(&self.adapter, &to) else {
            return self.fail("too many commands are under way");
        };
        // At once, and not only when the task runs: commands of one step stay in their order.
        let first = self.command(&target, &payload);
        tokio::spawn(async move {
            let began = Instant::now();
            let mut pause = FIRST_PAUSE;
            let mut result = first;
            let outcome = loop {
                let failed = match result {
                    Ok(done) => match done.await {
                        Ok(Ok(())) => break Ok(()),
                        Ok(Err(error)) if !error.may_be_tried_again() => break Err(error.to_string()),
                        Ok(Err(error)) => error.to_string(),
                        Err(_) => "its adapter stopped".to_owned(),
                    },
                    Err(reason) => reason.to_owned(),
                };
                if began.elapsed() + pause > self.deadline {
                    break Err(failed);
                }
                tracing::warn!(rule = %self.rule, adapter = self.adapter, to, "action failed, tried again in {} s: {failed}", pause.as_secs());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                if !turn.is_newest() {
                    break Err(format!(
                        "given up for a newer one to the same target; it failed before: {failed}"
                    ));
                }
                result = self.command(&target, &payload);
            };
            self.report(&to, outcome);
        });
    }

    /// Hands it to the adapter.
    fn command(
        &self,
        target: &Target,
        payload: &Bytes,
    ) -> Result<oneshot::Receiver<Result<(), CommandError>>, &'static str> {
        let Some((commands, _)) = self.commander() else { return Err("no such adapter runs") };
        let (done, result) = oneshot::channel();
        let command = Command { target: target.clone(), payload: payload.clone(), done };
        commands.try_send(command).map_err(|_| "its queue of commands is full")?;
        Ok(result)
    }

    fn report(self, to: &str, outcome: Result<(), String>) {
        if let Some((_, condition)) = self.commander() {
            condition.commanded(outcome.is_ok());
        }
        self.show(to, outcome.clone().err());
        let Self { rule, adapter, .. } = self;
        match outcome {
            Ok(()) => tracing::info!(%rule, adapter, to, "action taken"),
            Err(error) => tracing::error!(%rule, adapter, to, "action failed: {error}"),
        }
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
