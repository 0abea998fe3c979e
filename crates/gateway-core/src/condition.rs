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
        };
        assert_eq!(*told.borrow(), down);
        at(4);
        condition.restarted();
        condition.up();
        let up =
            AdapterHealth { state: AdapterState::Up, since: Timestamp::from_millis(4), restarts: 1, ..down };
        assert_eq!(*told.borrow(), up);
    }
}
