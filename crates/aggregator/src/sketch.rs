//! Percentiles in bounded memory, mergeable.
//!
//! Up to [`EXACT`] values are kept as they are, which is what most windows hold, and their percentiles are exact; beyond
//! that a DDSketch answers within [`ACCURACY`] relative (values closer to 0 than 1e-9 count as 0). Between two ranks
//! the percentile is interpolated, as numpy does by default.

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

/// Relative error of a percentile of many values.
pub const ACCURACY: f64 = 0.005;
/// So many values are kept one by one.
const EXACT: usize = 64;
/// Most bins per sign: nine decades. Where values spread wider, those nearest to 0 lose accuracy.
const MAX_BINS: u32 = 2048;
const NEAREST_TO_ZERO: f64 = 1e-9;

/// The values of one metric in one window.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Sketch {
    Few(Vec<f64>),
    Many(Box<DDSketch>),
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sketch of {} values", self.count())
    }
}

impl Sketch {
    pub(crate) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(crate) fn push(&mut self, value: f64) {
        match self {
            Self::Few(values) if values.len() < EXACT => values.push(value),
            Self::Few(values) => {
                let mut sketch = Self::spread(values);
                sketch.add(value);
                *self = Self::Many(sketch);
            }
            Self::Many(sketch) => sketch.add(value),
        }
    }

    /// Takes in the values that `other` has seen.
    pub(crate) fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (_, Self::Few(values)) => values.iter().for_each(|value| self.push(*value)),
            (Self::Few(values), Self::Many(theirs)) => {
                let mut sketch = theirs.clone();
                values.iter().for_each(|value| sketch.add(*value));
                *self = Self::Many(sketch);
            }
            (Self::Many(ours), Self::Many(theirs)) => {
                let merged = ours.merge(theirs);
                debug_assert!(merged.is_ok(), "all sketches are made by one configuration");
            }
        }
    }

    /// The values at each of `percents` (0..=100), within `min..=max`; nothing of nothing.
    pub(crate) fn percentiles(&self, percents: &[f64], min: f64, max: f64) -> Vec<(f64, f64)> {
        let mut sorted = Vec::new();
        if let Self::Few(values) = self {
            sorted.clone_from(values);
            sorted.sort_unstable_by(f64::total_cmp);
        }
        let at_rank = |rank: usize| match self {
            Self::Few(_) => sorted.get(rank).copied(),
            Self::Many(sketch) => value_at_rank(sketch, rank),
        };
        percents
            .iter()
            .filter_map(|percent| {
                let place = percent / 100.0 * (self.count().checked_sub(1)? as f64);
                let (low, part) = (place.floor(), place.fract());
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=count")]
                let rank = low as usize;
                let below = at_rank(rank)?;
                let above = if part > 0.0 { at_rank(rank + 1)? } else { below };
                Some((*percent, (below * (1.0 - part) + above * part).clamp(min, max)))
            })
            .collect()
    }

    fn count(&self) -> usize {
        match self {
            Self::Few(values) => values.len(),
            Self::Many(sketch) => sketch.count(),
        }
    }

    /// Gives up single values for bins.
    fn spread(values: &[f64]) -> Box<DDSketch> {
        let mut sketch = Box::new(DDSketch::new(Config::new(ACCURACY, MAX_BINS, NEAREST_TO_ZERO)));
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }
}

/// The library takes a share of the ranks and rounds down: half a rank more keeps it clear of rounding.
fn value_at_rank(sketch: &DDSketch, rank: usize) -> Option<f64> {
    let last = sketch.count().checked_sub(1)?;
    if rank >= last {
        return sketch.max();
    }
    sketch.quantile((rank as f64 + 0.5) / last as f64).ok().flatten()
}

#[cfg(test)]
#[path = "sketch_tests.rs"]
mod tests;
