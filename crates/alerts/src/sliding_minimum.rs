//! The lowest value of the last stretch of time, for `rises_by` (and, of negated values, for `falls_by`).
//!
//! The usual monotonic queue: a value that a later, lower one has overtaken can never be the lowest again. To keep it
//! bounded, of the values of one 128th of the stretch only the lowest is kept; the stretch may thereby look up to a
//! 128th shorter than it is.

use std::collections::VecDeque;
use std::time::Duration;

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

/// Into how many parts the stretch is divided; the queue never holds more than this and two.
const PARTS: i64 = 128;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct SlidingMinimum {
    /// Ascending in time and in value.
    points: VecDeque<(Timestamp, f64)>,
}

impl SlidingMinimum {
    /// Takes `value` in and returns the lowest of the last `within`, itself included. `at` never goes back.
    pub(crate) fn push(&mut self, at: Timestamp, value: f64, within: Duration) -> f64 {
        let oldest = at - within;
        while self.points.front().is_some_and(|(then, _)| *then < oldest) {
            self.points.pop_front();
        }
        while self.points.back().is_some_and(|(_, kept)| *kept >= value) {
            self.points.pop_back();
        }
        let part = (i64::try_from(within.as_millis()).unwrap_or(i64::MAX) / PARTS).max(1);
        let same_part =
            |then: Timestamp| then.as_millis().div_euclid(part) == at.as_millis().div_euclid(part);
        if !self.points.back().is_some_and(|(then, _)| same_part(*then)) {
            self.points.push_back((at, value));
        }
        self.points.front().map_or(value, |(_, lowest)| *lowest)
    }

    /// Begins again: the clock was set back.
    pub(crate) fn clear(&mut self) {
        self.points.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forgets_what_is_older_than_the_stretch() {
        let mut lowest = SlidingMinimum::default();
        let minute = |n: i64| Timestamp::from_millis(n * 60_000);
        let within = Duration::from_secs(600);
        assert_eq!(lowest.push(minute(0), 1.0, within), 1.0);
        assert_eq!(lowest.push(minute(5), 3.0, within), 1.0);
        assert_eq!(lowest.push(minute(10), 4.0, within), 1.0);
        assert_eq!(lowest.push(minute(11), 5.0, within), 3.0);
        assert_eq!(lowest.push(minute(100), 9.0, within), 9.0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_search_over_a_stretch_at_most_a_128th_shorter(
            steps in prop::collection::vec((0..3_000_i64, -100.0..100.0_f64), 1..600),
        ) {
            let within = Duration::from_millis(128_000);
            let mut lowest = SlidingMinimum::default();
            let mut seen: Vec<(i64, f64)> = Vec::new();
            let mut at = 0;
            for (step, value) in steps {
                at += step;
                seen.push((at, value));
                let got = lowest.push(Timestamp::from_millis(at), value, within);
                let search = |millis| seen.iter().filter(|(then, _)| *then >= at - millis).map(|(_, v)| *v).fold(f64::MAX, f64::min);
                prop_assert!(search(128_000) <= got && got <= search(127_000), "{got}");
                prop_assert!(lowest.points.len() <= 130);
            }
        }
    }
}
