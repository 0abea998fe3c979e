//! Residual: the prediction error of a value, relative to the usual error at this time of the day.
//!
//! Several simple predictors are combined; a predictor with smaller recent errors has a larger weight.

use gateway_core::Moment;
use serde::{Deserialize, Serialize};

use crate::bins::{Mean, Means};
use crate::cusum::Cusum;
use crate::recent::Recent;

const EXPERTS: usize = 7;
/// At which rate errors are remembered.
const ERRORS: f32 = 0.005;
/// The weight of a predictor is its error to the power of −4.
const SELECTIVE: i32 = -4;
/// Samples until the errors mean something.
const WARM_UP: u32 = 30;
const LARGEST: f64 = 1e4;
const SMALLEST_ERROR: f64 = 1e-9;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Residual {
    samples: u32,
    last: f64,
    before_last: f64,
    /// What was foreseen of the newest value.
    foreseen: f64,
    /// Over the last 5, 30 and as many samples as the trial had.
    levels: [Mean; 3],
    day: Means,
    week: Means,
    errors: [Mean; EXPERTS],
    /// Of the predictors together.
    error: Mean,
    error_by_time: Means,
    recent: Recent,
    cusum: Cusum,
}

impl Residual {
    pub(crate) fn new(trial: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 750")]
        let slow = 1.0 / trial.max(30) as f32;
        Self {
            samples: 0,
            last: 0.0,
            before_last: 0.0,
            foreseen: 0.0,
            levels: [Mean::new(1.0 / 5.0), Mean::new(1.0 / 30.0), Mean::new(slow)],
            day: Means::new(48, 0.03),
            week: Means::new(168, 0.05),
            errors: [Mean::new(ERRORS); EXPERTS],
            error: Mean::new(ERRORS),
            error_by_time: Means::new(48, 0.03),
            recent: Recent::new(5),
            cusum: Cusum::default(),
        }
    }

    /// The mean of the last 5 residuals, and the cumulated sum.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64) -> [f64; 2] {
        let experts = self.experts(moment);
        self.foreseen = if self.samples == 0 { value } else { self.combine(&experts) };
        let signed = value - self.foreseen;
        let residual = signed.abs();
        let half_hour = moment.slot_of_day(48);
        let general = self.error.get();
        let scale = self.error_by_time.get(half_hour, 4).unwrap_or(general).max(general / 4.0);
        let ratio =
            if self.samples < WARM_UP { 0.0 } else { (residual / scale.max(SMALLEST_ERROR)).min(LARGEST) };
        self.recent.push(ratio);
        let cusum = self.cusum.observe(ratio.copysign(signed));

        if self.samples > 0 {
            for (error, expert) in self.errors.iter_mut().zip(experts) {
                if let Some(prediction) = expert {
                    error.learn((value - prediction).abs());
                }
            }
            self.error.learn(residual);
            self.error_by_time.learn(half_hour, residual);
        }
        self.levels.iter_mut().for_each(|level| level.learn(value));
        self.day.learn(half_hour, value);
        self.week.learn(moment.hour_of_week(), value);
        (self.before_last, self.last) = (self.last, value);
        self.samples = self.samples.saturating_add(1);
        [self.recent.mean(), cusum]
    }

    /// What was foreseen of the newest value, and how far off that usually is.
    pub(crate) fn foreseen(&self) -> (f64, f64) {
        (self.foreseen, self.error.get())
    }

    fn experts(&self, moment: Moment) -> [Option<f64>; EXPERTS] {
        let [quick, middle, slow] = self.levels;
        let half_step = if self.samples > 1 { 0.5 * (self.last - self.before_last) } else { 0.0 };
        [
            Some(self.last),
            Some(quick.get()),
            Some(middle.get()),
            Some(slow.get()),
            self.day.get(moment.slot_of_day(48), 1),
            self.week.get(moment.hour_of_week(), 1),
            Some(self.last + half_step),
        ]
    }

    fn combine(&self, experts: &[Option<f64>; EXPERTS]) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (expert, error) in experts.iter().zip(&self.errors) {
            let Some(prediction) = expert else { continue };
            let weight = error.get().max(SMALLEST_ERROR).powi(SELECTIVE);
            sum += weight * prediction;
            weights += weight;
        }
        sum / weights
    }
}

#[cfg(test)]
mod tests;
