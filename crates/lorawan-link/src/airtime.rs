//! The time on air of a frame (Semtech AN1200.13 for LoRa, LoRaWAN Regional Parameters for FSK).

use std::time::Duration;

use crate::data_rate::DataRate;

/// The time on air of a PHYPayload of `length` bytes, with coding rate 4/5, explicit header and eight preamble symbols, as in
/// all of LoRaWAN. Uplinks have a checksum (`crc`), downlinks have none.
#[must_use]
pub fn airtime(rate: DataRate, length: usize, crc: bool) -> Duration {
    let length = u64::try_from(length).unwrap_or(u64::MAX).min(255);
    match rate {
        DataRate::Lora { spreading_factor, bandwidth } => lora(spreading_factor, bandwidth, length, crc),
        DataRate::Fsk { bit_rate } => {
            // Preamble 5, synchronisation word 3, length 1, checksum 2 bytes.
            let bits = (5 + 3 + 1 + length + 2) * 8;
            Duration::from_micros(bits * 1_000_000 / u64::from(bit_rate.max(1)))
        }
    }
}

fn lora(spreading_factor: u8, bandwidth: u16, length: u64, crc: bool) -> Duration {
    let factor = u64::from(spreading_factor.clamp(5, 12));
    let symbol = (1_000 << factor) / u64::from(bandwidth.max(1));
    // Low data rate optimisation, from 16 ms a symbol on.
    let optimised = if symbol > 16_000 { 2 } else { 0 };
    let bits = (8 * length + 28 + if crc { 16 } else { 0 }).saturating_sub(4 * factor);
    let symbols = 8 + bits.div_ceil(4 * (factor - optimised)) * 5;
    Duration::from_micros((12 + symbols) * symbol + symbol / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(factor: u8, bandwidth: u16, length: usize, crc: bool) -> u128 {
        airtime(DataRate::lora(factor, bandwidth), length, crc).as_micros()
    }

    #[test]
    fn known_frames_take_as_long_as_semtechs_calculator_says() {
        // 23 bytes: a payload of 10 bytes.
        assert_eq!(micros(7, 125, 23, true), 61_696);
        assert_eq!(micros(8, 125, 23, true), 113_152);
        assert_eq!(micros(9, 125, 23, true), 205_824);
        assert_eq!(micros(10, 125, 23, true), 370_688);
        assert_eq!(micros(11, 125, 23, true), 823_296);
        assert_eq!(micros(12, 125, 23, true), 1_482_752);
        assert_eq!(micros(7, 250, 23, true), 30_848);
        assert_eq!(micros(12, 125, 64, true), 2_793_472);
    }

    #[test]
    fn a_downlink_is_shorter_by_its_checksum() {
        assert_eq!(micros(12, 125, 33, false), 1_810_432);
        assert!(micros(7, 125, 255, false) <= micros(7, 125, 255, true));
    }

    #[test]
    fn fsk_sends_bit_after_bit() {
        assert_eq!(airtime(DataRate::Fsk { bit_rate: 50_000 }, 14, true).as_micros(), 4_000);
    }

    #[test]
    fn no_number_from_outside_overflows() {
        for rate in [DataRate::lora(255, 0), DataRate::lora(0, 0), DataRate::Fsk { bit_rate: 0 }] {
            assert!(airtime(rate, usize::MAX, true) > Duration::ZERO);
        }
    }
}
