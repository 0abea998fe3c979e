//! Packets as a client writes and reads them, apart from the engine's own code.

/// What a client receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    Connack {
        present: bool,
        code: u8,
    },
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        id: u16,
        dup: bool,
        retain: bool,
        properties: Vec<u8>,
    },
    /// PUBACK, PUBREC, PUBREL, PUBCOMP by their first byte.
    Ack {
        first: u8,
        id: u16,
        code: u8,
    },
    Suback {
        id: u16,
        codes: Vec<u8>,
    },
    Unsuback {
        id: u16,
        codes: Vec<u8>,
    },
    Pingresp,
    Disconnect(u8),
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let more = length >= 128;
        bytes.push(u8::try_from(length % 128).unwrap() | if more { 128 } else { 0 });
        length /= 128;
        if !more {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// The body of a CONNECT of version 4 or 5; a kept session if `expiry` is not 0.
pub(crate) fn connect(version: u8, id: &str, clean: bool, expiry: u32) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend_from_slice(&[version, u8::from(clean) << 1, 0, 60]);
    if version == 5 {
        body.extend_from_slice(&[5, 0x11]);
        body.extend_from_slice(&expiry.to_be_bytes());
    }
    body.extend(text(id));
    body
}

/// As [`connect`] of version 5, with a will at QoS 1.
pub(crate) fn connect_with_will(id: &str, topic: &str, payload: &str, delay: u32, expiry: u32) -> Vec<u8> {
    let mut body = text("MQTT");
    body.extend_from_slice(&[5, 0b0000_1100, 0, 60, 5, 0x11]);
    body.extend_from_slice(&expiry.to_be_bytes());
    body.extend(text(id));
    body.extend_from_slice(&[5, 0x18]);
    body.extend_from_slice(&delay.to_be_bytes());
    body.extend(text(topic));
    body.extend(text(payload));
    body
}

pub(crate) fn publish(
    version: u8,
    topic: &str,
    payload: &[u8],
    flags: u8,
    id: u16,
    properties: &[u8],
) -> Vec<u8> {
    let mut body = text(topic);
    if flags & 0b110 != 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    if version == 5 {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(payload);
    packet(0x30 | flags, &body)
}

pub(crate) fn subscribe(version: u8, id: u16, filter: &str, options: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(0);
    }
    body.extend(text(filter));
    body.push(options);
    packet(0x82, &body)
}

pub(crate) fn unsubscribe(version: u8, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(0);
    }
    body.extend(text(filter));
    packet(0xA2, &body)
}

pub(crate) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// Cuts a stream into packets.
pub(crate) fn read_all(version: u8, mut bytes: &[u8]) -> Vec<Got> {
    let mut got = Vec::new();
    while !bytes.is_empty() {
        let (mut length, mut at) = (0, 1);
        loop {
            length |= usize::from(bytes[at] & 0x7F) << (7 * (at - 1));
            at += 1;
            if bytes[at - 1] & 0x80 == 0 {
                break;
            }
        }
        got.push(read(version, bytes[0], &bytes[at..at + length]));
        bytes = &bytes[at + length..];
    }
    got
}

fn read(version: u8, first: u8, body: &[u8]) -> Got {
    let id = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let codes = |from: usize| body.get(from..).unwrap_or_default().to_vec();
    let v5 = usize::from(version == 5);
    match first >> 4 {
        2 => Got::Connack { present: body[0] == 1, code: body[1] },
        3 => {
            let mut at = 2 + usize::from(id(0));
            let topic = String::from_utf8(body[2..at].to_vec()).unwrap();
            let qos = first >> 1 & 3;
            let packet_id = if qos > 0 { id(at) } else { 0 };
            at += if qos > 0 { 2 } else { 0 };
            let mut properties = Vec::new();
            if version == 5 {
                let length = usize::from(body[at]);
                properties = body[at + 1..at + 1 + length].to_vec();
                at += 1 + length;
            }
            let (dup, retain) = (first & 8 != 0, first & 1 != 0);
            Got::Publish { topic, payload: body[at..].to_vec(), qos, id: packet_id, dup, retain, properties }
        }
        4..=7 => Got::Ack { first, id: id(0), code: body.get(2).copied().unwrap_or_default() },
        9 => Got::Suback { id: id(0), codes: codes(2 + v5) },
        11 => Got::Unsuback { id: id(0), codes: codes(2 + v5) },
        13 => Got::Pingresp,
        14 => Got::Disconnect(body.first().copied().unwrap_or_default()),
        other => panic!("no broker sends packet type {other}"),
    }
}
