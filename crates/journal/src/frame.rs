//! One record as it stands in a segment: crc32, length, position, payload.

use crate::Position;

/// The largest payload of one record, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a frame before its payload.
pub(crate) const FRAME_HEADER: usize = 16;

/// A frame whose checksum is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) position: Position,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// Its length in the file, in bytes.
    pub(crate) fn size(&self) -> usize {
        FRAME_HEADER + self.payload.len()
    }
}

/// A frame's header, not verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    crc: u32,
    pub(crate) position: Position,
    /// Length of the whole frame.
    pub(crate) size: usize,
}

/// The frame of a record. The payload must not be longer than [`MAX_PAYLOAD_BYTES`].
pub(crate) fn encode(position: Position, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length.to_le_bytes());
    crc.update(&position.0.to_le_bytes());
    crc.update(payload);
    let mut frame = Vec::with_capacity(FRAME_HEADER + payload.len());
    frame.extend_from_slice(&crc.finalize().to_le_bytes());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&position.0.to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Bytes that a record of this many payload bytes takes in a segment.
pub(crate) fn size(payload: usize) -> u64 {
    (FRAME_HEADER + payload) as u64
}

/// The header at the beginning of `bytes`; `None` if it is cut short or has a length that no frame has.
pub(crate) fn claim(bytes: &[u8]) -> Option<Claim> {
    let (crc, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (position, _) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    (length <= MAX_PAYLOAD_BYTES).then(|| Claim {
        crc: u32::from_le_bytes(*crc),
        position: Position(u64::from_le_bytes(*position)),
        size: FRAME_HEADER + length,
    })
}

/// The frame at the beginning of `bytes`, if its checksum is right.
pub(crate) fn verify(bytes: &[u8], claim: Claim) -> Option<Frame<'_>> {
    let frame = bytes.get(..claim.size)?;
    let payload = frame.get(FRAME_HEADER..)?;
    let checked = frame.get(size_of::<u32>()..)?;
    (crc32fast::hash(checked) == claim.crc).then_some(Frame { position: claim.position, payload })
}
