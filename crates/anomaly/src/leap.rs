//! A leap: one step far larger than any before, of what cannot leap. A sensor was swapped, moved or set anew, or counts
//! its bytes wrong.
//!
//! Steps over a gap are neither judged nor learnt. A leap teaches that the next of its size is less of one.

use serde::{Deserialize, Serialize};

use crate::clock::{DAY_MILLIS, LONGEST_STEP_MILLIS, forget};

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
    /// How many times the tolerated step; 1 is odd. `resolution` is the smallest change that the sensor shows.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, resolution: f64) -> f64 {
        let last = self.last.replace(value);
        let Some(last) = last.filter(|_| step_millis < LONGEST_STEP_MILLIS) else { return 0.0 };
        let step = (value - last).abs();
        let tolerated = TOLERATED * self.largest.max(STEPS / TOLERATED * resolution);
        self.largest = forget(self.largest, step_millis, MEMORY_MILLIS);
        self.steps = self.steps.saturating_add(1);
        if self.steps <= LEARN_STEPS || tolerated <= 0.0 {
            self.largest = self.largest.max(step);
            return 0.0;
        }
        self.largest = self.largest.max(step.min(tolerated));
        step / tolerated
    }
}

#[cfg(test)]
mod tests;
