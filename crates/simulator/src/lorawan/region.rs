//! The channel plans of the devices.

use std::fmt;
use std::str::FromStr;

use lorawan_device::Region as Plan;
use lorawan_device::region::DR;

/// A region's channel plan (LoRa Alliance RP002).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Europe.
    Eu868,
    /// North America.
    Us915,
    /// Australia and South America.
    Au915,
    /// Asia (AS923-1).
    As923,
    /// India.
    In865,
}

impl Region {
    pub(super) const fn plan(self) -> Plan {
        match self {
            Self::Eu868 => Plan::EU868,
            Self::Us915 => Plan::US915,
            Self::Au915 => Plan::AU915,
            Self::As923 => Plan::AS923_1,
            Self::In865 => Plan::IN865,
        }
    }

    /// The data rate of a device: SF7, 8 or 9 at 125 kHz, by its distance.
    pub(super) const fn data_rate(self, distance: usize) -> DR {
        let fastest_is_3 = matches!(self, Self::Us915);
        match (distance % 3, fastest_is_3) {
            (0, false) => DR::_5,
            (1, false) => DR::_4,
            (0, true) | (2, false) => DR::_3,
            (1, true) => DR::_2,
            _ => DR::_1,
        }
    }

    /// The data rate while it joins. In US915 and AU915 the crate `lorawan-device` sends join requests at the
    /// slowest rate, but uses this one for the answer.
    pub(super) const fn join_data_rate(self, distance: usize) -> DR {
        match self {
            Self::Us915 | Self::Au915 => DR::_0,
            Self::Eu868 | Self::As923 | Self::In865 => self.data_rate(distance),
        }
    }

    /// Whether the network's channels and the region's own are seven: the crate `lorawan-device` chooses one by three
    /// random bits, and panics at the eighth.
    pub(super) const fn has_seven_channels(self) -> bool {
        matches!(self, Self::As923)
    }

    /// Where a node listens that says it listens at `frequency` (Hz). Crate `lorawan-device` has the first downlink channel
    /// of AU915 1 MHz too low (RP002, 2.8.7: 923.3 MHz).
    pub(super) const fn listens(self, frequency: u32) -> u32 {
        match (self, frequency) {
            (Self::Au915, 922_300_000) => 923_300_000,
            _ => frequency,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eu868 => "EU868",
            Self::Us915 => "US915",
            Self::Au915 => "AU915",
            Self::As923 => "AS923",
            Self::In865 => "IN865",
        })
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "EU868" => Self::Eu868,
            "US915" => Self::Us915,
            "AU915" => Self::Au915,
            "AS923" => Self::As923,
            "IN865" => Self::In865,
            _ => return Err("there are EU868, US915, AU915, AS923 and IN865".to_owned()),
        })
    }
}
