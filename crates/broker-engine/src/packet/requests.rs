//! Acknowledgements, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT (MQTT 5, sections 3.4 to 3.7, 3.8, 3.10 and 3.14).

use super::properties::{self, Value, id};
use super::reader::Reader;
use super::{AckKind, Invalid, QoS, Version};
use crate::reason::Reason;

/// Filters of one packet: it is handled at once, while others wait.
const MAX_FILTERS: usize = 10_000;

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub kind: AckKind,
    pub packet_id: u16,
    /// The reason code; 0x80 and above is a refusal.
    pub code: u8,
}

impl Ack {
    pub(super) fn decode(version: Version, kind: AckKind, body: &[u8]) -> Result<Self, Invalid> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut code = 0;
        if version == Version::V5 && !reader.is_empty() {
            code = reader.byte()?;
            check_code(kind, code)?;
            if !reader.is_empty() {
                properties::each(
                    reader.properties()?,
                    &[id::REASON_STRING, id::USER_PROPERTY],
                    |_, _, _| Ok(()),
                )?;
            }
        } else if !reader.is_empty() {
            return Err(Invalid::malformed("an acknowledgement is longer than its packet identifier"));
        }
        reader.end()?;
        Ok(Self { kind, packet_id, code })
    }
}

/// The codes of sections 3.4.2.1, 3.5.2.1, 3.6.2.1 and 3.7.2.1.
fn check_code(kind: AckKind, code: u8) -> Result<(), Invalid> {
    let known: &[u8] = match kind {
        AckKind::Puback | AckKind::Pubrec => &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99],
        AckKind::Pubrel | AckKind::Pubcomp => &[0x00, 0x92],
    };
    if known.contains(&code) { Ok(()) } else { Err(Invalid::protocol("an unknown reason code")) }
}

/// SUBSCRIBE. Its filters were checked for their form only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe<'a> {
    pub packet_id: u16,
    /// Comes with each message of these subscriptions.
    pub identifier: Option<u32>,
    /// One or more.
    pub filters: Vec<SubscribeFilter<'a>>,
}

/// One subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeFilter<'a> {
    pub filter: &'a str,
    pub qos: QoS,
    /// Messages that the client itself publishes do not come back.
    pub no_local: bool,
    /// Messages come with the retain flag that they were published with.
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

/// When the retained messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetainHandling {
    /// At every SUBSCRIBE.
    #[default]
    Always,
    /// If the subscription is new.
    IfNew,
    Never,
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Invalid> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        let mut identifier = None;
        if version == Version::V5 {
            let list = reader.properties()?;
            properties::each(list, &[id::SUBSCRIPTION_ID, id::USER_PROPERTY], |_, value, _| {
                match value {
                    Value::Integer(0) => return Err(Invalid::protocol("the subscription identifier is 0")),
                    Value::Integer(number) => identifier = Some(number),
                    _ => {}
                }
                Ok(())
            })?;
        }
        let mut filters = Vec::new();
        while !reader.is_empty() {
            let filter = filter(&mut reader)?;
            filters.push(options(version, filter, reader.byte()?)?);
            check_number(filters.len())?;
        }
        if filters.is_empty() {
            return Err(Invalid::malformed("SUBSCRIBE without a filter"));
        }
        Ok(Self { packet_id, identifier, filters })
    }
}

fn check_number(filters: usize) -> Result<(), Invalid> {
    if filters > MAX_FILTERS {
        return Err(Invalid { reason: Reason::QuotaExceeded, why: "more than 10000 filters in one packet" });
    }
    Ok(())
}

/// At least one character ([MQTT-4.7.3-1]).
fn filter<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Invalid> {
    let filter = reader.text()?;
    if filter.is_empty() { Err(Invalid::malformed("an empty topic filter")) } else { Ok(filter) }
}

fn options(version: Version, filter: &str, byte: u8) -> Result<SubscribeFilter<'_>, Invalid> {
    let reserved = if version == Version::V5 { 0b1100_0000 } else { 0b1111_1100 };
    let Some(qos) = QoS::from_bits(byte & 3).filter(|_| byte & reserved == 0) else {
        return Err(Invalid::malformed("reserved bits of the subscription options are set"));
    };
    let retain_handling = match byte >> 4 & 3 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(Invalid::protocol("Retain Handling is 3")),
    };
    let no_local = byte & 4 != 0;
    // [MQTT-3.8.3-4]
    if no_local && filter.starts_with("$share/") {
        return Err(Invalid::protocol("No Local in a shared subscription"));
    }
    Ok(SubscribeFilter { filter, qos, no_local, retain_as_published: byte & 8 != 0, retain_handling })
}

/// The topic filters of an UNSUBSCRIBE.
pub type Filters<'a> = Vec<&'a str>;

/// UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    pub packet_id: u16,
    /// One or more.
    pub filters: Filters<'a>,
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(version: Version, body: &'a [u8]) -> Result<Self, Invalid> {
        let mut reader = Reader::new(body);
        let packet_id = reader.packet_id()?;
        if version == Version::V5 {
            properties::each(reader.properties()?, &[id::USER_PROPERTY], |_, _, _| Ok(()))?;
        }
        let mut filters = Vec::new();
        while !reader.is_empty() {
            filters.push(filter(&mut reader)?);
            check_number(filters.len())?;
        }
        if filters.is_empty() {
            return Err(Invalid::malformed("UNSUBSCRIBE without a filter"));
        }
        Ok(Self { packet_id, filters })
    }
}

/// DISCONNECT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect {
    /// 0x04: publish the will all the same.
    pub code: u8,
    /// A new session expiry, in seconds.
    pub session_expiry: Option<u32>,
}

impl Disconnect {
    pub(super) fn decode(version: Version, body: &[u8]) -> Result<Self, Invalid> {
        let mut reader = Reader::new(body);
        let mut disconnect = Self { code: 0, session_expiry: None };
        if version != Version::V5 {
            return if body.is_empty() {
                Ok(disconnect)
            } else {
                Err(Invalid::malformed("DISCONNECT has a body"))
            };
        }
        if reader.is_empty() {
            return Ok(disconnect);
        }
        disconnect.code = reader.byte()?;
        if !reader.is_empty() {
            let allowed = [id::SESSION_EXPIRY, id::REASON_STRING, id::USER_PROPERTY];
            properties::each(reader.properties()?, &allowed, |_, value, _| {
                if let Value::Long(seconds) = value {
                    disconnect.session_expiry = Some(seconds);
                }
                Ok(())
            })?;
        }
        reader.end()?;
        Ok(disconnect)
    }
}
