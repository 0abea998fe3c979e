//! The quantity of a series: its kind of values, and whether they can leap.
//!
//! The air of a room cannot warm by ten degrees from one reading to the next, so such a step is reported from the tenth
//! minute on. A lamp, a pump or a meeting room leaps every morning, and the first time must not be an alert.

use gateway_core::MetricKind;
use serde::{Deserialize, Serialize};

use crate::clock::DAY_MILLIS;

/// The event time to learn from before a distant value is reported: a day, or 10 minutes if the quantity cannot leap.
const LEARN_MILLIS: u64 = DAY_MILLIS;
const LEARN_SLOW_MILLIS: u64 = 600_000;

/// The prior knowledge about a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    pub(crate) kind: MetricKind,
    inertia: Inertia,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Inertia {
    /// A value far from the previous one is a fault.
    Slow,
    Unknown,
}

impl Quantity {
    /// By the metric's name in zigbee2mqtt: room air and weather cannot leap. The names of Cayenne LPP's channels
    /// (`temperature_3`) are not known.
    #[must_use]
    pub fn new(kind: MetricKind, metric: &str) -> Self {
        let name = metric.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        let inertia = match (metric, name) {
            ("co2" | "eco2", _) | (_, "temperature" | "humidity" | "pressure") => Inertia::Slow,
            _ => Inertia::Unknown,
        };
        Self { kind, inertia }
    }

    /// A single gauge, of which distant values should be reported early.
    #[must_use]
    pub const fn watched() -> Self {
        Self { kind: MetricKind::Gauge, inertia: Inertia::Slow }
    }

    pub(crate) const fn cannot_leap(self) -> bool {
        matches!(self.inertia, Inertia::Slow)
    }

    pub(crate) const fn learn_millis(self) -> u64 {
        match self.inertia {
            Inertia::Slow => LEARN_SLOW_MILLIS,
            Inertia::Unknown => LEARN_MILLIS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_air_of_a_room_cannot_leap_and_what_is_switched_can() {
        let cannot_leap = |metric: &str| Quantity::new(MetricKind::Gauge, metric).cannot_leap();
        for metric in ["temperature", "temperature_3", "humidity", "pressure", "co2"] {
            assert!(cannot_leap(metric), "{metric}");
        }
        for metric in ["power", "supply_temperature", "illuminance", "co", "_2", "", "2"] {
            assert!(!cannot_leap(metric), "{metric}");
        }
    }
}
