//! The regions' numbers, from RP002-1.0.4; where something else is the source, it stands beside.

use super::{Plan, Rate};
use crate::data_rate::DataRate;

/// Frequencies that share a bound of how much of the time a gateway may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubBand {
    /// Its name in ERC Recommendation 70-03.
    pub name: &'static str,
    /// The lowest frequency in Hz.
    pub from: u32,
    /// The highest frequency in Hz, not part of it.
    pub to: u32,
    /// Thousandths of the time.
    pub per_mille: u32,
    /// In dBm.
    pub max_eirp: i8,
}

const fn band(name: &'static str, from: u32, to: u32, per_mille: u32, max_eirp: i8) -> SubBand {
    SubBand { name, from, to, per_mille, max_eirp }
}

/// ERC Recommendation 70-03, annex 1, to which RP002, 2.4.1, refers (EU863-870 shall comply with ETSI EN 300 220).
/// EIRP is its ERP and 2 dB.
const EU868_SUB_BANDS: &[SubBand] = &[
    band("h1.2", 863_000_000, 865_000_000, 1, 16),
    band("h1.3", 865_000_000, 868_000_000, 10, 16),
    band("h1.4", 868_000_000, 868_600_000, 10, 16),
    band("h1.5", 868_700_000, 869_200_000, 1, 16),
    band("h1.6", 869_400_000, 869_650_000, 100, 29),
    band("h1.7", 869_700_000, 870_000_000, 10, 16),
];

const fn lora(spreading_factor: u8, bandwidth: u16, max_payload: u8) -> Option<Rate> {
    Some(Rate { data_rate: DataRate::lora(spreading_factor, bandwidth), max_payload })
}

const fn fsk(max_payload: u8) -> Option<Rate> {
    Some(Rate { data_rate: DataRate::Fsk { bit_rate: 50_000 }, max_payload })
}

/// DR0 to DR7, nothing behind.
const fn eight(rates: [Option<Rate>; 8]) -> [Option<Rate>; 16] {
    let [a, b, c, d, e, f, g, h] = rates;
    [a, b, c, d, e, f, g, h, None, None, None, None, None, None, None, None]
}

/// Tables 5 (data rates) and 10 (sizes); the channel list is the usual one of networks in Europe.
pub(super) const EU868: Plan = Plan {
    rates: eight([
        lora(12, 125, 51),
        lora(11, 125, 51),
        lora(10, 125, 51),
        lora(9, 125, 115),
        lora(8, 125, 242),
        lora(7, 125, 242),
        lora(7, 250, 242),
        fsk(242),
    ]),
    highest_uplink: 7,
    rx2: (869_525_000, 0),
    max_eirp: 16,
    cf_list: &[867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000],
    adr_data_rate: 5,
    adr_power: 7,
    sub_bands: EU868_SUB_BANDS,
};

/// DR8 to DR13 are for downlinks.
pub(super) const US915: Plan = Plan {
    rates: [
        lora(10, 125, 11),
        lora(9, 125, 53),
        lora(8, 125, 125),
        lora(7, 125, 242),
        lora(8, 500, 242),
        None,
        None,
        None,
        lora(12, 500, 53),
        lora(11, 500, 129),
        lora(10, 500, 242),
        lora(9, 500, 242),
        lora(8, 500, 242),
        lora(7, 500, 242),
        None,
        None,
    ],
    highest_uplink: 4,
    rx2: (923_300_000, 8),
    max_eirp: 30,
    cf_list: &[],
    adr_data_rate: 3,
    adr_power: 14,
    sub_bands: &[],
};

/// DR8 to DR13 are for downlinks.
pub(super) const AU915: Plan = Plan {
    rates: [
        lora(12, 125, 51),
        lora(11, 125, 51),
        lora(10, 125, 51),
        lora(9, 125, 115),
        lora(8, 125, 242),
        lora(7, 125, 242),
        lora(8, 500, 242),
        None,
        lora(12, 500, 53),
        lora(11, 500, 129),
        lora(10, 500, 242),
        lora(9, 500, 242),
        lora(8, 500, 242),
        lora(7, 500, 242),
        None,
        None,
    ],
    highest_uplink: 6,
    rx2: (923_300_000, 8),
    max_eirp: 30,
    cf_list: &[],
    adr_data_rate: 5,
    adr_power: 14,
    sub_bands: &[],
};

/// Sizes from DR2 on are those for a dwell time of 400 ms, which holds in Japan and fits the others as well; slower
/// rates can only be in use where there is no such bound.
pub(super) const AS923: Plan = Plan {
    rates: eight([
        lora(12, 125, 51),
        lora(11, 125, 51),
        lora(10, 125, 11),
        lora(9, 125, 53),
        lora(8, 125, 125),
        lora(7, 125, 242),
        lora(7, 250, 242),
        fsk(242),
    ]),
    highest_uplink: 7,
    rx2: (923_200_000, 2),
    max_eirp: 16,
    cf_list: &[923_600_000, 923_800_000, 924_000_000, 924_200_000, 924_400_000],
    adr_data_rate: 5,
    adr_power: 7,
    sub_bands: &[],
};

pub(super) const IN865: Plan = Plan {
    rates: eight([
        lora(12, 125, 51),
        lora(11, 125, 51),
        lora(10, 125, 51),
        lora(9, 125, 115),
        lora(8, 125, 242),
        lora(7, 125, 242),
        None,
        fsk(242),
    ]),
    highest_uplink: 7,
    rx2: (866_550_000, 2),
    max_eirp: 30,
    cf_list: &[],
    adr_data_rate: 5,
    adr_power: 10,
    sub_bands: &[],
};

/// RX1DROffset 6 and 7 mean -1 and -2 (AS923: 2.10.7, without a dwell time in downlinks).
pub(super) fn rx1_as923(uplink: u8, offset: u8) -> u8 {
    match offset {
        0..=5 => uplink.saturating_sub(offset),
        _ => uplink.saturating_add(offset.min(7) - 5),
    }
    .min(7)
}

/// The same (2.12.7), but that there is no DR6.
pub(super) fn rx1_in865(uplink: u8, offset: u8) -> u8 {
    match rx1_as923(uplink, offset) {
        6 => 5,
        number => number,
    }
}

/// RP002, 2.5.7.
pub(super) fn rx1_us915(uplink: u8, offset: u8) -> Option<u8> {
    let first = match uplink {
        0..=3 => uplink + 10,
        // DR4 loses nothing by the first step.
        4 => 14,
        _ => return None,
    };
    Some(first.saturating_sub(offset.min(3)).clamp(8, 13))
}

/// RP002, 2.8.7.
pub(super) fn rx1_au915(uplink: u8, offset: u8) -> Option<u8> {
    let first = match uplink {
        0..=5 => uplink + 8,
        // DR6 loses nothing by the first step.
        6 => 14,
        _ => return None,
    };
    Some(first.saturating_sub(offset.min(5)).clamp(8, 13))
}

/// The downlink channel is that of the uplink modulo 8: 64 narrow channels 200 kHz apart, 8 wide ones 1.6 MHz apart.
pub(super) fn rx1_frequency(uplink: u32, first_narrow: u32, first_wide: u32) -> Option<u32> {
    let narrow =
        uplink.checked_sub(first_narrow).filter(|above| above % 200_000 == 0).map(|above| above / 200_000);
    let wide =
        uplink.checked_sub(first_wide).filter(|above| above % 1_600_000 == 0).map(|above| above / 1_600_000);
    let channel = narrow.filter(|channel| *channel < 64).or(wide.filter(|channel| *channel < 8))?;
    Some(923_300_000 + channel % 8 * 600_000)
}
