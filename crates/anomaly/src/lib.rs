//! A light streaming anomaly model for one series: no labels, no settings, one set of parameters for every series.
//!
//! Each reading is compared with what came before it, gets a score in 0..1, and is then learnt, strictly in order:
//! - [`ensemble`](mod@ensemble) scores one sample in five minutes (every reading of a slower sensor) after a trial of 288:
//!   level against the daily and weekly profile, shift, predictor residual, density by time of day, steps, spread;
//! - [`level`](mod@level) scores every reading of faster sensors by its distance from the recent values;
//! - [`faults`](mod@faults) scores every reading for faults of the sensor: stuck, sentinel, noise;
//! - [`suppression`](mod@suppression) decides which anomalies are reported (a score of at least 0.5), and reports each once.
//!
//! It guarantees: finite input gives a finite score in 0..1 and never panics. Time itself is never scored: gaps, silence and
//! irregular sampling are no anomalies. A counter is scored by its rate, without resets. A state is scored
//! by how long it lasts ([`dwell`](mod@dwell)) and not by its values. A series keeps at most 16 KB.

mod bins;
mod calibration;
mod clock;
mod cusum;
mod density;
mod direction;
mod drift;
mod dwell;
mod ensemble;
mod faults;
mod leap;
mod level;
mod markov;
pub mod multivariate;
mod noise;
mod pace;
mod profile;
mod quantity;
mod rate;
mod recent;
mod residual;
mod scale;
mod sentinel;
mod shift;
mod spread;
mod stuck;
mod suppression;
mod symbols;
#[cfg(test)]
mod tests;
mod trial;

use gateway_core::ports::Detector;
use gateway_core::{AnomalyKind, MetricKind, Moment, Score};
use serde::{Deserialize, Serialize};

use clock::{Clock, DAY_MILLIS, WEEK_MILLIS, share};
pub use drift::Peers;
use dwell::Dwell;
use ensemble::{Caution, Ensemble};
use faults::{Faults, score};
use leap::Leap;
use level::Level;
use pace::Pace;
pub use quantity::Quantity;
use rate::Rate;
use suppression::{REPEATED_SCORE, Report, Reports};
pub use trial::Trial;

/// The readings that [`level`](mod@level) learns from before it scores.
const LEARN_READINGS: u32 = 60;
/// After a day of silence the last value is forgotten.
const LONG_SILENCE_MILLIS: i64 = DAY_MILLIS.cast_signed();
/// The changes needed before a change can be an anomaly.
const LEARN_CHANGES: u8 = 20;
/// Larger values are clipped to this, so that no arithmetic can overflow.
pub(crate) const LARGEST: f64 = 1e150;

/// The model of one series (one metric of one device). Serialise it to keep it over a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesModel {
    quantity: Quantity,
    trial: Trial,
    clock: Clock,
    /// The newest value.
    last: f64,
    readings: u32,
    level: Level,
    leap: Leap,
    faults: Faults,
    dwell: Dwell,
    reading_reports: Reports,
    rate: Rate,
    pace: Pace,
    varied: Varied,
    phase: Phase,
    /// The ensemble's score of the newest sample, which holds until the next.
    sample_score: Score,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// The samples of the trial.
    Learning(Vec<(Moment, f64)>),
    Judging(Box<Ensemble>),
}

/// Whether a series ever moves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Varied {
    last: f64,
    changes: u8,
}

impl Varied {
    fn note(&mut self, value: f64) {
        self.changes = self.changes.saturating_add(u8::from(value != self.last));
        self.last = value;
    }

    /// A setpoint that hardly ever moved may move.
    const fn enough(self) -> bool {
        self.changes >= LEARN_CHANGES
    }
}

impl SeriesModel {
    /// The model of a new series.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self::with_trial(quantity, Trial::Default)
    }

    /// The model of a new series with a given trial.
    #[must_use]
    pub fn with_trial(quantity: Quantity, trial: Trial) -> Self {
        Self {
            quantity,
            trial,
            clock: Clock::default(),
            last: 0.0,
            readings: 0,
            level: Level::default(),
            leap: Leap::default(),
            faults: Faults::default(),
            dwell: Dwell::default(),
            reading_reports: Reports::of_readings(),
            rate: Rate::default(),
            pace: Pace::default(),
            varied: Varied::default(),
            phase: Phase::Learning(Vec::new()),
            sample_score: Score::NONE,
        }
    }

    /// Whether enough was learnt for the detectors that look at every reading.
    fn is_learnt(&self) -> bool {
        self.readings >= LEARN_READINGS && self.clock.age_millis() >= self.quantity.learn_millis()
    }

    /// How young a series is: 1 when it is new, 0 when it has known `millis` of event time.
    fn youth(&self, millis: u64) -> f64 {
        share(millis.saturating_sub(self.clock.age_millis()), millis)
    }

    /// How many times more evidence it takes while the ensemble has not seen two weekends.
    fn caution(&self) -> Caution {
        // A caller that gives a series its own trial wants scores that compare with each other over all of it.
        let of_scores = if self.trial == Trial::Default { 1.0 + self.youth(WEEK_MILLIS) } else { 1.0 };
        Caution { of_scores, to_report: 1.0 + 1.5 * self.youth(2 * WEEK_MILLIS) }
    }

    /// Gives the ensemble its sample, if one is complete.
    fn sample(&mut self, moment: Moment, value: f64) {
        let Some(since_last) = self.pace.take(moment.at) else { return };
        let value = match self.quantity.kind {
            MetricKind::Counter => match self.rate.of(value, since_last) {
                Some(rate) => rate,
                None => return,
            },
            MetricKind::Gauge | MetricKind::State => value,
        };
        self.varied.note(value);
        let caution = self.caution();
        match &mut self.phase {
            Phase::Learning(samples) => {
                samples.push((moment, value));
                if samples.len() >= self.trial.samples() {
                    self.phase =
                        Phase::Judging(Box::new(Ensemble::from_trial(samples, self.trial.quiet_samples())));
                }
            }
            Phase::Judging(ensemble) => {
                if since_last.0.is_none_or(|millis| millis > LONG_SILENCE_MILLIS) {
                    ensemble.forget_last();
                }
                let score = ensemble.observe(moment, value, caution, self.level.resolution());
                if self.varied.enough() {
                    self.sample_score = score;
                }
            }
        }
    }

    /// The ensemble's score of the newest sample.
    fn score_sample(&mut self, moment: Moment, value: f64, is_copy: bool) -> Score {
        if !is_copy {
            self.sample(moment, value);
        }
        self.sample_score
    }

    /// The score of the detectors that look at every reading.
    fn score_reading(&mut self, value: f64, step_millis: u64) -> Score {
        let (caution, is_learnt) = (1.0 + 4.0 * self.youth(2 * WEEK_MILLIS), self.is_learnt());
        let level = self.level.observe(value, step_millis, caution);
        let fault = self.faults.observe(value, step_millis, self.clock.age_millis());
        let resolution = self.level.resolution();
        let leap = (self.quantity.cannot_leap())
            .then(|| self.leap.observe(value, step_millis, resolution, caution))
            .map_or(Score::NONE, |leap| score(leap.excess, AnomalyKind::Markov, leap.expected));
        let level = score(level.excess, AnomalyKind::Profile, level.expected);
        let score = match (is_learnt, self.pace.is_quick()) {
            (false, _) => fault,
            (true, true) => stronger(fault, level),
            (true, false) => stronger(fault, leap),
        };
        let odds = score.value / (1.0 - score.value).max(f64::MIN_POSITIVE);
        match self.reading_reports.add(score.anomaly_kind, odds) {
            Report::Repeated => Score { value: REPEATED_SCORE, ..score },
            Report::New | Report::Weak => score,
        }
    }
}

/// The stronger of two. A value of a broken sensor keeps that name even if the other is stronger: 85 °C is no heat.
fn stronger(reading: Score, other: Score) -> Score {
    let stronger = reading.max(other);
    match reading.anomaly_kind {
        Some(AnomalyKind::Sentinel) => Score { value: stronger.value, ..reading },
        _ => stronger,
    }
}

impl Detector for SeriesModel {
    /// Readings older than the newest seen are neither scored nor learnt, unless so many come in a row that the clock
    /// must have been set back.
    fn observe(&mut self, moment: Moment, value: f64) -> Score {
        if !value.is_finite() {
            return Score::NONE;
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let is_copy = self.clock.newest() == Some(moment.at) && self.last == value;
        let Some(step_millis) = self.clock.step(moment.at) else { return Score::NONE };
        self.last = value;
        self.readings = self.readings.saturating_add(u32::from(!is_copy));
        let score = match self.quantity.kind {
            MetricKind::State => self.dwell.observe(moment, value, step_millis, self.clock.age_millis()),
            MetricKind::Counter => self.score_sample(moment, value, is_copy),
            MetricKind::Gauge => {
                let sample = self.score_sample(moment, value, is_copy);
                stronger(self.score_reading(value, step_millis), sample)
            }
        };
        if self.trial.is_over(self.readings) { score } else { Score::NONE }
    }
}
