//! What a series measures: how its values are read, and whether they can leap.
//!
//! The air of a room has no way to warm by ten degrees from one reading to the next: what does is worth a word from the
//! tenth minute on. A lamp, a pump or a full meeting room leaps every morning, and nobody wants to hear of the first time.

use gateway_core::MetricKind;
use serde::{Deserialize, Serialize};

use crate::clock::DAY_MILLIS;

/// Event time to learn from before a value far away is spoken of: a day, or 10 minutes where it cannot leap.
const LEARN_MILLIS: u64 = DAY_MILLIS;
const LEARN_SLOW_MILLIS: u64 = 600_000;

/// What is known of a series before its first reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    pub(crate) kind: MetricKind,
    inertia: Inertia,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Inertia {
    /// No value lies far from the one before, unless something is wrong.
    Slow,
    Unknown,
}

impl Quantity {
    /// By the metric's name, zigbee2mqtt's: what the air of a room or the weather is cannot leap. Cayenne LPP's channel
    /// (`temperature_3`) says nothing.
    #[must_use]
    pub fn new(kind: MetricKind, metric: &str) -> Self {
        let name = metric.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        let inertia = match (metric, name) {
            ("co2" | "eco2", _) | (_, "temperature" | "humidity" | "pressure") => Inertia::Slow,
            _ => Inertia::Unknown,
        };
        Self { kind, inertia }
    }

    /// A gauge of somebody who looks at it alone, and wants to hear early what is far out.
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
