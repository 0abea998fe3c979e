//! One metric of one device: the sensor's noise, resolution, limits and fault.

use super::calendar::Minute;
use super::fault::Fault;
use crate::chance::{Chance, mix};

/// The metrics of the building.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// In °C.
    Temperature,
    /// Relative, in %.
    Humidity,
    /// In ppm.
    Co2,
    /// In %.
    Battery,
    /// In W.
    Power,
    /// In lux.
    Illuminance,
    /// The temperature of the heating's water, in °C.
    SupplyTemperature,
    /// In hPa.
    Pressure,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Temperature,
        Self::Humidity,
        Self::Co2,
        Self::Battery,
        Self::Power,
        Self::Illuminance,
        Self::SupplyTemperature,
        Self::Pressure,
    ];

    /// The name in readings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Humidity => "humidity",
            Self::Co2 => "co2",
            Self::Battery => "battery",
            Self::Power => "power",
            Self::Illuminance => "illuminance",
            Self::SupplyTemperature => "supply_temperature",
            Self::Pressure => "pressure",
        }
    }

    /// The standard deviation of the sensor's noise.
    const fn noise(self) -> f64 {
        match self {
            Self::Temperature => 0.02,
            Self::Humidity => 0.4,
            Self::Co2 => 6.0,
            Self::Battery => 0.3,
            Self::Power => 2.0,
            Self::Illuminance => 0.0,
            Self::SupplyTemperature => 0.5,
            Self::Pressure => 0.05,
        }
    }

    /// The steps per unit.
    const fn steps(self) -> f64 {
        match self {
            Self::Temperature | Self::SupplyTemperature | Self::Pressure => 10.0,
            Self::Humidity => 2.0,
            Self::Co2 | Self::Battery | Self::Power | Self::Illuminance => 1.0,
        }
    }

    /// The lowest and highest value of a healthy sensor.
    const fn limits(self) -> (f64, f64) {
        match self {
            Self::Temperature | Self::SupplyTemperature => (-40.0, 125.0),
            Self::Humidity => (0.0, 100.0),
            Self::Co2 => (400.0, 10_000.0),
            Self::Battery => (1.0, 100.0),
            Self::Power | Self::Illuminance => (0.0, 100_000.0),
            Self::Pressure => (300.0, 1100.0),
        }
    }
}

/// The numbers of the sensor's random draws; the device uses those from 0 on.
const NOISE: u64 = 100;
const FAULT: u64 = 101;

#[derive(Debug, Clone)]
pub(super) struct Sensor {
    pub(super) metric: Metric,
    seed: u64,
    fault: Option<(Fault, Minute)>,
    /// The last value.
    last: Option<(Minute, f64)>,
}

impl Sensor {
    pub(super) fn new(metric: Metric, device_seed: u64) -> Self {
        Self { metric, seed: mix(device_seed ^ metric as u64), fault: None, last: None }
    }

    pub(super) fn fail(&mut self, fault: Fault, from: Minute) {
        self.fault = Some((fault, from));
    }

    /// The random numbers of the signal.
    pub(super) const fn chance(&self, minute: Minute) -> Chance {
        Chance { seed: self.seed, message: minute.0.cast_unsigned() }
    }

    /// The random numbers of the sensor's fixed properties.
    pub(super) const fn own(&self) -> Chance {
        Chance::of_device(self.seed)
    }

    /// The sensor's value for `signal`.
    pub(super) fn read(&mut self, minute: Minute, signal: f64) -> f64 {
        let chance = self.chance(minute);
        let (low, high) = self.metric.limits();
        let healthy = (signal + self.metric.noise() * chance.gaussian(NOISE)).clamp(low, high);
        let shown = match self.fault.filter(|(_, from)| minute >= *from) {
            None => healthy,
            Some((Fault::Stuck, _)) => self.last.map_or(healthy, |(_, value)| value),
            Some((Fault::Dropout, _)) => self.broken(),
            Some((Fault::Spike, from)) if self.last.is_some_and(|(before, _)| before >= from) => healthy,
            Some((fault, from)) => {
                let days = minute.days_after(from);
                fault.distort(self.metric, healthy, days, chance.gaussian(FAULT)).clamp(low, high)
            }
        };
        let steps = self.metric.steps();
        let value = (shown * steps).round() / steps;
        self.last = Some((minute, value));
        value
    }

    /// The value without a probe; always the same for one sensor.
    fn broken(&self) -> f64 {
        match self.metric {
            Metric::Temperature | Metric::SupplyTemperature if self.own().even(FAULT) < 0.5 => -40.0,
            Metric::Temperature | Metric::SupplyTemperature => 85.0,
            _ => 0.0,
        }
    }
}
