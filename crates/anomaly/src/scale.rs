//! The scale of a series' values, learnt in the trial: their range and magnitude.

use serde::{Deserialize, Serialize};

/// In ranges of the trial; nothing is further away than this.
const FURTHEST: f64 = 1e6;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    low: f64,
    range: f64,
    /// Mean of the values without their sign.
    size: f64,
}

impl Scale {
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
        let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value.abs()));
        Self { low, range: positive(high - low), size: positive(sum / count) }
    }

    /// 0 at the lowest of the trial, 1 at the highest.
    pub(crate) fn normalise(&self, value: f64) -> f64 {
        ((value - self.low) / self.range).clamp(-FURTHEST, FURTHEST)
    }

    /// Back from [`Self::normalise`].
    pub(crate) fn denormalise(&self, value: f64) -> f64 {
        self.low + value * self.range
    }

    /// The logarithm where values are large, with their sign, and the value itself where they are small.
    pub(crate) fn log(&self, value: f64) -> f64 {
        (10.0 * value / self.size).asinh()
    }
}

/// A series that stood still in its trial has no range: any unit serves.
fn positive(number: f64) -> f64 {
    if number > 0.0 && number.is_finite() { number } else { 1.0 }
}

#[cfg(test)]
mod tests;
