//! A queue of deadlines: each key at most once; a cancelled key is removed at once.

use std::collections::BTreeSet;
use std::time::Instant;

/// Keys in the order in which they are due.
#[derive(Debug)]
pub(super) struct Deadlines<K>(BTreeSet<(Instant, K)>);

impl<K: Ord + Clone> Deadlines<K> {
    pub(super) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    pub(super) fn set(&mut self, at: Instant, key: K) {
        self.0.insert((at, key));
    }

    /// `at` is what it was set to.
    pub(super) fn cancel(&mut self, at: Instant, key: K) {
        self.0.remove(&(at, key));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the first key that is due at `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<K> {
        (self.next()? <= now).then(|| self.0.pop_first().map(|(_, key)| key))?
    }

    /// Takes the first key, due or not.
    pub(super) fn first(&mut self) -> Option<K> {
        self.0.pop_first().map(|(_, key)| key)
    }
}
