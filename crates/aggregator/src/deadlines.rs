//! Deadlines in order: one entry per device or zone, the earliest first.

use std::collections::BTreeSet;

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>"))]
pub(crate) struct Deadlines<K> {
    all: BTreeSet<(Timestamp, K)>,
    /// The first of `all`, cached because every reading asks for it.
    earliest: Option<Timestamp>,
}

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) const fn new() -> Self {
        Self { all: BTreeSet::new(), earliest: None }
    }

    /// Moves the deadline of `key` from `old` to `new`.
    pub(crate) fn change(&mut self, key: K, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.all.remove(&(old, key));
        }
        if let Some(new) = new {
            self.all.insert((new, key));
        }
        self.earliest = self.all.first().map(|(at, _)| *at);
    }

    pub(crate) const fn earliest(&self) -> Option<Timestamp> {
        self.earliest
    }

    /// The first key that is due at `now`; it stays in the list.
    pub(crate) fn due(&self, now: Timestamp) -> Option<K> {
        self.all.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }
}
