//! Which devices could not be trained, and why: logged once, and not tried again at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway_core::Timestamp;

use super::work::Failure;

/// The last attempt of each device, where it failed; at most as many as the history has devices.
#[derive(Debug, Default)]
pub(super) struct Attempts(BTreeMap<Box<str>, Attempt>);

#[derive(Debug)]
struct Attempt {
    at: Timestamp,
    reason: String,
}

impl Attempts {
    /// Notes a failure, and logs it where it is a new one; a device that is not fit for a model is none.
    pub(super) fn failed(&mut self, device: &str, failure: &Failure, now: Timestamp) {
        let reason = gateway_core::chain(failure);
        let known = self.0.get(device).is_some_and(|attempt| attempt.reason == reason);
        if matches!(failure, Failure::Unfit(_)) {
            tracing::debug!(device, "no model: {reason}");
        } else if !known {
            tracing::warn!(
                device,
                "cannot train: {reason}; a model from before stays, it is tried again later"
            );
        }
        self.0.insert(device.into(), Attempt { at: now, reason });
    }

    pub(super) fn succeeded(&mut self, device: &str) {
        self.0.remove(device);
    }

    /// The devices whose last attempt failed less than `again` ago. A clock that stands before it was set since.
    pub(super) fn waiting(&self, now: Timestamp, again: Duration) -> BTreeSet<Box<str>> {
        let waits = |attempt: &Attempt| attempt.at <= now && now.since(attempt.at) < again;
        self.0.iter().filter(|(_, attempt)| waits(attempt)).map(|(device, _)| device.clone()).collect()
    }
}
