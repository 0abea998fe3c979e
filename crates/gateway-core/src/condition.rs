//! The state of a part that retries for ever, such as an adapter: up or down, since when, and the last error. The part
//! reports it; `health` and the status show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Timestamp;
use crate::ports::{AdapterState, Clock};

/// The health of an adapter or of the embedded broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterHealth {
    /// The current state.
    pub state: AdapterState,
    /// Since when it is up or down. A new reason for being down does not change it.
    pub since: Timestamp,
    /// Time and text of the last error; stays when it is up again.
    pub last_error: Option<(Timestamp, String)>,
    /// How often it was restarted after a failure.
    pub restarts: u32,
    /// Its counters by name; may be empty.
    pub figures: BTreeMap<String, u64>,
    /// Its parts, such as observed resources, by address.
    pub parts: BTreeMap<Arc<str>, PartHealth>,
    /// Commands that its devices or their broker accepted since the start.
    pub commands_done: u64,
    /// Commands that failed since the start.
    pub commands_failed: u64,
}

/// The health of one part of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHealth {
    /// A word that the adapter chooses.
    pub state: &'static str,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Time and text of the last error; stays when it works again.
    pub last_error: Option<(Timestamp, String)>,
}

/// Reports the health of one adapter. Clones report about the same one.
#[derive(Clone)]
pub struct Condition {
    sender: watch::Sender<AdapterHealth>,
    clock: Arc<dyn Clock>,
}

impl Condition {
    /// The state is `Starting`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let health = AdapterHealth {
            state: AdapterState::Starting,
            since: clock.now(),
            last_error: None,
            restarts: 0,
            figures: BTreeMap::new(),
            parts: BTreeMap::new(),
            commands_done: 0,
            commands_failed: 0,
        };
        Self { sender: watch::Sender::new(health), clock }
    }

    /// It works.
    pub fn up(&self) {
        self.set_state(AdapterState::Up, None);
    }

    /// It does not work, and is tried again; `reason` is for people.
    pub fn down(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.set_state(AdapterState::Down { reason: reason.clone() }, Some(reason));
    }

    /// Up if `problems` is empty, otherwise down because of them. Does not notify watchers if nothing has changed.
    pub fn with_problems(&self, problems: &str) {
        let is_unchanged = match &self.sender.borrow().state {
            AdapterState::Starting => false,
            AdapterState::Up => problems.is_empty(),
            AdapterState::Down { reason } => reason == problems,
        };
        match is_unchanged {
            true => {}
            false if problems.is_empty() => self.up(),
            false => self.down(problems),
        }
    }

    /// Counts a restart after a failure. The state stays until it is reported.
    pub fn restarted(&self) {
        self.sender.send_modify(|health| health.restarts = health.restarts.saturating_add(1));
    }

    /// Replaces the counters. Does not notify watchers.
    pub fn show(&self, figures: BTreeMap<String, u64>) {
        self.sender.send_if_modified(|health| {
            health.figures = figures;
            false
        });
    }

    /// Counts a command as `done` or failed. Does not notify watchers.
    pub fn commanded(&self, done: bool) {
        self.sender.send_if_modified(|health| {
            let count = if done { &mut health.commands_done } else { &mut health.commands_failed };
            *count = count.saturating_add(1);
            false
        });
    }

    /// Sets the state of a part; `error` is its last error, if there is one.
    pub fn part(&self, name: &Arc<str>, state: &'static str, error: Option<String>) {
        let now = self.clock.now();
        self.sender.send_modify(|health| {
            let begun = PartHealth { state, since: now, last_error: None };
            let part = health.parts.entry(Arc::clone(name)).or_insert(begun);
            if part.state != state {
                (part.state, part.since) = (state, now);
            }
            if let Some(error) = error {
                part.last_error = Some((now, error));
            }
        });
    }

    /// The health and its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<AdapterHealth> {
        self.sender.subscribe()
    }

    fn set_state(&self, state: AdapterState, error: Option<String>) {
        let now = self.clock.now();
        self.sender.send_modify(|health| {
            if std::mem::discriminant(&health.state) != std::mem::discriminant(&state) {
                health.since = now;
            }
            health.state = state;
            if let Some(error) = error {
                health.last_error = Some((now, error));
            }
        });
    }
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Condition").field(&*self.sender.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct TestClock(AtomicI64);

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn the_last_error_stays_and_a_new_reason_does_not_change_since() {
        let clock = Arc::new(TestClock(AtomicI64::new(1)));
        let condition = Condition::new(clock.clone());
        let watched = condition.watch();
        let at = |millis| clock.0.store(millis, Ordering::SeqCst);
        at(2);
        condition.down("cable out");
        at(3);
        condition.down("still out");
        let down = AdapterHealth {
            state: AdapterState::Down { reason: "still out".to_owned() },
            since: Timestamp::from_millis(2),
            last_error: Some((Timestamp::from_millis(3), "still out".to_owned())),
            restarts: 0,
            figures: BTreeMap::new(),
            parts: BTreeMap::new(),
            commands_done: 0,
            commands_failed: 0,
        };
        assert_eq!(*watched.borrow(), down);
        at(4);
        condition.restarted();
        condition.up();
        let up =
            AdapterHealth { state: AdapterState::Up, since: Timestamp::from_millis(4), restarts: 1, ..down };
        assert_eq!(*watched.borrow(), up);
    }

    #[test]
    fn repeated_problems_do_not_notify() {
        let clock = Arc::new(TestClock(AtomicI64::new(1)));
        let condition = Condition::new(clock.clone());
        let mut watched = condition.watch();
        let mut changed = |millis, problems| {
            clock.0.store(millis, Ordering::SeqCst);
            condition.with_problems(problems);
            let changed = watched.has_changed().unwrap();
            let health = watched.borrow_and_update();
            (changed, health.state.clone(), health.last_error.as_ref().map(|(at, _)| at.as_millis()))
        };
        let down = |reason: &str| AdapterState::Down { reason: reason.to_owned() };
        assert_eq!(changed(2, ""), (true, AdapterState::Up, None));
        assert_eq!(changed(3, ""), (false, AdapterState::Up, None));
        assert_eq!(changed(4, "taken"), (true, down("taken"), Some(4)));
        assert_eq!(changed(5, "taken"), (false, down("taken"), Some(4)));
        assert_eq!(changed(6, "gone"), (true, down("gone"), Some(6)));
        assert_eq!(changed(7, ""), (true, AdapterState::Up, Some(6)));
    }

    #[test]
    fn a_part_has_its_own_since_and_last_error() {
        let clock = Arc::new(TestClock(AtomicI64::new(1)));
        let condition = Condition::new(clock.clone());
        let (watched, url) = (condition.watch(), Arc::from("coap://10.0.0.9/t"));
        let at = |millis| clock.0.store(millis, Ordering::SeqCst);
        condition.part(&url, "starting", None);
        at(2);
        condition.part(&url, "down", Some("no answer".to_owned()));
        at(3);
        condition.part(&url, "observing", None);
        at(4);
        condition.part(&url, "observing", None);
        let part = watched.borrow().parts.get(&url).unwrap().clone();
        assert_eq!((part.state, part.since), ("observing", Timestamp::from_millis(3)));
        assert_eq!(part.last_error, Some((Timestamp::from_millis(2), "no answer".to_owned())));
        assert_eq!(
            watched.borrow().state,
            AdapterState::Starting,
            "the adapter itself has not said anything"
        );
    }
}
