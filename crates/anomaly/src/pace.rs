//! The pace at which a series is judged: one reading in five minutes at most, however often its sensor sends.
//!
//! A sensor that sends every second says little more in five minutes than in one second, and three hundred times as many
//! judgements make three hundred times as many false alarms. What cannot wait five minutes is seen by the judges that look
//! at every reading. It is a reading and not the mean of those between: after a gap there is nothing to take the mean of,
//! and a single reading scatters more than a mean.

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

/// How long ago the sample before was, in milliseconds; none for the first, and where the clock was set back.
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

    /// Whether there are readings that are no samples.
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
