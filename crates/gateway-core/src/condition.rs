//! How something that never gives up is doing: up or down, since when, what went wrong last. Kept by whoever does the
//! work, read by `health` and by the status.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::Timestamp;
use crate::ports::{AdapterState, Clock};

/// How an adapter (or the embedded broker) is doing, and how it has fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterHealth {
    /// Now.
    pub state: AdapterState,
    /// Since when it is up, or is not. Another reason for being down begins nothing new.
    pub since: Timestamp,
    /// When something went wrong last, and what; stays when it is up again.
    pub last_error: Option<(Timestamp, String)>,
    /// How often it was started again after it had failed.
    pub restarts: u32,
    /// What it counts, by names of its own; empty where it counts nothing.
    pub figures: BTreeMap<String, u64>,
    /// What it follows one by one, such as observed resources, by their addresses.
    pub parts: BTreeMap<Arc<str>, PartHealth>,
    /// Commands that its devices or their broker took since the start.
    pub commands_done: u64,
    /// Those that came to nothing.
    pub commands_failed: u64,
}

/// How it is with one thing that an adapter follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartHealth {
    /// A word of the adapter's.
    pub state: &'static str,
    /// Since when it is so.
    pub since: Timestamp,
    /// When something went wrong last, and what; stays when it works again.
    pub last_error: Option<(Timestamp, String)>,
}

/// Tells how it is doing. Clones tell of the same.
#[derive(Clone)]
pub struct Condition {
    told: watch::Sender<AdapterHealth>,
    clock: Arc<dyn Clock>,
}

impl Condition {
    /// Of something that is starting.
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
        Self { told: watch::Sender::new(health), clock }
    }

    /// It works.
    pub fn up(&self) {
        self.become_now(AdapterState::Up, None);
    }

    /// It does not work, and is tried again; `reason` is for people.
    pub fn down(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.become_now(AdapterState::Down { reason: reason.clone() }, Some(reason));
    }

    /// It works where there are no `problems`, else it does not, because of them. Said again, it is no news.
    pub fn with_problems(&self, problems: &str) {
        let is_known = match &self.told.borrow().state {
            AdapterState::Starting => false,
            AdapterState::Up => problems.is_empty(),
            AdapterState::Down { reason } => reason == problems,
        };
        match is_known {
            true => {}
            false if problems.is_empty() => self.up(),
            false => self.down(problems),
        }
    }

    /// It failed and is being started again. It is up when it says so itself.
    pub fn restarted(&self) {
        self.told.send_modify(|health| health.restarts = health.restarts.saturating_add(1));
    }

    /// What it counts, from now on. Wakes nobody who waits for news.
    pub fn show(&self, figures: BTreeMap<String, u64>) {
        self.told.send_if_modified(|health| {
            health.figures = figures;
            false
        });
    }

    /// Counts a command that was `done`, or came to nothing. Wakes nobody who waits for news.
    pub fn commanded(&self, done: bool) {
        self.told.send_if_modified(|health| {
            let count = if done { &mut health.commands_done } else { &mut health.commands_failed };
            *count = count.saturating_add(1);
            false
        });
    }

    /// A part is in `state` now; `error` is what went wrong, where something did.
    pub fn part(&self, name: &Arc<str>, state: &'static str, error: Option<String>) {
        let now = self.clock.now();
        self.told.send_modify(|health| {
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

    /// What is told, from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<AdapterHealth> {
        self.told.subscribe()
    }

    fn become_now(&self, state: AdapterState, error: Option<String>) {
        let now = self.clock.now();
        self.told.send_modify(|health| {
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
        f.debug_tuple("Condition").field(&*self.told.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    #[test]
    fn the_last_error_stays_with_its_time_and_a_new_reason_begins_nothing_new() {
        let clock = Arc::new(Hand(AtomicI64::new(1)));
        let condition = Condition::new(clock.clone());
        let told = condition.watch();
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
        assert_eq!(*told.borrow(), down);
        at(4);
        condition.restarted();
        condition.up();
        let up =
            AdapterHealth { state: AdapterState::Up, since: Timestamp::from_millis(4), restarts: 1, ..down };
        assert_eq!(*told.borrow(), up);
    }

    #[test]
    fn problems_that_are_said_again_are_no_news() {
        let clock = Arc::new(Hand(AtomicI64::new(1)));
        let condition = Condition::new(clock.clone());
        let mut told = condition.watch();
        let mut is_news = |millis, problems| {
            clock.0.store(millis, Ordering::SeqCst);
            condition.with_problems(problems);
            let is_news = told.has_changed().unwrap();
            let health = told.borrow_and_update();
            (is_news, health.state.clone(), health.last_error.as_ref().map(|(at, _)| at.as_millis()))
        };
        let down = |reason: &str| AdapterState::Down { reason: reason.to_owned() };
        assert_eq!(is_news(2, ""), (true, AdapterState::Up, None));
        assert_eq!(is_news(3, ""), (false, AdapterState::Up, None));
        assert_eq!(is_news(4, "taken"), (true, down("taken"), Some(4)));
        assert_eq!(is_news(5, "taken"), (false, down("taken"), Some(4)));
        assert_eq!(is_news(6, "gone"), (true, down("gone"), Some(6)));
        assert_eq!(is_news(7, ""), (true, AdapterState::Up, Some(6)));
    }

    #[test]
    fn a_part_has_its_own_since_and_last_error() {
        let clock = Arc::new(Hand(AtomicI64::new(1)));
        let condition = Condition::new(clock.clone());
        let (told, url) = (condition.watch(), Arc::from("coap://10.0.0.9/t"));
        let at = |millis| clock.0.store(millis, Ordering::SeqCst);
        condition.part(&url, "starting", None);
        at(2);
        condition.part(&url, "down", Some("no answer".to_owned()));
        at(3);
        condition.part(&url, "observing", None);
        at(4);
        condition.part(&url, "observing", None);
        let part = told.borrow().parts.get(&url).unwrap().clone();
        assert_eq!((part.state, part.since), ("observing", Timestamp::from_millis(3)));
        assert_eq!(part.last_error, Some((Timestamp::from_millis(2), "no answer".to_owned())));
        assert_eq!(told.borrow().state, AdapterState::Starting, "the adapter itself has not said anything");
    }
}
