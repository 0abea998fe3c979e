//! Shift: how far the last 60 values lie, on the whole, from what is usual at their hours.
//!
//! A building that is 2 degrees too warm all morning is no record at any hour, but it is one over all of them.

use gateway_core::Moment;
use serde::{Deserialize, Serialize};

use crate::bins::{Mean, Means};
use crate::recent::Recent;

const WINDOW: u16 = 60;
/// Values that an hour must have had to speak; until then the level speaks for it.
const KNOWN: u8 = 2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shift {
    day: Means,
    level: Mean,
    window: Recent,
}

impl Default for Shift {
    fn default() -> Self {
        Self { day: Means::new(24, 0.1), level: Mean::new(0.002), window: Recent::new(WINDOW) }
    }
}

impl Shift {
    /// The mean distance, whichever way.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64) -> f64 {
        let hour = moment.slot_of_day(24);
        let usual = self.day.get(hour, KNOWN).unwrap_or(self.level.get());
        self.window.push(value - usual);
        self.day.learn(hour, value);
        self.level.learn(value);
        self.window.mean().abs()
    }
}

#[cfg(test)]
mod tests;
