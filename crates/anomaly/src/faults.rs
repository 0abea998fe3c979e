//! Scores faults of the sensor, not of the building: [`stuck`](super::stuck), [`sentinel`](super::sentinel) and
//! [`noise`](super::noise), as one score.
//!
//! For gauges only. A counter stands still while nothing is consumed and takes any value; a state repeats itself and has no
//! scatter. A gauge that behaves as a counter, or is only on or off, is recognised by its past.
//!
//! All scores are relative to the series' own past, and low in its first week. On ordinary building series (offices, duty
//! cycles, dark nights, coarse sensors) an alarm is rarer than once a month; the tests check that. Time only decides how
//! much was learnt, and a reading received twice counts once.

use gateway_core::{AnomalyKind, Score};
use serde::{Deserialize, Serialize};

use super::direction::Direction;
use super::noise::Noise;
use super::sentinel::Sentinel;
use super::stuck::Stuck;

#[cfg(test)]
mod buildings;
#[cfg(test)]
mod tests;

/// What is known of one gauge, under 300 bytes. Serialise it to keep it over a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Faults {
    last: f64,
    direction: Direction,
    stuck: Stuck,
    sentinel: Sentinel,
    noise: Noise,
}

impl Faults {
    /// Scores a reading by the earlier ones, then learns it. From 0.5 on it is an anomaly.
    /// `value` is finite and at most [`LARGEST`](crate::LARGEST); both times are [`Clock`](crate::clock::Clock)'s.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, age_millis: u64) -> Score {
        let fault = self.judge(value, step_millis, age_millis);
        self.direction.note(self.last, value);
        self.last = value;
        if self.direction.is_up() { Score::NONE } else { fault }
    }

    fn judge(&mut self, value: f64, step_millis: u64, age_millis: u64) -> Score {
        let sentinel = self.sentinel.observe(value, step_millis, age_millis);
        if sentinel >= 1.0 {
            // It is no value of the series: it neither holds still nor scatters.
            return score(sentinel, AnomalyKind::Sentinel, Some(self.sentinel.range()));
        }
        let stuck = self.stuck.observe(value, step_millis, age_millis);
        let noise = self.noise.observe(value, step_millis, age_millis);
        score(stuck, AnomalyKind::Stuck, None).max(score(noise, AnomalyKind::Noise, None))
    }
}

/// `excess` (how many times what is tolerated) to 0..1: 0.5 at 1, 0.8 at 2, 0.9 at 3.
pub(crate) fn score(excess: f64, anomaly_kind: AnomalyKind, expected: Option<(f64, f64)>) -> Score {
    if excess <= 0.0 {
        return Score::NONE;
    }
    Score { value: 1.0 - 1.0 / (1.0 + excess * excess), expected, anomaly_kind: Some(anomaly_kind) }
}
