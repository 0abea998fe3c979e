//! Limits log lines that outsiders can cause: the first at once, then at most one a period, each with the number of
//! lines left out before it. So no outsider can fill a disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Timestamp;

/// Lets one line a period through. `T` is the time that its user has: [`Instant`] or [`Timestamp`].
#[derive(Debug)]
pub struct Throttle<T = Instant> {
    period: Duration,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    last: Option<T>,
    left_out: u64,
}

/// A point in time that a [`Throttle`] can compare with an earlier one.
pub trait Elapsed: Copy {
    /// The time from `earlier` until now; `None` where the clock was set back in between.
    fn since(self, earlier: Self) -> Option<Duration>;
}

impl Elapsed for Instant {
    fn since(self, earlier: Self) -> Option<Duration> {
        Some(self.saturating_duration_since(earlier))
    }
}

impl Elapsed for Timestamp {
    fn since(self, earlier: Self) -> Option<Duration> {
        (self >= earlier).then(|| Self::since(self, earlier))
    }
}

impl<T: Elapsed> Throttle<T> {
    /// Lets the first line through, then at most one in each `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Self {
        Self { period, state: Mutex::new(State { last: None, left_out: 0 }) }
    }

    /// `Some(lines left out since the last one)` if a line may be written now. A clock that was set back lets it through.
    pub fn allow(&self, now: T) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.last.and_then(|last| now.since(last));
        if elapsed.is_some_and(|elapsed| elapsed < self.period) {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn lets_one_line_a_period_through_and_counts_the_rest() {
        let throttle = Throttle::new(PERIOD);
        let now = tokio::time::Instant::now().into_std();
        assert_eq!([throttle.allow(now), throttle.allow(now), throttle.allow(now)], [Some(0), None, None]);
        assert_eq!(throttle.allow(now + PERIOD), Some(2));
        assert_eq!(throttle.allow(now + PERIOD + PERIOD), Some(0));
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_silence_the_log() {
        let throttle = Throttle::new(PERIOD);
        let at = Timestamp::from_millis;
        assert_eq!(throttle.allow(at(100_000)), Some(0));
        assert_eq!(throttle.allow(at(109_999)), None);
        assert_eq!(throttle.allow(at(99_999)), Some(1));
        assert_eq!(throttle.allow(at(109_998)), None);
    }
}
