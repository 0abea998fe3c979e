//! The fixed header: where a packet begins and ends in a stream of bytes (MQTT 5, section 2.1).

use super::Invalid;
use crate::reason::Reason;

/// Packet type and flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedHeader {
    /// 1 to 14, or 15 in version 5.
    pub packet_type: u8,
    /// The low four bits.
    pub flags: u8,
}

/// One whole packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub header: FixedHeader,
    /// All that follows the fixed header.
    pub body: &'a [u8],
    /// Bytes of the whole packet.
    pub length: usize,
}

/// The packet at the start of `bytes`, or how long `bytes` must be at least before there can be one.
///
/// # Errors
/// The length has more than four bytes, or the packet would be longer than `max` bytes.
pub fn split_frame(bytes: &[u8], max: usize) -> Result<Result<Frame<'_>, usize>, Invalid> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(Err(2)) };
    let mut remaining = 0_usize;
    for index in 0..4 {
        let Some(&byte) = rest.get(index) else { return Ok(Err(index + 2)) };
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 != 0 {
            continue;
        }
        let length = 2 + index + remaining;
        if length > max {
            return Err(Invalid { reason: Reason::PacketTooLarge, why: "the packet is larger than allowed" });
        }
        let header = FixedHeader { packet_type: first >> 4, flags: first & 0x0F };
        return Ok(bytes.get(2 + index..length).map(|body| Frame { header, body, length }).ok_or(length));
    }
    Err(Invalid::malformed("the remaining length has more than four bytes"))
}
