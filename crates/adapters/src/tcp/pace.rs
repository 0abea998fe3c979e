//! Limits the lines per second of all connections of one address.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The burst allowed after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When all lines so far would have arrived at the full rate.
    due: Mutex<Instant>,
}

impl Pace {
    /// Allows at most `rate` lines per second.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
        Self { interval, due: Mutex::new(now) }
    }

    /// Takes `lines` received lines, and returns how long their connection must pause.
    pub(super) fn rest(&self, lines: u64, now: Instant) -> Duration {
        let took = self.interval.saturating_mul(u32::try_from(lines).unwrap_or(u32::MAX));
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        *due = (*due).max(now) + took;
        due.saturating_duration_since(now).saturating_sub(BURST)
    }

    /// Whether all lines so far have arrived at the full rate, so that a new pace would allow no more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_above_the_rate_pauses() {
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
