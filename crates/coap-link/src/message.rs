//! Decodes and encodes messages (RFC 7252, 3).
//!
//! coap-lite decodes and encodes the options. This module rejects what coap-lite accepts against the format: other versions,
//! bytes behind an empty message, a payload marker without a payload.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use bytes::{BufMut, Bytes, BytesMut};
use coap_lite::Packet;
use coap_lite::error::MessageError;

use crate::code::Code;

/// The payload marker.
const MARKER: u8 = 0xff;
const HEADER_BYTES: usize = 4;

/// The message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CON: retransmitted until acknowledged.
    Confirmable = 0,
    /// NON: sent once.
    NonConfirmable = 1,
    /// ACK
    Acknowledgement = 2,
    /// RST: rejected.
    Reset = 3,
}

/// Matches a response to its request: up to 8 bytes chosen by the client.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Token {
    length: u8,
    bytes: [u8; 8],
}

impl Token {
    pub(crate) const EMPTY: Self = Self { length: 0, bytes: [0; 8] };

    pub(crate) const fn from_u64(number: u64) -> Self {
        Self { length: 8, bytes: number.to_be_bytes() }
    }

    /// The token's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// A token of these bytes; `None` if there are more than 8.
    fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; 8];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self { length: u8::try_from(from.len()).ok()?, bytes })
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A received, well-formed message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    /// A hash of all its bytes. A retransmission has the same.
    pub(crate) fingerprint: u64,
    /// Its options and payload.
    pub(crate) packet: Packet,
}

/// Why a datagram is not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Too short for a header, or another version: ignored silently (RFC 7252, 3).
    NotCoap,
    /// A header followed by a format error; such a CON is answered with a reset (RFC 7252, 4.2).
    Format { kind: Kind, id: u16 },
}

impl Message {
    /// Takes `datagram` apart.
    ///
    /// # Errors
    /// [`Malformed`] if it violates the format.
    pub(crate) fn decode(datagram: &[u8]) -> Result<Self, Malformed> {
        let &[first, code, high, low, ..] = datagram else { return Err(Malformed::NotCoap) };
        if first >> 6 != 1 {
            return Err(Malformed::NotCoap);
        }
        let kind = match first >> 4 & 0b11 {
            0 => Kind::Confirmable,
            1 => Kind::NonConfirmable,
            2 => Kind::Acknowledgement,
            _ => Kind::Reset,
        };
        let (code, id) = (Code::from_byte(code), u16::from_be_bytes([high, low]));
        let broken = Malformed::Format { kind, id };
        if code == Code::EMPTY && (datagram.len() > HEADER_BYTES || first & 0b1111 != 0) {
            return Err(broken);
        }
        let packet = Packet::from_bytes(datagram).map_err(|_: MessageError| broken)?;
        if ends_with_bare_marker(datagram, &packet) {
            return Err(broken);
        }
        let token = Token::new(packet.get_token()).ok_or(broken)?;
        let fingerprint = BuildHasherDefault::<DefaultHasher>::default().hash_one(datagram);
        Ok(Self { kind, code, id, token, fingerprint, packet })
    }
}

/// Whether `datagram` ends with a payload marker without a payload.
///
/// A final 0xff may also belong to an option value. With one more byte, it is the payload's marker if a payload appears.
fn ends_with_bare_marker(datagram: &[u8], packet: &Packet) -> bool {
    if !packet.payload.is_empty() || datagram.last() != Some(&MARKER) {
        return false;
    }
    let mut longer = datagram.to_vec();
    longer.push(0);
    Packet::from_bytes(&longer).is_ok_and(|packet| !packet.payload.is_empty())
}

/// A message to send. Its options and payload are encoded, so that many frames can share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    /// Everything behind the token.
    pub(crate) tail: Bytes,
}

impl Frame {
    /// An empty acknowledgement, a reset or a ping.
    pub(crate) const fn empty(kind: Kind, id: u16) -> Self {
        Self { kind, code: Code::EMPTY, id, token: Token::EMPTY, tail: Bytes::new() }
    }

    /// The length of the datagram in bytes.
    pub(crate) fn len(&self) -> usize {
        HEADER_BYTES + usize::from(self.token.length) + self.tail.len()
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.len());
        bytes.put_u8(1 << 6 | (self.kind as u8) << 4 | self.token.length);
        bytes.put_u8(self.code.byte());
        bytes.put_u16(self.id);
        bytes.put_slice(self.token.as_bytes());
        bytes.put_slice(&self.tail);
        bytes.freeze()
    }
}

/// The options of `packet` and its payload.
pub(crate) fn encode_tail(packet: &Packet) -> Bytes {
    // Fails only for a size limit, and there is none.
    let bytes = packet.to_bytes_unlimited().unwrap_or_default();
    let mut bytes = Bytes::from(bytes);
    let header = HEADER_BYTES.min(bytes.len());
    bytes.split_off(header)
}
