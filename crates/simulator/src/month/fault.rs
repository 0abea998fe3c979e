//! The faults in a building, each large enough that a janitor should be alerted.

use std::fmt;
use std::str::FromStr;

use super::sensor::Metric;

/// A fault, from its start to the end of the month; a spike is one reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The last value is repeated.
    Stuck,
    /// The value is too high by a fixed amount: 3 °C, 300 ppm.
    Offset,
    /// The value climbs day by day: 0.4 °C, 40 ppm.
    Drift,
    /// One reading is far out: 15 °C, 3000 ppm.
    Spike,
    /// The probe is gone: −40 or 85 °C, else 0.
    Dropout,
    /// The value scatters widely: 1 °C, 80 ppm.
    Noise,
    /// The battery loses 45 % a day.
    DeadBattery,
    /// The schedule of a room, or of a circuit and its rooms, is broken: heated at night and at weekends as by day.
    HeatingAtNight,
    /// A window stays open: colder and fresher air.
    WindowOpen,
}

/// The text is not the name of a fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fault; there are {}", Fault::ALL.map(Fault::as_str).join(", "))]
pub struct NoSuchFault {
    /// The text.
    pub text: String,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Stuck,
        Self::Offset,
        Self::Drift,
        Self::Spike,
        Self::Dropout,
        Self::Noise,
        Self::DeadBattery,
        Self::HeatingAtNight,
        Self::WindowOpen,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Offset => "offset",
            Self::Drift => "drift",
            Self::Spike => "spike",
            Self::Dropout => "dropout",
            Self::Noise => "noise",
            Self::DeadBattery => "dead-battery",
            Self::HeatingAtNight => "heating-at-night",
            Self::WindowOpen => "window-open",
        }
    }

    /// Whether the fault can happen to `metric`.
    #[must_use]
    pub fn suits(self, metric: Metric) -> bool {
        match self {
            Self::Stuck | Self::Dropout => metric != Metric::Battery,
            Self::DeadBattery => metric == Metric::Battery,
            Self::HeatingAtNight => matches!(metric, Metric::Temperature | Metric::SupplyTemperature),
            Self::WindowOpen => metric == Metric::Temperature,
            Self::Offset | Self::Drift | Self::Spike | Self::Noise => self.size(metric).is_some(),
        }
    }

    /// The sensor's value instead of `healthy`, `days` after the start. A fault of the room or the heating changes the true
    /// value, not the sensor.
    pub(super) fn distort(self, metric: Metric, healthy: f64, days: f64, gaussian: f64) -> f64 {
        let size = self.size(metric).unwrap_or(0.0);
        match self {
            Self::Offset | Self::Spike => healthy + size,
            Self::Drift => healthy + size * days,
            Self::Noise => healthy + size * gaussian,
            Self::DeadBattery => healthy - 45.0 * days,
            Self::Stuck | Self::Dropout | Self::HeatingAtNight | Self::WindowOpen => healthy,
        }
    }

    /// The size in the metric's unit; of a drift per day; of noise the standard deviation.
    const fn size(self, metric: Metric) -> Option<f64> {
        let size = match (self, metric) {
            (Self::Offset, Metric::Temperature) => 3.0,
            (Self::Offset, Metric::Humidity) => 15.0,
            (Self::Offset, Metric::Co2) => 300.0,
            (Self::Offset, Metric::SupplyTemperature) => 8.0,
            (Self::Drift, Metric::Temperature) => 0.4,
            (Self::Drift, Metric::Humidity) => 2.0,
            (Self::Drift, Metric::Co2) => 40.0,
            (Self::Spike, Metric::Temperature) => 15.0,
            (Self::Spike, Metric::Humidity) => 40.0,
            (Self::Spike, Metric::Co2) => 3000.0,
            (Self::Spike, Metric::Power) => 8000.0,
            (Self::Noise, Metric::Temperature) => 1.0,
            (Self::Noise, Metric::Humidity | Metric::SupplyTemperature) => 6.0,
            (Self::Noise, Metric::Co2) => 80.0,
            _ => return None,
        };
        Some(size)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fault {
    type Err = NoSuchFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|fault| fault.as_str() == text);
        named.ok_or_else(|| NoSuchFault { text: text.to_owned() })
    }
}
