//! Encodes the packets that a broker sends. All lengths were bounded when their parts were received.

use super::properties::id;
use super::{AckKind, QoS, Version};
use crate::reason::Reason;

/// What a CONNACK says. Version 3 has only the first two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connack<'a> {
    pub session_present: bool,
    pub reason: Reason,
    /// The client id that the broker chose.
    pub assigned_client_id: Option<&'a str>,
    /// Seconds, if other than the client asked for.
    pub keep_alive: Option<u16>,
    /// Seconds, if other than the client asked for.
    pub session_expiry: Option<u32>,
    pub receive_maximum: u16,
    pub maximum_packet_size: u32,
    pub topic_alias_maximum: u16,
    pub retain_available: bool,
    /// For a client that asked for it.
    pub reason_string: Option<&'a str>,
}

fn write_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn write_variable_integer(out: &mut Vec<u8>, mut value: usize) {
    while value > 0x7F {
        out.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

const fn variable_integer_length(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Texts come from packets, where their length has two bytes.
    let text = text.as_bytes().get(..text.len().min(0xFFFF)).unwrap_or_default();
    write_u16(out, text.len() as u16);
    out.extend_from_slice(text);
}

/// Writes a packet whose body is short, with its length.
fn packet(out: &mut Vec<u8>, first: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let mut encoded = Vec::with_capacity(32);
    body(&mut encoded);
    out.push(first);
    write_variable_integer(out, encoded.len());
    out.extend_from_slice(&encoded);
}

fn properties(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut list = Vec::new();
    write(&mut list);
    write_variable_integer(out, list.len());
    out.extend_from_slice(&list);
}

/// CONNACK.
pub fn encode_connack(out: &mut Vec<u8>, version: Version, connack: &Connack<'_>) {
    packet(out, 0x20, |body| {
        body.push(u8::from(connack.session_present));
        if version != Version::V5 {
            body.push(connack.reason.connack_v3());
            return;
        }
        body.push(connack.reason.code());
        properties(body, |list| connack_properties(list, connack));
    });
}

fn connack_properties(list: &mut Vec<u8>, connack: &Connack<'_>) {
    if let Some(text) = connack.reason_string {
        list.push(id::REASON_STRING);
        write_text(list, text);
    }
    if connack.reason != Reason::Success {
        return;
    }
    if let Some(seconds) = connack.session_expiry {
        list.push(id::SESSION_EXPIRY);
        list.extend_from_slice(&seconds.to_be_bytes());
    }
    if connack.receive_maximum != u16::MAX {
        list.push(id::RECEIVE_MAXIMUM);
        write_u16(list, connack.receive_maximum);
    }
    if !connack.retain_available {
        list.extend_from_slice(&[id::RETAIN_AVAILABLE, 0]);
    }
    list.push(id::MAXIMUM_PACKET_SIZE);
    list.extend_from_slice(&connack.maximum_packet_size.to_be_bytes());
    if let Some(text) = connack.assigned_client_id {
        list.push(id::ASSIGNED_CLIENT_ID);
        write_text(list, text);
    }
    if connack.topic_alias_maximum > 0 {
        list.push(id::TOPIC_ALIAS_MAXIMUM);
        write_u16(list, connack.topic_alias_maximum);
    }
    if let Some(seconds) = connack.keep_alive {
        list.push(id::SERVER_KEEP_ALIVE);
        write_u16(list, seconds);
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP. Version 3 has no reason.
pub fn encode_ack(out: &mut Vec<u8>, version: Version, kind: AckKind, packet_id: u16, reason: Reason) {
    let first = match kind {
        AckKind::Puback => 0x40,
        AckKind::Pubrec => 0x50,
        AckKind::Pubrel => 0x62,
        AckKind::Pubcomp => 0x70,
    };
    let [high, low] = packet_id.to_be_bytes();
    if version == Version::V5 && reason != Reason::Success {
        out.extend_from_slice(&[first, 3, high, low, reason.code()]);
    } else {
        out.extend_from_slice(&[first, 2, high, low]);
    }
}

/// SUBACK; `codes` are granted QoS or reasons, as [`crate::reason`] has them.
pub fn encode_suback(out: &mut Vec<u8>, version: Version, packet_id: u16, codes: &[u8]) {
    acknowledge_filters(out, 0x90, version, packet_id, codes);
}

/// UNSUBACK; version 3 has no codes.
pub fn encode_unsuback(out: &mut Vec<u8>, version: Version, packet_id: u16, codes: &[u8]) {
    let codes = if version == Version::V5 { codes } else { &[] };
    acknowledge_filters(out, 0xB0, version, packet_id, codes);
}

fn acknowledge_filters(out: &mut Vec<u8>, first: u8, version: Version, packet_id: u16, codes: &[u8]) {
    packet(out, first, |body| {
        write_u16(body, packet_id);
        if version == Version::V5 {
            body.push(0);
        }
        body.extend_from_slice(codes);
    });
}

/// DISCONNECT, which only version 5 has from a broker.
pub fn encode_disconnect(out: &mut Vec<u8>, reason: Reason, reason_string: Option<&str>) {
    packet(out, 0xE0, |body| {
        body.push(reason.code());
        if let Some(text) = reason_string {
            properties(body, |list| {
                list.push(id::REASON_STRING);
                write_text(list, text);
            });
        }
    });
}

/// PINGRESP.
pub fn encode_pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xD0, 0]);
}

/// All of a PUBLISH but its payload.
#[derive(Debug, Clone, Copy)]
pub struct PublishHeader<'a> {
    pub version: Version,
    pub dup: bool,
    pub qos: QoS,
    pub retain: bool,
    /// Empty if the alias stands for it.
    pub topic: &'a str,
    /// Not sent at QoS 0.
    pub packet_id: u16,
    /// Properties that are passed on, encoded.
    pub properties: &'a [u8],
    /// What is left, in seconds.
    pub expiry: Option<u32>,
    pub topic_alias: Option<u16>,
    pub subscription_ids: &'a [u32],
    pub payload_length: usize,
}

impl PublishHeader<'_> {
    fn properties_length(&self) -> usize {
        let ids =
            self.subscription_ids.iter().map(|id| 1 + variable_integer_length(*id as usize)).sum::<usize>();
        self.properties.len()
            + ids
            + if self.expiry.is_some() { 5 } else { 0 }
            + if self.topic_alias.is_some() { 3 } else { 0 }
    }

    fn remaining_length(&self) -> usize {
        let id = if self.qos == QoS::AtMostOnce { 0 } else { 2 };
        let properties = match self.version {
            Version::V5 => {
                let length = self.properties_length();
                variable_integer_length(length) + length
            }
            Version::V31 | Version::V311 => 0,
        };
        2 + self.topic.len() + id + properties + self.payload_length
    }

    /// Bytes of the whole packet, payload included.
    #[must_use]
    pub fn packet_length(&self) -> usize {
        let remaining = self.remaining_length();
        1 + variable_integer_length(remaining) + remaining
    }
}

/// Encodes a PUBLISH up to its payload, which follows as it is.
pub fn encode_publish_header(out: &mut Vec<u8>, header: &PublishHeader<'_>) {
    let flags = u8::from(header.dup) << 3 | header.qos.bits() << 1 | u8::from(header.retain);
    out.push(0x30 | flags);
    write_variable_integer(out, header.remaining_length());
    write_text(out, header.topic);
    if header.qos != QoS::AtMostOnce {
        write_u16(out, header.packet_id);
    }
    if header.version != Version::V5 {
        return;
    }
    write_variable_integer(out, header.properties_length());
    out.extend_from_slice(header.properties);
    if let Some(seconds) = header.expiry {
        out.push(id::MESSAGE_EXPIRY);
        out.extend_from_slice(&seconds.to_be_bytes());
    }
    if let Some(alias) = header.topic_alias {
        out.push(id::TOPIC_ALIAS);
        write_u16(out, alias);
    }
    for id in header.subscription_ids {
        out.push(id::SUBSCRIPTION_ID);
        write_variable_integer(out, *id as usize);
    }
}
