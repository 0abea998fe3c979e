//! How a node is built: what it is called, how often it measures, what it reports.

use wire::{Quantity, Tag};

/// A change that is worth a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// Which sensor.
    pub tag: Tag,
    /// In units of 1/[`Quantity::divisor`]; 0: every measurement is reported.
    pub raw: u32,
}

/// Hours in which little happens, by UTC; they may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// The first hour, 0 to 23.
    pub from: u8,
    /// The hour that is none of them any more, 0 to 23.
    pub to: u8,
}

impl QuietHours {
    pub(crate) const fn contain(self, unix_time: u32) -> bool {
        let hour = (unix_time / 3600 % 24) as u8;
        if self.from <= self.to {
            self.from <= hour && hour < self.to
        } else {
            hour >= self.from || hour < self.to
        }
    }
}

/// How a node is built. Commands of the gateway go before it.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    /// Name and version of the image, at most [`Self::MAX_FIRMWARE`] printable ASCII characters: `rp2040 0.1.0`.
    pub firmware: &'a str,
    /// Seconds between two measurements when nothing happens, between [`Self::SHORTEST`] and [`Self::LONGEST`].
    pub interval: u32,
    /// When the interval is doubled, if the node knows the time of day.
    pub quiet_hours: Option<QuietHours>,
    /// The changes that are worth a report. Sensors that are not listed have [`default_threshold`].
    pub thresholds: &'a [Threshold],
    /// Seconds after which a value is reported although it did not change.
    pub heartbeat: u32,
    /// Seconds that a report may wait for others, to be sent with them in one frame; 0: it is sent at once. A state that changes,
    /// or a value that changes by four thresholds, never waits.
    pub deadline: u32,
    /// Seals every frame, if there is one.
    #[cfg(feature = "sealed")]
    pub sealing: Option<&'a Sealing>,
}

/// Under which id and key a node seals its frames.
#[cfg(feature = "sealed")]
#[derive(Debug, Clone)]
pub struct Sealing {
    /// Unique among the nodes of one key.
    pub node: wire::sealed::NodeId,
    /// The device's `node_key_file` has the same.
    pub key: wire::sealed::Key,
}

impl<'a> Config<'a> {
    /// The shortest interval in seconds.
    pub const SHORTEST: u32 = 60;
    /// The longest interval in seconds.
    pub const LONGEST: u32 = 3600;
    /// How many characters `firmware` may have, so that it fits a sealed frame of the shortest link.
    pub const MAX_FIRMWARE: usize = 19;

    /// Every ten minutes, a report at once for each change, a heartbeat every hour.
    #[must_use]
    pub const fn new(firmware: &'a str) -> Self {
        Self {
            firmware,
            interval: 600,
            quiet_hours: None,
            thresholds: &[],
            heartbeat: 3600,
            deadline: 0,
            #[cfg(feature = "sealed")]
            sealing: None,
        }
    }
}

/// The change of a quantity that is worth a report unless a node says otherwise, in units of 1/[`Quantity::divisor`].
#[must_use]
pub const fn default_threshold(quantity: Quantity) -> u32 {
    match quantity {
        // 0.2 °C, 2 %, 1 hPa.
        Quantity::Temperature => 20,
        Quantity::Humidity => 200,
        Quantity::Pressure => 10,
        // 50 ppm, 50 ppb, 5 µg/m³, 50 lx.
        Quantity::Co2 | Quantity::Voc | Quantity::Pm25 => 50,
        Quantity::Illuminance => 5_000,
        // 2 %, 50 mV, 50 mA, 5 W.
        Quantity::Battery => 2,
        Quantity::Voltage | Quantity::Current => 50,
        Quantity::Power => 5_000,
        _ => 1,
    }
}
