//! A light streaming anomaly model for one series: no labels, no settings, one set of parameters for every series.
//!
//! Each reading is judged by what came before it and then learnt, strictly in order:
//! - [`ensemble`](mod@ensemble) looks at one sample in five minutes (at every reading of a slower sensor) and speaks
//!   after a trial of 288: level against the daily and weekly profile, shift, predictor residual, density by time of
//!   day, steps, spread;
//! - [`level`](mod@level) looks at every reading of quicker sensors: far from where the series is;
//! - [`faults`](mod@faults) looks at every reading for what broken sensors do: stuck, sentinel, noise.
//!
//! The score is the largest of theirs in 0..1, with 0.5 where somebody should look. What it promises: finite input gives
//! a finite score in 0..1 and never panics; time itself is never scored, so gaps, silence and irregular sampling are
//! not odd; a counter is judged by its rate, of which a reset is no part; a state by how long it lasts
//! ([`dwell`](mod@dwell)) and nothing else, for its values are all ordinary; a series keeps at most 16 KB.

mod bins;
mod calibration;
mod clock;
mod cusum;
mod decision;
mod density;
mod direction;
mod drift;
mod dwell;
mod ensemble;
mod faults;
mod gate;
mod leap;
mod level;
mod markov;
pub mod multivariate;
mod noise;
mod onset;
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
use onset::Onset;
use pace::Pace;
pub use quantity::Quantity;
use rate::Rate;
pub use trial::Trial;

/// Readings to learn from before [`level`](mod@level) may speak.
const LEARN_READINGS: u32 = 60;
/// After a day of silence nothing is known of the last value any more.
const LONG_SILENCE_MILLIS: i64 = DAY_MILLIS.cast_signed();
/// Changes to have seen before a change can be odd.
const LEARN_CHANGES: u8 = 20;
/// Values beyond this are judged as this, so that no arithmetic inside can overflow.
pub(crate) const LARGEST: f64 = 1e150;

/// What is known of one series (one metric of one device). Serialise it to keep it over a restart.
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
    onset: Onset,
    rate: Rate,
    pace: Pace,
    varied: Varied,
    phase: Phase,
    /// The ensemble's word on the newest sample, which stands until the next.
    said: Score,
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
    /// A series of which nothing is known yet.
    #[must_use]
    pub fn new(quantity: Quantity) -> Self {
        Self::with_trial(quantity, Trial::Default)
    }

    /// A series of which the caller knows how long it should only be learnt from.
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
            onset: Onset::default(),
            rate: Rate::default(),
            pace: Pace::default(),
            varied: Varied::default(),
            phase: Phase::Learning(Vec::new()),
            said: Score::NONE,
        }
    }

    /// Whether the judges of single readings may speak.
    fn speaks(&self) -> bool {
        self.readings >= LEARN_READINGS && self.clock.age_millis() >= self.quantity.learn_millis()
    }

    /// How young a series is: 1 when it is new, 0 when it has known `millis` of event time.
    fn youth(&self, millis: u64) -> f64 {
        share(millis.saturating_sub(self.clock.age_millis()), millis)
    }

    /// How many times more it takes while the ensemble has not known two weekends.
    fn caution(&self) -> Caution {
        // A caller that gives a series its own trial wants scores that compare with each other over all of it.
        let of_scores = if self.trial == Trial::Default { 1.0 + self.youth(WEEK_MILLIS) } else { 1.0 };
        Caution { of_scores, to_speak: 1.0 + 1.5 * self.youth(2 * WEEK_MILLIS) }
    }

    /// Gives the ensemble its sample, where one is complete.
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
                    self.phase = Phase::Judging(Box::new(Ensemble::from_trial(samples, self.trial.rest())));
                }
            }
            Phase::Judging(ensemble) => {
                if since_last.0.is_none_or(|millis| millis > LONG_SILENCE_MILLIS) {
                    ensemble.forget_last();
                }
                let score = ensemble.observe(moment, value, caution, self.level.resolution());
                if self.varied.enough() {
                    self.said = score;
                }
            }
        }
    }

    /// What the ensemble says of the newest sample.
    fn judge_sample(&mut self, moment: Moment, value: f64, is_copy: bool) -> Score {
        if !is_copy {
            self.sample(moment, value);
        }
        self.said
    }

    /// What the judges of single readings say.
    fn judge_reading(&mut self, value: f64, step_millis: u64) -> Score {
        let (caution, speaks) = (1.0 + 4.0 * self.youth(2 * WEEK_MILLIS), self.speaks());
        let level = self.level.observe(value, step_millis, caution);
        let fault = self.faults.observe(value, step_millis, self.clock.age_millis());
        let resolution = self.level.resolution();
        let leap = (self.quantity.cannot_leap())
            .then(|| self.leap.observe(value, step_millis, resolution, caution))
            .map_or(Score::NONE, |leap| score(leap.excess, AnomalyKind::Markov, leap.expected));
        let level = score(level.excess, AnomalyKind::Profile, level.expected);
        self.onset.of(match (speaks, self.pace.is_quick()) {
            (false, _) => fault,
            (true, true) => odder(fault, level),
            (true, false) => odder(fault, leap),
        })
    }
}

/// The odder of two. What only broken sensors show is named so, however odd it is otherwise: a spike to 85 °C is no heat.
fn odder(reading: Score, other: Score) -> Score {
    let odder = reading.max(other);
    match reading.anomaly_kind {
        Some(AnomalyKind::Sentinel) => Score { value: odder.value, ..reading },
        _ => odder,
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
            MetricKind::Counter => self.judge_sample(moment, value, is_copy),
            MetricKind::Gauge => {
                let said = self.judge_sample(moment, value, is_copy);
                odder(self.judge_reading(value, step_millis), said)
            }
        };
        if self.trial.is_over(self.readings) { score } else { Score::NONE }
    }
}
