//! What each region's law and the LoRa Alliance's Regional Parameters (RP002-1.0.4) say about frequencies, data rates,
//! receive windows, sizes and powers. The numbers stand in [`tables`].

mod tables;

use std::time::Duration;
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

pub use self::tables::SubBand;
use self::tables::{AS923, AU915, EU868, IN865, US915};
use crate::data_rate::DataRate;

/// JOIN_ACCEPT_DELAY1 in every region (RP002, 3.3).
pub(crate) const JOIN_ACCEPT_DELAY: Duration = Duration::from_secs(5);

/// A region's channel plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Region {
    /// EU863-870 (RP002, 2.4).
    #[serde(rename = "EU868")]
    Eu868,
    /// US902-928 (RP002, 2.5).
    #[serde(rename = "US915")]
    Us915,
    /// AU915-928 (RP002, 2.8).
    #[serde(rename = "AU915")]
    Au915,
    /// AS923-1 (RP002, 2.10).
    #[serde(rename = "AS923")]
    As923,
    /// IN865-867 (RP002, 2.12).
    #[serde(rename = "IN865")]
    In865,
}

/// One number of a data rate, and the most that a frame may carry there.
#[derive(Debug)]
struct Rate {
    data_rate: DataRate,
    /// Bytes of FOpts and FRMPayload together (RP002's N, without a repeater).
    max_payload: u8,
}

#[derive(Debug)]
struct Plan {
    rates: [Option<Rate>; 16],
    /// This and lower numbers are for uplinks.
    highest_uplink: u8,
    /// Where the second receive window is.
    rx2: (u32, u8),
    /// In dBm, unless a sub-band says more.
    max_eirp: i8,
    /// A device's channels beside the defaults, in Hz.
    cf_list: &'static [u32],
    /// The fastest data rate that ADR asks for.
    adr_data_rate: u8,
    /// The highest number of a power (the weakest), 2 dB each.
    adr_power: u8,
    sub_bands: &'static [SubBand],
}

/// What a LinkADRReq says about channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChannelMask {
    pub(crate) mask: u16,
    pub(crate) control: u8,
}

impl Region {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Eu868, Self::Us915, Self::Au915, Self::As923, Self::In865];

    /// Its name: `EU868`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eu868 => "EU868",
            Self::Us915 => "US915",
            Self::Au915 => "AU915",
            Self::As923 => "AS923",
            Self::In865 => "IN865",
        }
    }

    const fn plan(self) -> &'static Plan {
        match self {
            Self::Eu868 => &EU868,
            Self::Us915 => &US915,
            Self::Au915 => &AU915,
            Self::As923 => &AS923,
            Self::In865 => &IN865,
        }
    }

    fn rate(self, number: u8) -> Option<&'static Rate> {
        self.plan().rates.get(usize::from(number))?.as_ref()
    }

    /// The data rate with this number.
    #[must_use]
    pub fn data_rate(self, number: u8) -> Option<DataRate> {
        self.rate(number).map(|rate| rate.data_rate)
    }

    /// The number of an uplink's data rate.
    #[must_use]
    pub fn uplink_number(self, data_rate: DataRate) -> Option<u8> {
        (0..=self.plan().highest_uplink).find(|number| self.data_rate(*number) == Some(data_rate))
    }

    /// How many bytes of FOpts and FRMPayload together a frame may carry; 0 where there is no such data rate.
    #[must_use]
    pub fn max_payload(self, number: u8) -> usize {
        self.rate(number).map_or(0, |rate| rate.max_payload.into())
    }

    /// Frequency in Hz and data rate of the first receive window after an uplink.
    #[must_use]
    pub fn rx1(self, frequency: u32, uplink_number: u8, offset: u8) -> Option<(u32, u8)> {
        let number = match self {
            Self::Eu868 => uplink_number.saturating_sub(offset),
            Self::As923 => tables::rx1_as923(uplink_number, offset),
            Self::In865 => tables::rx1_in865(uplink_number, offset),
            Self::Us915 => tables::rx1_us915(uplink_number, offset)?,
            Self::Au915 => tables::rx1_au915(uplink_number, offset)?,
        };
        let frequency = match self {
            Self::Us915 => tables::rx1_frequency(frequency, 902_300_000, 903_000_000)?,
            Self::Au915 => tables::rx1_frequency(frequency, 915_200_000, 915_900_000)?,
            _ => frequency,
        };
        self.rate(number).map(|_| (frequency, number))
    }

    /// Frequency in Hz and data rate of the second receive window, unless a device was configured otherwise.
    #[must_use]
    pub const fn rx2(self) -> (u32, u8) {
        self.plan().rx2
    }

    /// The sub-bands in which a gateway's share of the air is bounded; none where it is not.
    #[must_use]
    pub const fn sub_bands(self) -> &'static [SubBand] {
        self.plan().sub_bands
    }

    /// The sub-band of a frequency in Hz.
    pub(crate) fn sub_band(self, frequency: u32) -> Option<usize> {
        self.sub_bands().iter().position(|band| (band.from..band.to).contains(&frequency))
    }

    /// The most power in dBm EIRP that may be sent at a frequency in Hz.
    #[must_use]
    pub fn max_eirp(self, frequency: u32) -> i8 {
        let band = self.sub_band(frequency).and_then(|band| self.sub_bands().get(band));
        band.map_or(self.plan().max_eirp, |band| band.max_eirp)
    }

    /// The channel list of a join accept. `sub_band` (0 to 7): the eight channels that the gateways of a region with
    /// 72 of them listen on.
    pub(crate) fn cf_list(self, sub_band: Option<u8>) -> Option<[u8; 16]> {
        let mut list = [0; 16];
        if self.has_fixed_channels() {
            // Type 1: a mask of channels; the eight narrow ones and the wide one.
            let band = sub_band.filter(|band| *band < 8)?;
            *list.get_mut(usize::from(band))? = 0xff;
            *list.get_mut(8)? = 1 << band;
            *list.last_mut()? = 1;
            return Some(list);
        }
        let channels = self.plan().cf_list;
        for (place, channel) in list.as_chunks_mut::<3>().0.iter_mut().zip(channels) {
            let [a, b, c, _] = (channel / 100).to_le_bytes();
            *place = [a, b, c];
        }
        (!channels.is_empty()).then_some(list)
    }

    /// The channels that a LinkADRReq leaves to a device.
    pub(crate) fn adr_channels(self, sub_band: Option<u8>) -> ChannelMask {
        match (self.has_fixed_channels(), sub_band) {
            // All that the device knows.
            (false, _) => ChannelMask { mask: 0, control: 6 },
            (true, None) => ChannelMask { mask: 0xff, control: 6 },
            // Banks of eight narrow channels and a wide one.
            (true, Some(band)) => ChannelMask { mask: 1 << band.min(7), control: 5 },
        }
    }

    /// The fastest data rate and the highest number of a power that ADR may ask for.
    pub(crate) const fn adr_limits(self) -> (u8, u8) {
        (self.plan().adr_data_rate, self.plan().adr_power)
    }

    const fn has_fixed_channels(self) -> bool {
        matches!(self, Self::Us915 | Self::Au915)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No region has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no region `{name}`: there are EU868, US915, AU915, AS923 and IN865")]
pub struct UnknownRegion {
    name: String,
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(name: &str) -> Result<Self, UnknownRegion> {
        let found = Self::ALL.into_iter().find(|region| region.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownRegion { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests;
