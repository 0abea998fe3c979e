//! Leap: one step far larger than any before, of a quantity that cannot leap. A sensor was swapped, moved or reconfigured,
//! or misreads its bytes.
//!
//! Steps over a gap are neither scored nor learnt. After a leap, the next one of its size has a lower score.

use serde::{Deserialize, Serialize};

use crate::clock::{DAY_MILLIS, LONGEST_STEP_MILLIS, forget};
use crate::level::Verdict;

/// How many times the largest step so far is tolerated.
const TOLERATED: f64 = 4.0;
/// How many times the sensor's resolution, where no larger step was seen.
const STEPS: f64 = 5.0;
/// Steps to have seen before one can be too large.
const LEARN_STEPS: u16 = 300;
/// The largest step halves in about two months.
const MEMORY_MILLIS: u64 = 90 * DAY_MILLIS;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Leap {
    steps: u16,
    last: Option<f64>,
    largest: f64,
}

impl Leap {
    /// Judged with `caution` times the tolerance. `resolution` is the smallest change that the sensor shows.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, resolution: f64, caution: f64) -> Verdict {
        const NONE: Verdict = Verdict { excess: 0.0, expected: None };
        let last = self.last.replace(value);
        let Some(last) = last.filter(|_| step_millis < LONGEST_STEP_MILLIS) else { return NONE };
        let step = (value - last).abs();
        let tolerated = TOLERATED * self.largest.max(STEPS / TOLERATED * resolution);
        self.largest = forget(self.largest, step_millis, MEMORY_MILLIS);
        self.steps = self.steps.saturating_add(1);
        if self.steps <= LEARN_STEPS || tolerated <= 0.0 {
            self.largest = self.largest.max(step);
            return NONE;
        }
        self.largest = self.largest.max(step.min(tolerated));
        let tolerated = tolerated * caution;
        Verdict { excess: step / tolerated, expected: Some((last - tolerated, last + tolerated)) }
    }
}

#[cfg(test)]
mod tests;
