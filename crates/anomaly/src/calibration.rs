//! Makes the statistics of all detectors comparable: how strong is this one among the strongest that were ever seen?
//!
//! Raw statistics differ by orders of magnitude between series. Their ranks do not: 1 is "as strong as the strongest so
//! far", 1/10 is "nine were stronger", and what surpasses the record is above 1 by how far it does. What is old fades, so
//! that a record is forgotten after some twenty thousand samples.
//!
//! A burst counts once: what is ranked among is the greatest of every ten samples, of which the strongest are kept.

use serde::{Deserialize, Serialize};

use crate::bins::single;

/// Of so many samples the greatest is kept.
const BLOCK: u8 = 10;
/// So many are kept; who ranks lower has nothing to say.
const KEPT: usize = 32;
/// What is left of each after one more sample.
const FADE: f64 = 0.99995;
/// Of the newest's weight; what weighs less gives way: after 21,000 samples, ten weeks of one every five minutes.
const FADED: f64 = 0.35;
/// A statistic twice the record ranks at 2 to the power of this.
const BEYOND: i32 = 4;
/// Nothing ranks higher.
const HIGHEST: f64 = 1e30;
/// Weights are scaled back when the newest exceeds this.
const HEAVIEST: f64 = 1e20;

/// One statistic's past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    /// Mean over the trial, to which the record falls.
    usual: f64,
    record: f64,
    /// What one block weighs now: instead of all the old ones fading, the new ones grow.
    weight: f64,
    block: Block,
    strongest: Vec<Strong>,
}

/// The greatest of the samples since the last ten.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Block {
    samples: u8,
    greatest: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Strong {
    value: f32,
    weight: f32,
}

impl Calibration {
    /// From the statistic's values in the trial; none is below 0.
    pub(crate) fn from_trial(values: impl Iterator<Item = f64> + Clone) -> Self {
        let (count, sum) = values.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
        let usual = if sum > 0.0 { sum / count } else { 1.0 };
        let strongest = Vec::with_capacity(KEPT);
        let mut calibration = Self { usual, record: usual, weight: 1.0, block: Block::default(), strongest };
        values.for_each(|value| calibration.learn(value));
        calibration
    }

    /// Ranks `value` (0 upwards), then remembers it.
    pub(crate) fn rank(&mut self, value: f64) -> f64 {
        let stronger: f64 = self.strongest.iter().map(|strong| strong.share_above(value)).sum();
        let beyond = (value / self.record).max(1.0).powi(BEYOND);
        self.learn(value);
        (beyond / (1.0 + stronger / self.weight)).min(HIGHEST)
    }

    /// The mean over the trial.
    pub(crate) const fn usual(&self) -> f64 {
        self.usual
    }

    fn learn(&mut self, value: f64) {
        self.weight /= FADE;
        if self.weight > HEAVIEST {
            self.strongest.iter_mut().for_each(|strong| strong.weight /= single(HEAVIEST));
            self.weight /= HEAVIEST;
        }
        self.block.greatest = self.block.greatest.max(single(value));
        self.block.samples += 1;
        if self.block.samples >= BLOCK {
            self.keep(self.block.greatest);
            self.block = Block::default();
        }
        self.record = self.record.max(value);
        self.record = self.usual.max(self.usual + FADE * (self.record - self.usual));
    }

    /// In place of one that has faded, or of the weakest, where there is no more room.
    fn keep(&mut self, value: f32) {
        let strong = Strong { value, weight: single(self.weight) };
        if self.strongest.len() < KEPT {
            self.strongest.push(strong);
            return;
        }
        // Or else a series that has become calmer would be measured by nothing in the end.
        let faded = single(FADED * self.weight);
        if let Some(faded) = self.strongest.iter_mut().find(|strong| strong.weight < faded) {
            *faded = strong;
            return;
        }
        let weakest = self.strongest.iter_mut().min_by(|one, other| one.value.total_cmp(&other.value));
        if let Some(weakest) = weakest.filter(|weakest| weakest.value < value) {
            *weakest = strong;
        }
    }
}

impl Strong {
    /// Its weight where it is above `value`, half of it where they are equal.
    fn share_above(self, value: f64) -> f64 {
        let value = single(value);
        let share = if self.value > value {
            1.0
        } else if self.value == value {
            0.5
        } else {
            0.0
        };
        share * f64::from(self.weight)
    }
}

#[cfg(test)]
mod tests;
