//! The battery: what part of its capacity a node gets, and for how many years.
//!
//! The model is simple on purpose. Self-discharge takes the same share of the rated capacity every year. Cold takes a share of
//! the capacity; heat speeds up self-discharge. It knows no cut-off voltage, no pulse load and no ageing beyond that.

use crate::Error;

/// The mean year of the calendar, 365.25 days.
pub const HOURS_A_YEAR: f64 = 8766.0;

/// The temperature of the rated capacity, in °C.
const ROOM: f64 = 20.0;

/// Above room temperature self-discharge doubles with every so many °C: van 't Hoff's rule.
const DOUBLING: f64 = 10.0;

/// °C, and the share of the capacity that a small load gets there. Assumed: rounded from the discharge curves that makers of
/// lithium thionyl chloride cells print; alkaline cells are worse in the cold.
const USABLE: [(f64, f64); 5] = [(-40.0, 0.60), (-20.0, 0.80), (0.0, 0.92), (ROOM, 1.0), (85.0, 1.0)];

/// A battery, new and full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Battery {
    capacity: f64,
    self_discharge: f64,
    celsius: f64,
}

impl Battery {
    /// A battery of so many mAh at 20 °C that does not discharge itself.
    ///
    /// # Errors
    /// If the capacity is not a number above 0.
    pub fn new(mah: f64) -> Result<Self, Error> {
        if !mah.is_finite() || mah <= 0.0 {
            return Err(Error::Capacity(mah));
        }
        Ok(Self { capacity: mah, self_discharge: 0.0, celsius: ROOM })
    }

    /// It loses so many % of its capacity a year by itself, at 20 °C.
    ///
    /// # Errors
    /// If it is not 0 to 100 %.
    pub fn with_self_discharge(self, percent: f64) -> Result<Self, Error> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(Error::SelfDischarge(percent));
        }
        Ok(Self { self_discharge: percent / 100.0, ..self })
    }

    /// It is used at so many °C.
    ///
    /// # Errors
    /// Outside -40 to 85 °C.
    pub fn at(self, celsius: f64) -> Result<Self, Error> {
        if !(-40.0..=85.0).contains(&celsius) {
            return Err(Error::Temperature(celsius));
        }
        Ok(Self { celsius, ..self })
    }

    /// The share of the capacity that a node gets at this temperature, 0 to 1: straight lines between -40 °C (0.60), -20 °C
    /// (0.80), 0 °C (0.92) and 20 °C (1).
    #[must_use]
    pub fn usable_share(&self) -> f64 {
        let mut share = 1.0;
        for pair in USABLE.windows(2) {
            if let [(from, low), (to, high)] = *pair
                && (from..=to).contains(&self.celsius)
            {
                share = low + (high - low) * (self.celsius - from) / (to - from);
            }
        }
        share
    }

    /// What it loses by itself in a year at this temperature, in mAh.
    #[must_use]
    pub fn loss_a_year(&self) -> f64 {
        let factor = ((self.celsius - ROOM).max(0.0) / DOUBLING).exp2();
        self.capacity * self.self_discharge * factor
    }

    /// How many years it feeds a mean current in mA.
    ///
    /// # Errors
    /// For a current below 0; if neither current nor self-discharge takes anything.
    pub fn years(&self, milliamps: f64) -> Result<f64, Error> {
        if !milliamps.is_finite() || milliamps < 0.0 {
            return Err(Error::Current { state: "mean".into(), milliamps });
        }
        let a_year = milliamps * HOURS_A_YEAR + self.loss_a_year();
        if a_year <= 0.0 {
            return Err(Error::NoDischarge);
        }
        Ok(self.capacity * self.usable_share() / a_year)
    }
}
