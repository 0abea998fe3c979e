//! The decision to speak: a score says how odd, this says whether somebody should look.
//!
//! Chance sets a record now and then, in one family, for one sample. What is wrong in a building is odd in several ways
//! and stays so for a quarter of an hour. So the evidence of the last few samples is weighed, in which no family
//! counts for more than it would in any case; only what is blatant is said at once.

use serde::{Deserialize, Serialize};

/// Weight of the newest sample.
const RATE: f64 = 1.0 / 6.0;
/// No family's rank counts for more: one and a half times its record.
const ENOUGH: f64 = 1.5;
/// The evidence to speak at: two of six families at their record in each of the last samples.
const LIMIT: f64 = 0.24;
/// A strength to speak at in any case.
const BLATANT: f64 = 20.0;

/// What was seen of late.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Decision {
    evidence: f64,
}

impl Decision {
    /// How many times over there is enough to speak; 1 is enough. `families` are their ranks, `caution` how many times
    /// more it takes.
    pub(crate) fn weigh(&mut self, families: &[f64], caution: f64) -> f64 {
        let (mut sum, mut capped, mut count) = (0.0, 0.0, 0.0_f64);
        for family in families {
            sum += family;
            capped += family.min(ENOUGH);
            count += 1.0;
        }
        let count = count.max(1.0);
        self.evidence += RATE * (capped / count - self.evidence);
        (self.evidence / LIMIT).max(sum / count / BLATANT) / caution
    }
}

#[cfg(test)]
mod tests;
