//! LoRaWAN identifiers. They are displayed in hex as on a device's label, most significant digit first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Not an identifier of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: write {digits} hex digits")]
pub struct IdError {
    what: &'static str,
    digits: usize,
    text: String,
}

/// Parses hex digits, with or without `:` and `-` between bytes.
fn parse_hex(text: &str, what: &'static str, digits: usize) -> Result<u64, IdError> {
    let plain: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let valid = plain.len() == digits && plain.bytes().all(|b| b.is_ascii_hexdigit());
    let number = if valid { u64::from_str_radix(&plain, 16).ok() } else { None };
    number.ok_or_else(|| IdError { what, digits, text: text.to_owned() })
}

/// An EUI-64: a DevEUI, a JoinEUI (AppEUI), or the EUI of a packet forwarder.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Eui(u64);

impl Eui {
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// From the byte order on the air, least significant first.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// From the byte order of the forwarder protocol, most significant first.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

/// A DevAddr: 32 bits that start with the network's prefix. Several devices may share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DevAddr(u32);

impl DevAddr {
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// From the byte order on the air.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// In the byte order on the air.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

/// A NetID of 24 bits. `000000` and `000001` are for private networks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetId(u32);

/// For each type of NetID: how many bits of a DevAddr are its prefix and its NwkID
/// (LoRaWAN Backend Interfaces, on NetIDs).
const ADDRESS_BITS: [(u32, u32); 8] = [(1, 6), (2, 6), (3, 9), (4, 11), (5, 12), (6, 13), (7, 15), (8, 17)];

impl NetId {
    /// `None` if it has more than 24 bits.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >> 24 == 0 { Some(Self(number)) } else { None }
    }

    /// In the byte order on the air.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 3] {
        let [a, b, c, _] = self.0.to_le_bytes();
        [a, b, c]
    }

    /// An address of this network with the low bits of `number`.
    #[must_use]
    pub fn address(self, number: u32) -> DevAddr {
        let kind = self.0 >> 21;
        let (prefix_bits, id_bits) = ADDRESS_BITS.get(kind as usize).copied().unwrap_or((1, 6));
        let own_bits = 32 - prefix_bits - id_bits;
        // Ones and a zero: type 2 is 0b110.
        let prefix = ((1_u64 << prefix_bits) - 2) as u32;
        let id = self.0 & ((1 << id_bits) - 1);
        DevAddr(prefix << (32 - prefix_bits) | id << own_bits | number & ((1 << own_bits) - 1))
    }
}

impl fmt::Display for Eui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Eui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Eui {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text, "EUI", 16).map(Self)
    }
}

impl fmt::Display for DevAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for DevAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DevAddr {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text, "device address", 8).map(|number| Self(number as u32))
    }
}

impl fmt::Display for NetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06x}", self.0)
    }
}

impl fmt::Debug for NetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NetId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        parse_hex(text, "NetID", 6).map(|number| Self(number as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_with_and_without_separators_and_print_plainly() {
        for text in ["a84041ff00c0ffee", "A8:40:41:FF:00:C0:FF:EE", "a8-40-41-ff-00-c0-ff-ee"] {
            assert_eq!(text.parse::<Eui>().unwrap().to_string(), "a84041ff00c0ffee");
        }
        assert_eq!("26011bda".parse::<DevAddr>().unwrap().to_le_bytes(), [0xda, 0x1b, 0x01, 0x26]);
        for text in ["", "a84041ff00c0ffe", "a84041ff00c0ffeea", "+84041ff00c0ffee", "g84041ff00c0ffee"] {
            assert!(text.parse::<Eui>().is_err(), "{text}");
        }
        assert!("1000000".parse::<NetId>().is_err());
    }

    #[test]
    fn addresses_lie_within_the_block_of_their_network() {
        // The first and last of each type's addresses.
        for (net_id, first, last) in [
            ("000000", "00000000", "01ffffff"),
            ("000013", "26000000", "27ffffff"),
            ("20003f", "bf000000", "bfffffff"),
            ("4001ff", "dff00000", "dfffffff"),
            ("6007ff", "effe0000", "efffffff"),
            ("800fff", "f7ff8000", "f7ffffff"),
            ("a01fff", "fbffe000", "fbffffff"),
            ("c07fff", "fdfffc00", "fdffffff"),
            ("e1ffff", "feffff80", "feffffff"),
        ] {
            let net_id: NetId = net_id.parse().unwrap();
            let (low, high) = (net_id.address(0), net_id.address(u32::MAX));
            assert_eq!((low.to_string().as_str(), high.to_string().as_str()), (first, last), "{net_id}");
        }
    }
}
