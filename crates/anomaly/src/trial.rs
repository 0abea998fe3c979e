//! The trial: how long the model only learns from a series before it scores it.

use serde::{Deserialize, Serialize};

/// Samples by default: a day, where a sensor sends at least every five minutes.
const SAMPLES: u32 = 288;
/// The shortest [`Trial::quiet_samples`].
const SHORTEST_QUIET: usize = 50;
/// The fewest that anything can be learnt from.
const FEWEST: u32 = 10;
/// No trial is longer: the Numenta Anomaly Benchmark's bound.
const LONGEST: u32 = 750;

/// The time in which a series is learnt from and not scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Trial {
    /// What suits a gateway, which knows no series' end: 288 samples, and until then a simpler judge after 60 readings
    /// and a day, or ten minutes of what cannot leap.
    #[default]
    Default,
    /// So many readings; of more than 750, those after are learnt from as ever, in silence.
    Readings(u32),
    /// The first 15 % of a series that will have so many readings, at most 750: what the Numenta Anomaly Benchmark
    /// grants.
    OfLength(u64),
}

impl Trial {
    /// How many samples are only learnt from.
    pub(crate) fn samples(self) -> usize {
        let samples = match self {
            Self::Default => SAMPLES,
            Self::Readings(samples) => samples,
            // Multiplying first could overflow.
            Self::OfLength(length) => {
                u32::try_from(length / 100 * 15 + length % 100 * 15 / 100).unwrap_or(LONGEST)
            }
        };
        samples.clamp(FEWEST, LONGEST) as usize
    }

    /// Whether the `readings`-th reading is scored, by the caller's own trial.
    pub(crate) fn is_over(self, readings: u32) -> bool {
        match self {
            Self::Default => true,
            Self::Readings(trial) => readings > trial,
            Self::OfLength(_) => readings as usize > self.samples(),
        }
    }

    /// For so many samples after an anomaly of the ensemble is over it is not reported again.
    pub(crate) fn quiet_samples(self) -> u16 {
        let quiet = (self.samples() / 4).max(SHORTEST_QUIET);
        u16::try_from(quiet).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_by_length_is_fifteen_percent_rounded_down_and_at_most_750() {
        for (length, trial) in [(0, 10), (199, 29), (4032, 604), (5000, 750), (22_695, 750), (u64::MAX, 750)]
        {
            assert_eq!(Trial::OfLength(length).samples(), trial, "{length}");
        }
    }

    #[test]
    fn a_trial_of_so_many_readings_has_its_bounds() {
        assert_eq!([0, 150, 9999].map(|samples| Trial::Readings(samples).samples()), [10, 150, 750]);
    }
}
