//! A queue of deadlines: each key at most once; a cancelled key is removed at once.

use std::collections::BTreeSet;
use std::time::Instant;

/// Keys in the order in which they are due. The caller keeps the time to which each is set.
#[derive(Debug)]
pub(crate) struct Deadlines<K>(BTreeSet<(Instant, K)>);

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    pub(crate) fn set(&mut self, at: Instant, key: K) {
        self.0.insert((at, key));
    }

    /// `at` is the time to which it was set.
    pub(crate) fn cancel(&mut self, at: Instant, key: K) {
        self.0.remove(&(at, key));
    }

    /// Sets the deadline of `key`, which may be set to `at` already, to `new`.
    pub(crate) fn change(&mut self, at: &mut Instant, new: Instant, key: K) {
        self.cancel(*at, key.clone());
        self.set(new, key);
        *at = new;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Removes and returns the first key that is due at `now`.
    pub(crate) fn due(&mut self, now: Instant) -> Option<K> {
        (self.next()? <= now).then(|| self.0.pop_first().map(|(_, key)| key))?
    }

    /// The keys that are due at `now`, in order; they stay in the queue.
    pub(crate) fn all_due(&self, now: Instant) -> Vec<K> {
        self.0.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect()
    }

    /// Removes and returns the first key, due or not.
    pub(crate) fn first(&mut self) -> Option<K> {
        self.0.pop_first().map(|(_, key)| key)
    }
}
