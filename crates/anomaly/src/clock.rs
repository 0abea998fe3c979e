//! The event time of one series: the step from one reading to the next, and the total so far.
//!
//! Silence is not a value, so a gap counts for three hours at most. Late readings are distinguished from a clock set back.

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) const HOUR_MILLIS: u64 = 3_600_000;
pub(crate) const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;
pub(crate) const WEEK_MILLIS: u64 = 7 * DAY_MILLIS;
/// The most that a gap counts, so that silence and a wrong clock neither age a series nor make it forget.
pub(crate) const LONGEST_STEP_MILLIS: u64 = 3 * HOUR_MILLIS;
/// After this many late readings in a row, the device's clock was set back.
const CLOCK_SET_BACK: u8 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Clock {
    newest: Option<Timestamp>,
    /// Late readings in a row.
    behind: u8,
    age_millis: u64,
}

impl Clock {
    /// Event time since the newest reading in milliseconds, or `None` for a late reading, which is not scored.
    pub(crate) fn step(&mut self, at: Timestamp) -> Option<u64> {
        let elapsed = self.newest.map_or(0, |newest| at.millis_after(newest));
        if elapsed < 0 && self.behind < CLOCK_SET_BACK {
            self.behind += 1;
            return None;
        }
        self.behind = 0;
        self.newest = Some(at);
        let step_millis = u64::try_from(elapsed).unwrap_or(0).min(LONGEST_STEP_MILLIS);
        self.age_millis = self.age_millis.saturating_add(step_millis);
        Some(step_millis)
    }

    /// The newest reading's time.
    pub(crate) const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Event time seen, without the gaps.
    pub(crate) const fn age_millis(&self) -> u64 {
        self.age_millis
    }
}

/// How large a part of `life_millis` has gone by, at most all of it.
pub(crate) fn share(step_millis: u64, life_millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "both are exact in f64 for 285,000 years")]
    let share = step_millis as f64 / life_millis as f64;
    share.min(1.0)
}

/// What is left of `known` after a step, where a life makes it 1/e.
pub(crate) fn forget(known: f64, step_millis: u64, life_millis: u64) -> f64 {
    known * (1.0 - share(step_millis, life_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(millis: &[i64]) -> (Vec<Option<u64>>, Clock) {
        let mut clock = Clock::default();
        let steps = millis.iter().map(|at| clock.step(Timestamp::from_millis(*at))).collect();
        (steps, clock)
    }

    #[test]
    fn a_gap_counts_for_three_hours_and_a_straggler_for_nothing() {
        let (steps, clock) = steps(&[0, 60_000, 30_000, i64::MAX]);
        assert_eq!(steps, [Some(0), Some(60_000), None, Some(LONGEST_STEP_MILLIS)]);
        assert_eq!(clock.age_millis(), 60_000 + LONGEST_STEP_MILLIS);
    }

    #[test]
    fn a_clock_that_was_set_back_is_followed_after_sixty_stragglers() {
        let back: Vec<i64> = std::iter::once(1_000_000).chain((0..62).map(|n| n * 1000)).collect();
        let (steps, _) = steps(&back);
        assert!(steps[1..61].iter().all(Option::is_none));
        assert_eq!(steps[61..], [Some(0), Some(1000)]);
    }
}
