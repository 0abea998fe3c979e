//! Who has to be looked at when: one entry per device or zone, the earliest first.

use std::collections::BTreeSet;

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>"))]
pub(crate) struct Deadlines<K>(BTreeSet<(Timestamp, K)>);

impl<K: Ord + Copy> Deadlines<K> {
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// `key` was to be looked at at `old`, now at `new`.
    pub(crate) fn change(&mut self, key: K, old: Option<Timestamp>, new: Option<Timestamp>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.0.remove(&(old, key));
        }
        if let Some(new) = new {
            self.0.insert((new, key));
        }
    }

    pub(crate) fn earliest(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Who is due at `now`, if anyone; stays in the list.
    pub(crate) fn due(&self, now: Timestamp) -> Option<K> {
        self.0.first().filter(|(at, _)| *at <= now).map(|(_, key)| *key)
    }
}
