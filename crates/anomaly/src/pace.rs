//! The sampling of a series for the ensemble: at most one reading in five minutes, at any rate of its sensor.
//!
//! Readings within five minutes contain little more information than one, and three hundred times as many scores make three
//! hundred times as many false alarms. Other detectors score every reading, for anomalies that cannot wait. A sample is a
//! reading and not the mean of several, because after a gap there are none, and a single reading scatters more than a mean.

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

/// A little under five minutes, for sensors that send every five minutes more or less.
const LEAST_MILLIS: i64 = 270_000;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Pace {
    newest: Option<Timestamp>,
    /// Readings since the last sample.
    between: u32,
    quick: bool,
}

/// The time since the previous sample in milliseconds; `None` for the first one, and if the clock was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SinceLast(pub(crate) Option<i64>);

impl Pace {
    /// Whether the reading of `at` is a sample.
    pub(crate) fn take(&mut self, at: Timestamp) -> Option<SinceLast> {
        let since_last = self.newest.map(|newest| at.millis_after(newest)).filter(|millis| *millis >= 0);
        if since_last.is_some_and(|millis| millis < LEAST_MILLIS) {
            self.between = self.between.saturating_add(1);
            return None;
        }
        self.quick = self.between > 0;
        (self.newest, self.between) = (Some(at), 0);
        Some(SinceLast(since_last))
    }

    /// Whether some readings are not samples.
    pub(crate) const fn is_quick(&self) -> bool {
        self.quick || self.between > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(step_seconds: i64, readings: i64) -> (usize, bool) {
        let mut pace = Pace::default();
        let at = |n| Timestamp::from_millis(n * step_seconds * 1000);
        let samples = (0..readings).filter_map(|n| pace.take(at(n))).count();
        (samples, pace.is_quick())
    }

    #[test]
    fn every_reading_of_a_slow_sensor_is_a_sample() {
        assert_eq!(samples(290, 50), (50, false));
    }

    #[test]
    fn a_quick_sensor_has_one_in_five_minutes() {
        assert_eq!(samples(60, 100), (20, true));
        assert_eq!(samples(1, 3_000), (12, true));
    }
}
