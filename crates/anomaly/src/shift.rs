//! Shift: the mean distance of the last 60 values from the usual values at their hours.
//!
//! A building that is 2 degrees too warm all morning is not extreme at any hour, but it is extreme over all of them.

use gateway_core::Moment;
use serde::{Deserialize, Serialize};

use crate::bins::Usual;
use crate::recent::Recent;

const WINDOW: u16 = 60;
/// The weight of the newest value at its hour of the day.
const DAY: f32 = 0.1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shift {
    day: Usual,
    window: Recent,
}

impl Default for Shift {
    fn default() -> Self {
        Self { day: Usual::new(24, DAY), window: Recent::new(WINDOW) }
    }
}

impl Shift {
    /// The mean distance, whichever way.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64) -> f64 {
        let hour = moment.slot_of_day(24);
        self.window.push(value - self.day.get(hour));
        self.day.learn(hour, value);
        self.window.mean().abs()
    }
}

#[cfg(test)]
mod tests;
