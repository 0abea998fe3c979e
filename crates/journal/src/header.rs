//! A segment's header: format, content version, first position.

use std::cmp::Reverse;

use crate::Position;
use crate::error::JournalError;
use crate::segment::Segment;

/// Length of a segment's header.
pub(crate) const HEADER: usize = 24;

const MAGIC: &[u8; 8] = b"SEGMENT\n";
const FORMAT: u16 = 1;
/// A header with more wrong bytes than this is ignored.
const MOST_WRONG: usize = 8;

/// An intact header.
pub(crate) struct Header {
    format: u16,
    content: u16,
    first: Position,
}

impl Header {
    /// The content, if the header fits the segment and the caller can read it.
    pub(crate) fn checked(&self, segment: &Segment, newest: u16) -> Result<u16, JournalError> {
        let path = || segment.path.clone();
        if self.format > FORMAT {
            return Err(JournalError::NewerFormat { path: path(), found: self.format, supported: FORMAT });
        }
        if self.content > newest {
            return Err(JournalError::NewerContent { path: path(), found: self.content, supported: newest });
        }
        if self.first != segment.first {
            return Err(JournalError::Renamed { path: path(), header: self.first });
        }
        Ok(self.content)
    }
}

pub(crate) fn bytes(first: Position, content: u16) -> [u8; HEADER] {
    let version = u32::from(content) << 16 | u32::from(FORMAT);
    let checked = [MAGIC.as_slice(), &version.to_le_bytes(), &first.0.to_le_bytes()].concat();
    let mut bytes = [0; HEADER];
    let crc = crc32fast::hash(&checked).to_le_bytes();
    for (to, from) in bytes.iter_mut().zip(checked.into_iter().chain(crc)) {
        *to = from;
    }
    bytes
}

/// The header at the beginning of a segment; `None` if it is damaged.
pub(crate) fn parse(bytes: &[u8]) -> Option<Header> {
    let (checked, rest) = bytes.split_at_checked(HEADER - size_of::<u32>())?;
    let (crc, _) = rest.split_first_chunk()?;
    let (magic, rest) = checked.split_first_chunk()?;
    let (format, rest) = rest.split_first_chunk()?;
    let (content, rest) = rest.split_first_chunk()?;
    let (first, _) = rest.split_first_chunk()?;
    let intact = magic == MAGIC && crc32fast::hash(checked) == u32::from_le_bytes(*crc);
    intact.then(|| Header {
        format: u16::from_le_bytes(*format),
        content: u16::from_le_bytes(*content),
        first: Position(u64::from_le_bytes(*first)),
    })
}

/// The most likely content of a damaged header: the one whose header has the fewest different bytes, as everything else in
/// it is known. If too many bytes differ, the caller's own content is assumed.
pub(crate) fn nearest_content(damaged: &[u8], first: Position, newest: u16) -> u16 {
    let wrong = |content| {
        let right = bytes(first, content);
        let same = right.iter().zip(damaged).filter(|(right, found)| right == found).count();
        HEADER - same
    };
    let nearest = (0..=newest).map(|content| (wrong(content), Reverse(content))).min();
    nearest.filter(|(wrong, _)| *wrong <= MOST_WRONG).map_or(newest, |(_, Reverse(content))| content)
}
