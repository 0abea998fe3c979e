//! Profile: the distance of a value from the usual one at this hour of the day, and of the week.
//!
//! The weekly profile is of logarithms ([`crate::scale`]), for series whose values differ by orders of magnitude.

use gateway_core::Moment;
use serde::{Deserialize, Serialize};

use crate::bins::Usual;

/// The weight of the newest value at its hour of the day, and of the week.
const DAY: f32 = 0.05;
const WEEK: f32 = 0.2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    day: Usual,
    week: Usual,
    /// At the hour of the newest value, before it was learnt.
    usual: f64,
}

impl Default for Profile {
    fn default() -> Self {
        Self { day: Usual::new(24, DAY), week: Usual::new(168, WEEK), usual: 0.0 }
    }
}

impl Profile {
    /// The distance from the hour of the day's mean, and of the logarithm from the hour of the week's.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64, log: f64) -> [f64; 2] {
        let (hour, week_hour) = (moment.slot_of_day(24), moment.hour_of_week());
        let usual_log = self.week.get(week_hour);
        self.usual = self.day.get(hour);
        self.day.learn(hour, value);
        self.week.learn(week_hour, log);
        [(value - self.usual).abs(), (log - usual_log).abs()]
    }

    /// What was usual at the hour of the newest value.
    pub(crate) const fn usual(&self) -> f64 {
        self.usual
    }
}

#[cfg(test)]
mod tests;
