//! Option numbers and the format rule of each option (RFC 7252, 5.4 and 5.10; 7641; 7959; 7967; 9175).

use bytes::Bytes;
use coap_lite::{CoapOption, Packet};

pub(crate) const IF_MATCH: u16 = 1;
pub(crate) const URI_HOST: u16 = 3;
pub(crate) const ETAG: u16 = 4;
pub(crate) const IF_NONE_MATCH: u16 = 5;
pub(crate) const OBSERVE: u16 = 6;
pub(crate) const URI_PORT: u16 = 7;
pub(crate) const LOCATION_PATH: u16 = 8;
pub(crate) const URI_PATH: u16 = 11;
pub(crate) const CONTENT_FORMAT: u16 = 12;
pub(crate) const MAX_AGE: u16 = 14;
pub(crate) const URI_QUERY: u16 = 15;
pub(crate) const ACCEPT: u16 = 17;
pub(crate) const LOCATION_QUERY: u16 = 20;
pub(crate) const BLOCK2: u16 = 23;
pub(crate) const BLOCK1: u16 = 27;
pub(crate) const SIZE2: u16 = 28;
pub(crate) const PROXY_URI: u16 = 35;
pub(crate) const PROXY_SCHEME: u16 = 39;
pub(crate) const SIZE1: u16 = 60;
pub(crate) const ECHO: u16 = 252;
pub(crate) const NO_RESPONSE: u16 = 258;
pub(crate) const REQUEST_TAG: u16 = 292;

/// The format of an option. A value that violates it makes the option unrecognised (RFC 7252, 5.4.3).
struct Rule {
    shortest: usize,
    longest: usize,
    repeatable: bool,
}

const fn once(shortest: usize, longest: usize) -> Option<Rule> {
    Some(Rule { shortest, longest, repeatable: false })
}

const fn many(shortest: usize, longest: usize) -> Option<Rule> {
    Some(Rule { shortest, longest, repeatable: true })
}

const fn rule(number: u16) -> Option<Rule> {
    match number {
        IF_MATCH => many(0, 8),
        URI_HOST => once(1, 255),
        ETAG => many(1, 8),
        IF_NONE_MATCH => once(0, 0),
        OBSERVE | BLOCK1 | BLOCK2 => once(0, 3),
        URI_PORT | CONTENT_FORMAT | ACCEPT => once(0, 2),
        LOCATION_PATH | URI_PATH | URI_QUERY | LOCATION_QUERY => many(0, 255),
        MAX_AGE | SIZE1 | SIZE2 => once(0, 4),
        PROXY_URI => once(1, 1034),
        PROXY_SCHEME => once(1, 255),
        ECHO => once(1, 40),
        NO_RESPONSE => once(0, 1),
        REQUEST_TAG => many(0, 8),
        _ => None,
    }
}

/// Odd numbers are critical: a receiver that does not know them must not ignore them.
pub(crate) const fn is_critical(number: u16) -> bool {
    number & 1 == 1
}

/// The first critical option of `packet` that is unknown or violates its format.
pub(crate) fn unacceptable(packet: &Packet) -> Option<u16> {
    packet
        .options()
        .filter(|(number, _)| is_critical(**number))
        .find(|(number, values)| {
            rule(**number).is_none_or(|rule| {
                (values.len() > 1 && !rule.repeatable)
                    || values.iter().any(|value| !(rule.shortest..=rule.longest).contains(&value.len()))
            })
        })
        .map(|(number, _)| *number)
}

/// The well-formed values of an option; for a non-repeatable option only the first.
pub(crate) fn values(packet: &Packet, number: u16) -> impl Iterator<Item = &[u8]> {
    let rule = rule(number).unwrap_or(Rule { shortest: 0, longest: usize::MAX, repeatable: true });
    let most = if rule.repeatable { usize::MAX } else { 1 };
    packet
        .get_option(CoapOption::from(number))
        .into_iter()
        .flatten()
        .take(most)
        .map(Vec::as_slice)
        .filter(move |value| (rule.shortest..=rule.longest).contains(&value.len()))
}

/// The value of a non-repeatable option.
pub(crate) fn value(packet: &Packet, number: u16) -> Option<&[u8]> {
    values(packet, number).next()
}

/// The value of an unsigned integer option (RFC 7252, 3.2).
pub(crate) fn number(packet: &Packet, number: u16) -> Option<u32> {
    value(packet, number).map(|bytes| bytes.iter().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte)))
}

pub(crate) fn add(packet: &mut Packet, number: u16, value: &[u8]) {
    packet.add_option(CoapOption::from(number), value.to_vec());
}

/// Adds an unsigned integer in as few bytes as possible; 0 takes none.
pub(crate) fn add_number(packet: &mut Packet, number: u16, value: u32) {
    let bytes = value.to_be_bytes();
    let used = bytes.iter().skip_while(|byte| **byte == 0).copied().collect();
    packet.add_option(CoapOption::from(number), used);
}

/// An entity tag (ETag): 1 to 8 bytes that identify a state of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(Bytes);

impl ETag {
    /// A tag of these bytes; `None` if there are none or more than 8.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=8).contains(&bytes.len()).then(|| Self(Bytes::copy_from_slice(bytes)))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<u32> for ETag {
    fn from(number: u32) -> Self {
        Self(Bytes::copy_from_slice(&number.to_be_bytes()))
    }
}
