//! The faults of simulated devices.

use std::time::Duration;

use gateway_core::Timestamp;

/// A fault of a device, from a given time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every 50th message contains an outlier: 85 °C (a DS18B20's value when it was not read in time), or a hundred
    /// times the right value.
    Spike,
    /// The first values are repeated for ever.
    Stuck,
    /// The device sends nothing.
    Silent,
    /// The payload is cut off in the middle.
    BadPayload,
    /// The device's payload contains a time in the year 2000.
    WrongClock,
    /// The temperature climbs by 1.5 °C a second, up to 60 °C.
    TooHot,
}

/// The interval of [`Fault::Spike`], in messages.
pub(crate) const SPIKE_EVERY: u64 = 50;
/// DS18B20's value after power-up.
pub(crate) const SPIKE_TEMPERATURE: f64 = 85.0;
const HOT_PER_SECOND: f64 = 1.5;
const HOTTEST: f64 = 60.0;
/// 2000-01-01T00:00:00Z, where the clocks of many small devices begin without a battery.
const YEAR_2000: Timestamp = Timestamp::from_millis(946_684_800_000);

/// The temperature of an overheating device after `lasted`.
pub(crate) fn hot(normal: f64, lasted: Duration) -> f64 {
    (normal + HOT_PER_SECOND * lasted.as_secs_f64()).min(HOTTEST)
}

/// The time of a device with a wrong clock, after `lasted`.
pub(crate) fn wrong_time(lasted: Duration) -> Timestamp {
    YEAR_2000 + lasted
}
