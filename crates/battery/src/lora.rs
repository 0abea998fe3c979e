//! The time on air of LoRaWAN uplinks: Semtech AN1200.13 section 4 (the same formula as in the SX1261/2 data sheet), with the
//! settings of LoRaWAN in Europe: 125 kHz, coding rate 4/5, a preamble of 8 symbols, explicit header, CRC.

use std::time::Duration;

use crate::Error;

/// What LoRaWAN 1.0.x adds to a payload: MHDR 1, DevAddr 4, FCtrl 1, FCnt 2, FPort 1, MIC 4 bytes.
pub const OVERHEAD: usize = 13;

/// In kHz: so many symbols of one chip a millisecond.
const BANDWIDTH: u64 = 125;
const PREAMBLE_SYMBOLS: u64 = 8;
const CRC_BITS: u64 = 16;
const HEADER_BITS: u64 = 20;
/// Symbols that carry four bits times the spreading factor at coding rate 4/5.
const CODED: u64 = 5;

/// SF7 to SF12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpreadingFactor(u8);

impl SpreadingFactor {
    /// From the fastest to the slowest.
    pub const ALL: [Self; 6] = [Self(7), Self(8), Self(9), Self(10), Self(11), Self(12)];
    /// The slowest; the second receive window in Europe has it.
    pub const SLOWEST: Self = Self(12);

    /// # Errors
    /// Outside 7 to 12.
    pub const fn new(number: u8) -> Result<Self, Error> {
        if matches!(number, 7..=12) { Ok(Self(number)) } else { Err(Error::SpreadingFactor(number)) }
    }

    /// 7 to 12.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// How long a symbol takes.
    #[must_use]
    pub fn symbol(self) -> Duration {
        Duration::from_micros((1_000 << u64::from(self.0)) / BANDWIDTH)
    }

    /// How long the payload of an uplink may be: LoRaWAN Regional Parameters, EU863-870, maximum payload size N.
    #[must_use]
    pub const fn max_payload(self) -> usize {
        match self.0 {
            7 | 8 => 222,
            9 => 115,
            _ => 51,
        }
    }
}

/// The time on air of an uplink with so many bytes of payload.
///
/// # Errors
/// If the payload is longer than this spreading factor allows.
pub fn airtime(factor: SpreadingFactor, payload: usize) -> Result<Duration, Error> {
    let most = factor.max_payload();
    if payload > most {
        let link = format!("at SF{}", factor.0);
        return Err(Error::Payload { bytes: payload, most, link });
    }
    let sf = u64::from(factor.0);
    // Low data rate optimisation: at 125 kHz from SF11 on.
    let bits_a_symbol = if sf >= 11 { sf - 2 } else { sf };
    let bytes = u64::try_from(payload + OVERHEAD).unwrap_or(u64::MAX);
    // 8 PL - 4 SF + 28 + 16 CRC, where 28 are 8 bits and the header.
    let bits = (8 * bytes + 8 + HEADER_BITS + CRC_BITS).saturating_sub(4 * sf);
    let symbols = 8 + bits.div_ceil(4 * bits_a_symbol) * CODED;
    // The preamble is 4.25 symbols longer than it is set.
    let quarters = 4 * (PREAMBLE_SYMBOLS + symbols) + 17;
    Ok(factor.symbol() * u32::try_from(quarters).unwrap_or(u32::MAX) / 4)
}
