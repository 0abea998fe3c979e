//! Messages on the wire (RFC 7252, 3): bytes to a message that keeps the format, and back.
//!
//! coap-lite takes the options apart and puts them together. What it lets pass although the format forbids it is
//! checked here: other versions, bytes behind an empty message, a payload marker without a payload.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use bytes::{BufMut, Bytes, BytesMut};
use coap_lite::Packet;
use coap_lite::error::MessageError;

use crate::code::Code;

/// The payload marker.
const MARKER: u8 = 0xff;
const HEADER_BYTES: usize = 4;

/// How a message wants to be treated by the other side's message layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CON: is sent again until it is acknowledged.
    Confirmable = 0,
    /// NON: is sent once.
    NonConfirmable = 1,
    /// ACK
    Acknowledgement = 2,
    /// RST: was not understood.
    Reset = 3,
}

/// What ties a response to its request: up to 8 bytes that the client has chosen.
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

    /// The token of these bytes; `None` where there are more than 8.
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

/// A message that came in and keeps the format.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    /// A hash of all its bytes: a message that is sent again is the same in each.
    pub(crate) fingerprint: u64,
    /// Its options and payload.
    pub(crate) packet: Packet,
}

/// Why a datagram is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Too short for a header or of another version: not for us, and so not answered (RFC 7252, 3).
    NotCoap,
    /// A header with something wrong behind it; a CON like that is answered with a reset (RFC 7252, 4.2).
    Format { kind: Kind, id: u16 },
}

impl Message {
    /// Takes `datagram` apart.
    ///
    /// # Errors
    /// [`Malformed`] where it breaks the format.
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

/// Whether the payload marker stands at the end of `datagram` with nothing behind it.
///
/// A last 0xff can also be the end of an option's value. One byte more tells: behind a marker it is a payload.
fn ends_with_bare_marker(datagram: &[u8], packet: &Packet) -> bool {
    if !packet.payload.is_empty() || datagram.last() != Some(&MARKER) {
        return false;
    }
    let mut longer = datagram.to_vec();
    longer.push(0);
    Packet::from_bytes(&longer).is_ok_and(|packet| !packet.payload.is_empty())
}

/// A message that goes out, its options and payload already encoded so that many frames can share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) code: Code,
    pub(crate) id: u16,
    pub(crate) token: Token,
    /// All that follows the token.
    pub(crate) tail: Bytes,
}

impl Frame {
    /// A bare acknowledgement, a reset or a ping.
    pub(crate) const fn empty(kind: Kind, id: u16) -> Self {
        Self { kind, code: Code::EMPTY, id, token: Token::EMPTY, tail: Bytes::new() }
    }

    /// The datagram's length in bytes.
    pub(crate) fn len(&self) -> usize {
        HEADER_BYTES + usize::from(self.token.length) + self.tail.len()
    }

    /// The datagram.
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

/// The tail of a frame: the options of `packet`, then its payload.
pub(crate) fn encode_tail(packet: &Packet) -> Bytes {
    // The only error is a limit on the size, and none is given.
    let bytes = packet.to_bytes_unlimited().unwrap_or_default();
    let mut bytes = Bytes::from(bytes);
    let header = HEADER_BYTES.min(bytes.len());
    bytes.split_off(header)
}
