//! Level: the distance of a value from the recent values (spikes, sentinels, sudden shifts).
//!
//! A fast level follows the series, and a spread measures how well. Both learn a clipped residual, so that one outlier does
//! not distort them, while a ramp is followed and a lasting new level is learnt within [`RELEARN_AFTER`] readings. A value
//! is an anomaly only if it exceeds the series' record (its largest excursion so far, slowly forgotten) by half, so that a
//! daily excursion alarms once.

use serde::{Deserialize, Serialize};

/// Rate of the level: it follows within about 5 readings.
const LEVEL_RATE: f64 = 0.2;
/// Rate of the spread: it follows within about 50 readings.
const SPREAD_RATE: f64 = 0.02;
/// Standard deviation over mean absolute deviation of a Gaussian, sqrt(pi/2).
const GAUSSIAN: f64 = 1.253_314_137_315_500_3;
/// Standard deviations that are tolerated. A Gaussian goes beyond 4.8 once in a year of minutes; the rest is for tails
/// that are longer and for what the spread itself does not know.
const TOLERATED: f64 = 7.0;
/// No residual teaches more than this many standard deviations.
const CLIP: f64 = 5.0;
/// From here on a value belongs to an excursion, whose peak may become the record.
const EXCURSION: f64 = 3.0;
/// The factor by which an excursion must exceed the record to be an anomaly.
const BEAT_RECORD: f64 = 1.5;
/// The record halves in about 10 days of event time.
const RECORD_LIFE_MILLIS: f64 = 14.0 * 86_400_000.0;
/// After this many anomalies in a row, the new level is normal.
const RELEARN_AFTER: u32 = 60;
/// The changes needed before a distance counts: a setpoint that never moved may move.
const LEARN_CHANGES: u32 = 20;
/// Readings until residuals are clipped: before, the spread is not known well enough to clip by.
const UNCLIPPED: u32 = 20;
/// Rounding noise of values, relative to the level.
const ROUNDING: f64 = 1e-9;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Level {
    readings: u32,
    changes: u32,
    anomalies_in_a_row: u32,
    last: f64,
    level: f64,
    /// Mean absolute residual.
    spread: f64,
    /// Smallest change of value seen, 0 for none: the sensor's resolution, where it has one.
    quantum: f64,
    /// Largest residual of the excursion under way, 0 outside of one.
    peak: f64,
    /// Largest residual of the excursions that are over.
    record: f64,
}

/// The result for a value.
pub(crate) struct Verdict {
    /// The distance relative to the tolerated one; from 1 on an anomaly.
    pub(crate) excess: f64,
    /// The tolerated values, once there is an idea of them.
    pub(crate) expected: Option<(f64, f64)>,
}

impl Level {
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, caution: f64) -> Verdict {
        if self.readings == 0 {
            self.readings = 1;
            (self.last, self.level) = (value, value);
            return Verdict { excess: 0.0, expected: None };
        }
        self.readings = self.readings.saturating_add(1);
        self.note_change(value);
        #[expect(clippy::cast_precision_loss, reason = "at most an hour of milliseconds")]
        let forgotten = step_millis as f64 / RECORD_LIFE_MILLIS;
        self.record -= self.record * forgotten;

        let sigma = self.sigma();
        let residual = value - self.level;
        let verdict = self.judge(residual, sigma, caution);
        self.note_excursion(residual.abs(), sigma);
        self.learn(value, residual, sigma, verdict.excess >= 1.0);
        verdict
    }

    /// The smallest change of value seen.
    pub(crate) const fn resolution(&self) -> f64 {
        self.quantum
    }

    fn note_change(&mut self, value: f64) {
        let change = (value - self.last).abs();
        self.last = value;
        if change > 0.0 {
            self.changes = self.changes.saturating_add(1);
            self.quantum = if self.quantum > 0.0 { self.quantum.min(change) } else { change };
        }
    }

    /// The standard deviation to measure by. Never below the resolution, nor so small that what the series did before
    /// would be an anomaly today.
    fn sigma(&self) -> f64 {
        (self.spread * GAUSSIAN)
            .max(self.quantum)
            .max(self.record * (BEAT_RECORD / TOLERATED))
            .max(self.level.abs() * ROUNDING)
    }

    fn judge(&self, residual: f64, sigma: f64, caution: f64) -> Verdict {
        if self.changes < LEARN_CHANGES || sigma <= 0.0 {
            return Verdict { excess: 0.0, expected: None };
        }
        let tolerated = TOLERATED * sigma * caution;
        Verdict {
            excess: residual.abs() / tolerated,
            expected: Some((self.level - tolerated, self.level + tolerated)),
        }
    }

    /// An excursion becomes the record only when it is over, so that a lasting one stays an anomaly while it lasts.
    fn note_excursion(&mut self, distance: f64, sigma: f64) {
        if self.readings <= UNCLIPPED {
            return;
        }
        if distance >= EXCURSION * sigma {
            self.peak = self.peak.max(distance);
        } else {
            self.record = self.record.max(self.peak);
            self.peak = 0.0;
        }
    }

    fn learn(&mut self, value: f64, residual: f64, sigma: f64, is_anomaly: bool) {
        self.anomalies_in_a_row = if is_anomaly { self.anomalies_in_a_row.saturating_add(1) } else { 0 };
        if self.anomalies_in_a_row >= RELEARN_AFTER {
            self.anomalies_in_a_row = 0;
            self.record = self.record.max(self.peak);
            self.peak = 0.0;
            self.level = value;
            return;
        }
        let clip = if self.readings <= UNCLIPPED || sigma <= 0.0 { f64::INFINITY } else { CLIP * sigma };
        let taught = residual.clamp(-clip, clip);
        let young = 1.0 / f64::from(self.readings);
        self.level += LEVEL_RATE.max(young) * taught;
        self.spread += SPREAD_RATE.max(young) * (taught.abs() - self.spread);
    }
}
