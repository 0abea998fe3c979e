//! Count, mean, spread, smallest and largest of a stream of values, in constant memory, mergeable.
//!
//! Welford's update and Chan's merge, with the mean kept as an unevaluated sum of two doubles (Knuth's TwoSum): a mean
//! around 1e9 rounds at 1e-7, which alone would spoil the tenth digit of a standard deviation around 1.
//! Promise: `avg` and `std` agree with a two-pass computation in higher precision to 1e-9 relative, however the values
//! were split and merged.

use serde::{Deserialize, Serialize};

/// Moments of the values seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stats {
    pub(crate) count: u64,
    mean: f64,
    /// What `mean` lacks of the true mean.
    mean_rest: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Stats {
    pub(crate) const EMPTY: Self = Self {
        count: 0,
        mean: 0.0,
        mean_rest: 0.0,
        squares: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1;
        let before = self.distance(value);
        self.move_mean(before / self.count as f64);
        self.squares += before * self.distance(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Takes in the values that `other` has seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            *self = *other;
            return;
        }
        if other.count == 0 {
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let share = theirs / (ours + theirs);
        let apart = (other.mean - self.mean) + (other.mean_rest - self.mean_rest);
        self.squares += other.squares + apart * apart * ours * share;
        self.move_mean(apart * share);
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Arithmetic mean; 0 of nothing. Never outside `min..=max`.
    pub(crate) fn avg(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mean = self.mean + self.mean_rest;
        // Only values near the end of the range of f64 overflow on the way; their middle is the best that can be said.
        let mean = if mean.is_finite() { mean } else { self.min / 2.0 + self.max / 2.0 };
        mean.clamp(self.min, self.max)
    }

    /// Population standard deviation; 0 of nothing; `f64::MAX` if it cannot be computed because squares overflow
    /// (values beyond 1e154).
    pub(crate) fn std(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let std = (self.squares.max(0.0) / self.count as f64).sqrt();
        if self.squares.is_finite() { std } else { f64::MAX }
    }

    fn distance(&self, value: f64) -> f64 {
        (value - self.mean) - self.mean_rest
    }

    fn move_mean(&mut self, by: f64) {
        let step = self.mean_rest + by;
        let sum = self.mean + step;
        let grown = sum - self.mean;
        self.mean_rest = (self.mean - (sum - grown)) + (step - grown);
        self.mean = sum;
    }
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
