//! The decision to speak: a score says how odd, this says whether somebody should look.
//!
//! Chance sets a record now and then, in one family, for one sample. What is wrong in a building is odd in several ways
//! and stays so for a while. So the evidence of the last few samples is weighed, in which no family
//! counts for more than it would in any case; only what is blatant is said at once.

use serde::{Deserialize, Serialize};

use crate::ensemble::mean;

/// Weight of the newest sample.
const RATE: f64 = 1.0 / 6.0;
/// No family's rank counts for more: one and a half times its record.
const ENOUGH: f64 = 1.5;
/// The evidence to speak at: two of six families at their record for three quarters of an hour, or four for a quarter.
const LIMIT: f64 = 0.26;
/// A strength to speak at in any case.
const BLATANT: f64 = 20.0;
/// What was spoken of goes on while there is so much of what it takes.
const STILL: f64 = 0.5;
/// What is so many times worse than what was spoken of is spoken of in any case.
const WORSE: f64 = 2.0;

/// What was seen of late, and what was said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decision {
    evidence: f64,
    /// How many times over there was enough, when that was said.
    said: f64,
    /// Samples to be silent after what was spoken of is over; how many of them are left.
    rest: u16,
    left: u16,
}

impl Decision {
    /// After what was spoken of is over, nothing is said for `rest` samples, unless it is clearly worse.
    pub(crate) const fn new(rest: u16) -> Self {
        Self { evidence: 0.0, said: 0.0, rest, left: 0 }
    }

    /// How many times over there is enough to speak, where there is and it is news. `families` are their ranks,
    /// `caution` how many times more it takes.
    pub(crate) fn speaks(&mut self, families: &[f64], caution: f64) -> Option<f64> {
        let enough = self.weigh(families) / caution;
        let is_news = enough >= 1.0 && (self.left == 0 || enough >= WORSE * self.said);
        if is_news {
            self.said = enough;
        }
        let goes_on = is_news || (self.left > 0 && enough >= STILL);
        self.left = if goes_on { self.rest } else { self.left.saturating_sub(1) };
        is_news.then_some(enough)
    }

    fn weigh(&mut self, families: &[f64]) -> f64 {
        let strength = mean(families.iter().copied());
        let capped = mean(families.iter().map(|rank| rank.min(ENOUGH)));
        self.evidence += RATE * (capped - self.evidence);
        (self.evidence / LIMIT).max(strength / BLATANT)
    }
}

#[cfg(test)]
mod tests;
