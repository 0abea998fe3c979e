//! Properties of MQTT 5 (section 2.2.2): their types, and that each stands at most once.

use super::Invalid;
use super::reader::Reader;

/// A property's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Byte(u8),
    Short(u16),
    Long(u32),
    Integer(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair,
}

pub(super) mod id {
    pub(in crate::packet) const PAYLOAD_FORMAT: u8 = 0x01;
    pub(in crate::packet) const MESSAGE_EXPIRY: u8 = 0x02;
    pub(in crate::packet) const CONTENT_TYPE: u8 = 0x03;
    pub(in crate::packet) const RESPONSE_TOPIC: u8 = 0x08;
    pub(in crate::packet) const CORRELATION_DATA: u8 = 0x09;
    pub(in crate::packet) const SUBSCRIPTION_ID: u8 = 0x0B;
    pub(in crate::packet) const SESSION_EXPIRY: u8 = 0x11;
    pub(in crate::packet) const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub(in crate::packet) const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub(in crate::packet) const AUTH_METHOD: u8 = 0x15;
    pub(in crate::packet) const AUTH_DATA: u8 = 0x16;
    pub(in crate::packet) const REQUEST_PROBLEM_INFO: u8 = 0x17;
    pub(in crate::packet) const WILL_DELAY: u8 = 0x18;
    pub(in crate::packet) const REQUEST_RESPONSE_INFO: u8 = 0x19;
    pub(in crate::packet) const REASON_STRING: u8 = 0x1F;
    pub(in crate::packet) const RECEIVE_MAXIMUM: u8 = 0x21;
    pub(in crate::packet) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub(in crate::packet) const TOPIC_ALIAS: u8 = 0x23;
    pub(in crate::packet) const RETAIN_AVAILABLE: u8 = 0x25;
    pub(in crate::packet) const USER_PROPERTY: u8 = 0x26;
    pub(in crate::packet) const MAXIMUM_PACKET_SIZE: u8 = 0x27;
}

/// Calls `found` with each property and its bytes, identifier included. `allowed` are those that the packet may have; all
/// but the user property at most once.
pub(super) fn each<'a>(
    mut reader: Reader<'a>,
    allowed: &[u8],
    mut found: impl FnMut(u8, Value<'a>, &'a [u8]) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let mut seen = 0_u64;
    while !reader.is_empty() {
        let before = reader.rest();
        // The identifiers in use are below 128, so their variable byte integer is one byte.
        let id = reader.byte()?;
        let value = value(id, &mut reader)?;
        if !allowed.contains(&id) {
            return Err(Invalid::protocol("a property that this packet may not have"));
        }
        let bit = 1_u64 << (id & 0x3F);
        if id != id::USER_PROPERTY && seen & bit != 0 {
            return Err(Invalid::protocol("a property stands twice"));
        }
        seen |= bit;
        let length = before.len() - reader.rest().len();
        found(id, value, before.get(..length).unwrap_or_default())?;
    }
    Ok(())
}

fn value<'a>(id: u8, reader: &mut Reader<'a>) -> Result<Value<'a>, Invalid> {
    Ok(match id {
        id::PAYLOAD_FORMAT
        | id::REQUEST_PROBLEM_INFO
        | id::REQUEST_RESPONSE_INFO
        | 0x24
        | 0x25
        | 0x28..=0x2A => Value::Byte(reader.byte()?),
        id::SERVER_KEEP_ALIVE | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => {
            Value::Short(reader.u16()?)
        }
        id::MESSAGE_EXPIRY | id::SESSION_EXPIRY | id::WILL_DELAY | id::MAXIMUM_PACKET_SIZE => {
            Value::Long(reader.u32()?)
        }
        id::SUBSCRIPTION_ID => Value::Integer(reader.variable_integer()?),
        id::CONTENT_TYPE
        | id::RESPONSE_TOPIC
        | id::ASSIGNED_CLIENT_ID
        | id::AUTH_METHOD
        | 0x1A
        | 0x1C
        | id::REASON_STRING => Value::Text(reader.text()?),
        id::CORRELATION_DATA | id::AUTH_DATA => Value::Binary(reader.binary()?),
        id::USER_PROPERTY => {
            reader.text()?;
            reader.text()?;
            Value::Pair
        }
        _ => return Err(Invalid::malformed("an unknown property")),
    })
}

/// A byte that may be 0 or 1.
pub(super) fn flag(byte: u8) -> Result<bool, Invalid> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Invalid::protocol("a property of 0 or 1 has another value")),
    }
}
