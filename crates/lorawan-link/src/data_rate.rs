//! The modulation and speed of a frame.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A modulation with its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataRate {
    /// LoRa.
    Lora {
        /// Spreading factor, 5 to 12.
        spreading_factor: u8,
        /// Bandwidth in kHz.
        bandwidth: u16,
    },
    /// FSK.
    Fsk {
        /// Bits per second.
        bit_rate: u32,
    },
}

impl DataRate {
    /// LoRa with this spreading factor and bandwidth in kHz.
    pub(crate) const fn lora(spreading_factor: u8, bandwidth: u16) -> Self {
        Self::Lora { spreading_factor, bandwidth }
    }

    /// From the forwarder's `SF7BW125`.
    pub(crate) fn parse_lora(text: &str) -> Option<Self> {
        let (spreading_factor, bandwidth) = text.strip_prefix("SF")?.split_once("BW")?;
        let spreading_factor = spreading_factor.parse().ok().filter(|factor| (5..=12).contains(factor))?;
        let bandwidth = bandwidth.parse().ok().filter(|width| (1..=2_000).contains(width))?;
        Some(Self::lora(spreading_factor, bandwidth))
    }

    /// The lowest SNR in dB for reception (Semtech SX1276 data sheet, table 13); `None` for FSK.
    pub(crate) fn required_snr(self) -> Option<f32> {
        match self {
            Self::Lora { spreading_factor, .. } => Some(10.0 - 2.5 * f32::from(spreading_factor)),
            Self::Fsk { .. } => None,
        }
    }
}

impl fmt::Display for DataRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lora { spreading_factor, bandwidth } => write!(f, "SF{spreading_factor}BW{bandwidth}"),
            Self::Fsk { bit_rate } => write!(f, "FSK {bit_rate} bit/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_rates_read_and_print_as_forwarders_write_them() {
        for text in ["SF7BW125", "SF12BW500", "SF8BW250"] {
            assert_eq!(DataRate::parse_lora(text).unwrap().to_string(), text);
        }
        for text in ["", "SF13BW125", "SF4BW125", "SF7BW", "SF7BW0", "BW125SF7", "M0CW137", "SF7BW125 "] {
            assert_eq!(DataRate::parse_lora(text), None, "{text}");
        }
    }

    #[test]
    fn each_spreading_factor_is_received_two_and_a_half_decibels_lower() {
        let required = |factor| DataRate::lora(factor, 125).required_snr();
        assert_eq!((required(7), required(12)), (Some(-7.5), Some(-20.0)));
    }
}
