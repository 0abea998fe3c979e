//! An advertisement in the form it has on the air: AD structures, each a length, a type and data.
//!
//! Source: Bluetooth Core Specification, Vol 3 Part C §11 and its Supplement Part A; Assigned Numbers §2.3 (AD types).
//! A BLE adapter builds it from what its stack gives, so that an advertisement travels as every other payload does. A
//! stack that accumulates a device's data may give more than fits one packet: up to [`MAX_BYTES`] are accepted.
//!
//! Promises: parsing copies nothing; a length that does not fit is an error with its place, a length of 0 ends the list.

use super::bytes::Bytes;

/// Largest advertisement that is read, in bytes.
pub const MAX_BYTES: usize = 4096;
/// Longest data of one AD structure: its length is one byte, and counts the type.
pub const MAX_STRUCTURE_BYTES: usize = 254;

const UUIDS_16: [u8; 2] = [0x02, 0x03];
const UUIDS_32: [u8; 2] = [0x04, 0x05];
const UUIDS_128: [u8; 2] = [0x06, 0x07];
const SHORT_NAME: u8 = 0x08;
const NAME: u8 = 0x09;
const SERVICE_DATA_16: u8 = 0x16;
const SERVICE_DATA_32: u8 = 0x20;
const SERVICE_DATA_128: u8 = 0x21;
const MANUFACTURER_DATA: u8 = 0xff;

/// The Bluetooth Base UUID, 00000000-0000-1000-8000-00805F9B34FB: short UUIDs stand for its first 32 bits.
const BASE: u128 = 0x0000_0000_0000_1000_8000_0080_5f9b_34fb;

/// A service's UUID, in its long form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uuid(pub u128);

impl Uuid {
    /// One of the UUIDs that the Bluetooth SIG assigns.
    #[must_use]
    pub const fn short(uuid: u16) -> Self {
        Self(BASE | (uuid as u128) << 96)
    }

    /// The 16 bits that stand for it, where there are such.
    #[must_use]
    pub fn as_short(self) -> Option<u16> {
        let high = u16::try_from(self.0 >> 96).ok()?;
        (Self::short(high) == self).then_some(high)
    }

    fn from_data(little_endian: &[u8]) -> Self {
        let value = little_endian.iter().rev().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
        if little_endian.len() == 16 { Self(value) } else { Self(BASE | value << 96) }
    }
}

/// `0000fcd2-0000-1000-8000-00805f9b34fb`: hyphens wherever they are, all 32 digits.
impl std::str::FromStr for Uuid {
    type Err = AdvertisementProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digits = 0;
        let mut value = 0_u128;
        for character in text.chars().filter(|character| *character != '-') {
            let digit = character.to_digit(16).ok_or(AdvertisementProblem::Uuid)?;
            value = value << 4 | u128::from(digit);
            digits += 1;
            if digits > 32 {
                return Err(AdvertisementProblem::Uuid);
            }
        }
        if digits == 32 { Ok(Self(value)) } else { Err(AdvertisementProblem::Uuid) }
    }
}

/// A problem of an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdvertisementProblem {
    /// More than [`MAX_BYTES`].
    #[error("the advertisement is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// A structure is longer than what is there.
    #[error("the AD structure at byte {at} is longer than the advertisement")]
    Truncated {
        /// Where the structure begins.
        at: usize,
    },
    /// Data that no AD structure can hold.
    #[error("data of {bytes} bytes does not fit an AD structure, which holds {MAX_STRUCTURE_BYTES}")]
    StructureTooLong {
        /// How many.
        bytes: usize,
    },
    /// Not a UUID.
    #[error("a service's UUID has 32 hexadecimal digits: 0000fcd2-0000-1000-8000-00805f9b34fb")]
    Uuid,
}

/// One advertisement, checked, and not copied.
#[derive(Debug, Clone, Copy)]
pub struct Advertisement<'a> {
    structures: &'a [u8],
    name: Option<&'a [u8]>,
}

/// What a format is known by, in the order of the advertisement.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// Data of a service.
    Service(Uuid, &'a [u8]),
    /// Data of a manufacturer, by company id.
    Manufacturer(u16, &'a [u8]),
    /// That a service is offered.
    Uuid(Uuid),
}

impl<'a> Advertisement<'a> {
    /// Checks the lengths of all structures.
    ///
    /// # Errors
    /// Where they do not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, AdvertisementProblem> {
        if bytes.len() > MAX_BYTES {
            return Err(AdvertisementProblem::TooLong);
        }
        let mut name = None;
        let mut rest = bytes;
        while let Some((kind, data, behind)) = split(rest) {
            // A complete name is better than a shortened one.
            if kind == NAME || (kind == SHORT_NAME && name.is_none()) {
                name = Some(data);
            }
            rest = behind;
        }
        let at = bytes.len() - rest.len();
        if rest.first().is_some_and(|length| *length != 0) {
            return Err(AdvertisementProblem::Truncated { at });
        }
        Ok(Self { structures: bytes.get(..at).unwrap_or_default(), name })
    }

    /// The name, where there is one in UTF-8.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.name.and_then(|name| std::str::from_utf8(name).ok())
    }

    /// Data and services, in the order of the advertisement.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'a>> + Clone + use<'a> {
        let structures = std::iter::successors(split(self.structures), |(_, _, rest)| split(rest));
        structures.flat_map(|(kind, data, _)| Entries { kind, data })
    }

    /// The data of manufacturers.
    pub fn manufacturer_data(&self) -> impl Iterator<Item = (u16, Bytes<'a>)> + Clone + use<'a> {
        self.entries().filter_map(|entry| match entry {
            Entry::Manufacturer(company, data) => Some((company, Bytes(data))),
            _ => None,
        })
    }

    /// The data of one manufacturer.
    #[must_use]
    pub fn manufacturer(&self, company: u16) -> Option<Bytes<'a>> {
        self.manufacturer_data().find(|(id, _)| *id == company).map(|(_, data)| data)
    }

    /// The data of one service.
    #[must_use]
    pub fn service(&self, uuid: Uuid) -> Option<Bytes<'a>> {
        self.entries().find_map(|entry| match entry {
            Entry::Service(id, data) if id == uuid => Some(Bytes(data)),
            _ => None,
        })
    }

    /// Whether it offers a service, with or without data.
    #[must_use]
    pub fn offers(&self, uuid: Uuid) -> bool {
        self.entries().any(|entry| matches!(entry, Entry::Uuid(id) | Entry::Service(id, _) if id == uuid))
    }
}

/// (type, data, what is behind it).
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (structure, behind) = rest.split_at_checked(usize::from(*length))?;
    let (kind, data) = structure.split_first()?;
    Some((*kind, data, behind))
}

/// What one structure says: of lists, one UUID after another.
#[derive(Clone)]
struct Entries<'a> {
    kind: u8,
    data: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (uuid, rest) = self.data.split_at_checked(match self.kind {
            MANUFACTURER_DATA | SERVICE_DATA_16 => 2,
            SERVICE_DATA_32 => 4,
            SERVICE_DATA_128 => 16,
            kind if UUIDS_16.contains(&kind) => 2,
            kind if UUIDS_32.contains(&kind) => 4,
            kind if UUIDS_128.contains(&kind) => 16,
            _ => return None,
        })?;
        match self.kind {
            MANUFACTURER_DATA => {
                self.data = &[];
                Some(Entry::Manufacturer(Bytes(uuid).u16(0).ok()?, rest))
            }
            SERVICE_DATA_16 | SERVICE_DATA_32 | SERVICE_DATA_128 => {
                self.data = &[];
                Some(Entry::Service(Uuid::from_data(uuid), rest))
            }
            _ => {
                self.data = rest;
                Some(Entry::Uuid(Uuid::from_data(uuid)))
            }
        }
    }
}

/// Builds an advertisement from what a stack gives.
#[derive(Debug, Default)]
pub struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the complete name.
    ///
    /// # Errors
    /// Where it does not fit; as everywhere here.
    pub fn name(&mut self, name: &str) -> Result<&mut Self, AdvertisementProblem> {
        self.push(NAME, &[], name.as_bytes())
    }

    /// Adds that a service is offered.
    ///
    /// # Errors
    /// Where it does not fit.
    pub fn uuid(&mut self, uuid: Uuid) -> Result<&mut Self, AdvertisementProblem> {
        match uuid.as_short() {
            Some(short) => self.push(UUIDS_16[1], &[], &short.to_le_bytes()),
            None => self.push(UUIDS_128[1], &[], &uuid.0.to_le_bytes()),
        }
    }

    /// Adds a service's data.
    ///
    /// # Errors
    /// Where it does not fit.
    pub fn service_data(&mut self, uuid: Uuid, data: &[u8]) -> Result<&mut Self, AdvertisementProblem> {
        match uuid.as_short() {
            Some(short) => self.push(SERVICE_DATA_16, &short.to_le_bytes(), data),
            None => self.push(SERVICE_DATA_128, &uuid.0.to_le_bytes(), data),
        }
    }

    /// Adds a manufacturer's data.
    ///
    /// # Errors
    /// Where it does not fit.
    pub fn manufacturer_data(
        &mut self,
        company: u16,
        data: &[u8],
    ) -> Result<&mut Self, AdvertisementProblem> {
        self.push(MANUFACTURER_DATA, &company.to_le_bytes(), data)
    }

    /// The advertisement.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        self.bytes
    }

    fn push(&mut self, kind: u8, id: &[u8], data: &[u8]) -> Result<&mut Self, AdvertisementProblem> {
        let bytes = id.len() + data.len();
        let length = u8::try_from(bytes + 1).map_err(|_| AdvertisementProblem::StructureTooLong { bytes })?;
        if self.bytes.len() + bytes + 2 > MAX_BYTES {
            return Err(AdvertisementProblem::TooLong);
        }
        self.bytes.extend([length, kind]);
        self.bytes.extend(id);
        self.bytes.extend(data);
        Ok(self)
    }
}
