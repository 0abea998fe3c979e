//! How many lines a second the connections of one address may bring, all together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What may come at once after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When all that has come would have come at the full rate.
    due: Mutex<Instant>,
}

impl Pace {
    /// At most so many lines a second.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        Self { interval, due: Mutex::new(now) }
    }

    /// `lines` have come: how long their connection is to rest now.
    pub(super) fn rest(&self, lines: u64, now: Instant) -> Duration {
        let took = self.interval.saturating_mul(u32::try_from(lines).unwrap_or(u32::MAX));
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = (*due).max(now) + took;
        due.saturating_duration_since(now).saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_faster_than_the_rate_rests_until_it_is_not() {
        let start = Instant::now();
        let pace = Pace::new(1_000, start);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(pace.rest(100, at(0)), Duration::ZERO, "a burst");
        assert_eq!(pace.rest(500, at(0)), Duration::from_millis(500));
        assert_eq!(pace.rest(10, at(600)), Duration::ZERO, "it has rested");
        let steady = (0..50).map(|n| pace.rest(10, at(1_000 + n * 10))).max();
        assert_eq!(steady, Some(Duration::ZERO), "the full rate is allowed for ever");
    }
}
