//! UUIDs of services and characteristics: 16 bits if assigned by the Bluetooth SIG, otherwise 128 bits.

use std::fmt;
use std::str::FromStr;

/// 0000xxxx-0000-1000-8000-00805f9b34fb (Core Specification, vol. 3, part B, 2.5.1).
const BASE: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;

/// A UUID. Displayed as four hexadecimal digits if the Bluetooth SIG assigned it, otherwise as 36 characters, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID; write four hexadecimal digits such as 181a, or all 36 characters")]
pub struct ParseUuidError;

impl Uuid {
    /// A UUID assigned by the Bluetooth SIG.
    #[must_use]
    pub const fn short(number: u16) -> Self {
        Self((number as u128) << 96 | BASE)
    }

    #[cfg(any(feature = "btleplug", not(target_os = "linux")))]
    pub(crate) const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    /// `181a`, `0x181A`, `0000181a-0000-1000-8000-00805f9b34fb`
    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.len() == 4 && is_hex(digits) {
            return u16::from_str_radix(digits, 16).map(Self::short).map_err(|_| ParseUuidError);
        }
        let groups: Vec<_> = text.split('-').collect();
        let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] || !groups.iter().all(|group| is_hex(group)) {
            return Err(ParseUuidError);
        }
        u128::from_str_radix(&groups.concat(), 16).map(Self).map_err(|_| ParseUuidError)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.0 >> 96;
        if self.0 & !(0xffff << 96) == BASE {
            return write!(f, "{first:04x}");
        }
        let part = |shift: u32, digits: u32| self.0 >> shift & ((1 << (4 * digits)) - 1);
        write!(
            f,
            "{first:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_in_its_shortest_form() {
        for (text, written) in [
            ("2a6e", "2a6e"),
            ("0x2A6E", "2a6e"),
            ("00002A6E-0000-1000-8000-00805f9b34fb", "2a6e"),
            ("12342a6e-0000-1000-8000-00805f9b34fb", "12342a6e-0000-1000-8000-00805f9b34fb"),
            ("EF090080-11D6-42BA-93B8-9DD7EC090AA9", "ef090080-11d6-42ba-93b8-9dd7ec090aa9"),
        ] {
            let uuid: Uuid = text.parse().unwrap();
            assert_eq!(uuid.to_string(), written);
            assert_eq!(uuid.to_string().parse(), Ok(uuid));
        }
        assert_eq!(Uuid::short(0x2a6e).bits(), 0x2a6e_0000_1000_8000_0080_5f9b_34fb);
    }

    #[test]
    fn malformed_uuids_are_rejected() {
        for text in ["", "2a6", "2a6g", "+a6e", "2a6e0", "00002a6e00001000800000805f9b34fb", "é", "0x"] {
            assert_eq!(text.parse::<Uuid>(), Err(ParseUuidError), "{text}");
        }
        assert_eq!("00002a6e-0000-1000-8000-00805f9b34f+".parse::<Uuid>(), Err(ParseUuidError));
    }
}
