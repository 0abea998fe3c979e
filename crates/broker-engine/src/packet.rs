//! MQTT packets as a broker sees them: decodes what clients send, encodes what they receive. Versions 3.1, 3.1.1 and 5.
//!
//! Guarantees:
//! - Decoding copies nothing: a packet borrows from the bytes that were received.
//! - A packet that breaks a rule of the standard is an [`Invalid`] with the reason code for a DISCONNECT; no input panics.
//! - No memory is reserved for a length that a header only announces.

mod connect;
mod encode;
mod fixed_header;
mod properties;
mod publish;
mod reader;
mod requests;

pub use connect::{Connect, Will, WillProperties, decode_connect};
pub use encode::{
    Connack, PublishHeader, encode_ack, encode_connack, encode_disconnect, encode_pingresp,
    encode_publish_header, encode_suback, encode_unsuback,
};
pub use fixed_header::{FixedHeader, Frame, split_frame};
pub use publish::{MessageProperties, Publish};
pub use requests::{Ack, Disconnect, Filters, RetainHandling, Subscribe, SubscribeFilter, Unsubscribe};

use crate::reason::Reason;

/// The protocol level of a CONNECT (MQTT 5, section 3.1.2.2), without the bit by which a bridge announces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// MQTT 3.1 (`MQIsdp`, level 3).
    V31,
    /// MQTT 3.1.1 (level 4).
    V311,
    /// MQTT 5 (level 5).
    V5,
}

/// Quality of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum QoS {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl QoS {
    /// The QoS that two bits of a packet mean; 3 is none.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// 0, 1 or 2.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// A packet that breaks the standard; the connection must end ([MQTT-4.13.1-1]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Invalid {
    /// The code for a DISCONNECT or CONNACK.
    pub reason: Reason,
    /// What is wrong, for the log.
    pub why: &'static str,
}

impl Invalid {
    pub(crate) const fn malformed(why: &'static str) -> Self {
        Self { reason: Reason::MalformedPacket, why }
    }

    pub(crate) const fn protocol(why: &'static str) -> Self {
        Self { reason: Reason::ProtocolError, why }
    }
}

/// Which of the four acknowledgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckKind {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

/// A packet from a client that is connected. (CONNECT comes first, and is decoded by [`decode_connect`].)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    Publish(Publish<'a>),
    Ack(Ack),
    Subscribe(Subscribe<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Pingreq,
    Disconnect(Disconnect),
    /// Enhanced authentication, which no client has begun: none is offered.
    Auth,
}

/// Whether a packet that begins with this byte may come from a client that is connected: known before its length is.
///
/// # Errors
/// No client sends such a packet.
pub const fn check_first_byte(first: u8) -> Result<(), Invalid> {
    match first >> 4 {
        3..=8 | 10 | 12 | 14 | 15 => Ok(()),
        1 => Err(Invalid::protocol("a second CONNECT")),
        _ => Err(Invalid::protocol("a packet type that no client sends")),
    }
}

impl<'a> Packet<'a> {
    /// Decodes the packet in `frame`.
    ///
    /// # Errors
    /// The packet breaks the standard, or a client may not send its type.
    pub fn decode(version: Version, frame: Frame<'a>) -> Result<Self, Invalid> {
        let FixedHeader { packet_type, flags } = frame.header;
        // Only PUBLISH has flags; those of the others are fixed ([MQTT-2.1.3-1]).
        let fixed = match packet_type {
            3 => flags,
            6 | 8 | 10 => 0b0010,
            _ => 0,
        };
        if flags != fixed && !(version == Version::V31 && matches!(packet_type, 6 | 8 | 10)) {
            return Err(Invalid::malformed("reserved bits of the fixed header are set"));
        }
        match packet_type {
            3 => Publish::decode(version, flags, frame.body).map(Self::Publish),
            4 => Ack::decode(version, AckKind::Puback, frame.body).map(Self::Ack),
            5 => Ack::decode(version, AckKind::Pubrec, frame.body).map(Self::Ack),
            6 => Ack::decode(version, AckKind::Pubrel, frame.body).map(Self::Ack),
            7 => Ack::decode(version, AckKind::Pubcomp, frame.body).map(Self::Ack),
            8 => Subscribe::decode(version, frame.body).map(Self::Subscribe),
            10 => Unsubscribe::decode(version, frame.body).map(Self::Unsubscribe),
            12 if frame.body.is_empty() => Ok(Self::Pingreq),
            12 => Err(Invalid::malformed("PINGREQ has a body")),
            14 => Disconnect::decode(version, frame.body).map(Self::Disconnect),
            15 if version == Version::V5 => Ok(Self::Auth),
            1 => Err(Invalid::protocol("a second CONNECT")),
            _ => Err(Invalid::protocol("a packet type that no client sends")),
        }
    }
}
