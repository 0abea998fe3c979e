//! How long a series is only learnt from before the model may speak of it.

use serde::{Deserialize, Serialize};

/// Readings to learn from before the first word, where nobody says otherwise.
const LEARN_READINGS: u32 = 60;
/// Event time to learn from before the first word, where nobody says otherwise: 10 minutes.
const LEARN_MILLIS: u64 = 600_000;
/// No trial by length is longer than this many readings: the Numenta Anomaly Benchmark's bound.
const LONGEST: u64 = 750;

/// The time in which a series is learnt from and nothing is said of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Trial {
    /// What suits a gateway, which knows no series' end.
    #[default]
    Default,
    /// So many readings, however much time they take.
    Readings(u32),
    /// The first 15 % of a series that will have so many readings, at most 750: what the Numenta Anomaly Benchmark
    /// grants.
    OfLength(u64),
}

impl Trial {
    /// Whether it is over with the reading that is the `readings`-th, when `age_millis` of event time have gone by.
    pub(crate) fn is_over(self, readings: u32, age_millis: u64) -> bool {
        match self {
            Self::Default => readings >= LEARN_READINGS && age_millis >= LEARN_MILLIS,
            Self::Readings(trial) => readings > trial,
            // Multiplying first would overflow; what is lost below a hundred is made up for.
            Self::OfLength(length) => {
                let share = length / 100 * 15 + length % 100 * 15 / 100;
                u64::from(readings) > share.min(LONGEST)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first reading that may be spoken of.
    fn first(trial: Trial) -> u32 {
        (1..=2_000).find(|reading| trial.is_over(*reading, u64::from(*reading) * 60_000)).unwrap()
    }

    #[test]
    fn a_trial_of_so_many_readings_is_over_with_the_next() {
        assert_eq!(first(Trial::Readings(0)), 1);
        assert_eq!(first(Trial::Readings(150)), 151);
    }

    #[test]
    fn a_trial_by_length_is_fifteen_percent_rounded_down_and_at_most_750() {
        for (length, trial) in [(0, 0), (6, 0), (7, 1), (199, 29), (4032, 604), (5000, 750), (22_695, 750)] {
            assert_eq!(first(Trial::OfLength(length)), trial + 1, "{length}");
        }
        assert_eq!(first(Trial::OfLength(u64::MAX)), 751);
    }

    #[test]
    fn the_default_needs_readings_and_time() {
        assert!(!Trial::Default.is_over(59, u64::MAX));
        assert!(!Trial::Default.is_over(u32::MAX, 599_999));
        assert!(Trial::Default.is_over(60, 600_000));
    }
}
