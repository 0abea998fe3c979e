//! Windows of time, aligned to the Unix epoch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A half-open stretch of event time: `start <= t < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First instant inside; a multiple of the hop since the epoch.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Window {
    /// The windows of `length` that start at multiples of `every` and contain `at`, the oldest first.
    /// `every` below a millisecond is taken as a millisecond; where it is longer than `length` there may be none.
    pub fn containing(at: Timestamp, length: Duration, every: Duration) -> impl Iterator<Item = Self> {
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
        let length_millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let at = at.as_millis();
        let newest = at.saturating_sub(at.rem_euclid(every));
        let older = (length_millis.saturating_sub(1).saturating_sub(at.saturating_sub(newest))) / every;
        (0..=older.max(-1))
            .rev()
            .map(move |hops| {
                let start = Timestamp::from_millis(newest.saturating_sub(hops.saturating_mul(every)));
                Self { start, end: start + length }
            })
            .filter(move |window| at < window.end.as_millis())
    }

    /// End minus start.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.end.since(self.start)
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(at: i64, length: u64, every: u64) -> Vec<i64> {
        Window::containing(
            Timestamp::from_millis(at),
            Duration::from_millis(length),
            Duration::from_millis(every),
        )
        .map(|w| w.start.as_millis())
        .collect()
    }

    #[test]
    fn tumbling_windows_contain_each_instant_once() {
        assert_eq!(starts(0, 10, 10), [0]);
        assert_eq!(starts(9, 10, 10), [0]);
        assert_eq!(starts(10, 10, 10), [10]);
        assert_eq!(starts(-1, 10, 10), [-10]);
    }

    #[test]
    fn hopping_windows_overlap() {
        assert_eq!(starts(25, 20, 10), [10, 20]);
        assert_eq!(starts(20, 20, 10), [10, 20]);
        assert_eq!(starts(29, 25, 10), [10, 20]);
        assert_eq!(starts(21, 25, 10), [0, 10, 20]);
    }

    #[test]
    fn gaps_between_windows_belong_to_none() {
        assert_eq!(starts(3, 5, 10), [0]);
        assert!(starts(7, 5, 10).is_empty());
    }
}
