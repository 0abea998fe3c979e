//! Finds the records in a segment's bytes, and continues after damage.

use crate::Position;
use crate::frame::{self, FRAME_HEADER, Frame};

/// Scans the bytes after a segment's header. The counts are final once `next` has returned `None`.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The offset of the next frame; at the end, where the segment should end.
    pub(crate) offset: usize,
    /// The position that the next frame should have.
    pub(crate) expected: Position,
    /// Records that are lost.
    pub(crate) corrupt_records: u64,
    /// Bytes at the end that are not a frame.
    pub(crate) torn_bytes: usize,
    /// The last frame is damaged. It counts as one frame only because nothing follows.
    pub(crate) damaged_end: bool,
    /// The first position of the next segment.
    limit: Position,
}

impl Scan {
    /// `offset`: where the segment's header ends; `first`: the position of its first record; `limit`: the first
    /// position of the next segment.
    pub(crate) fn new(offset: usize, first: Position, limit: Position) -> Scan {
        Scan { offset, expected: first, corrupt_records: 0, torn_bytes: 0, damaged_end: false, limit }
    }

    /// The next record. `bytes` must be the same segment every time.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        if self.torn_bytes > 0 || self.offset >= bytes.len() || self.expected >= self.limit {
            return None;
        }
        let (offset, frame) = self.in_place(bytes).or_else(|| self.after_damage(bytes)).or_else(|| {
            self.end(bytes);
            None
        })?;
        let reached = frame.position.min(self.limit);
        self.corrupt_records += reached.0.saturating_sub(self.expected.0);
        if frame.position >= self.limit {
            // It belongs to the next segment, but shows that the damage before it was records.
            (self.expected, self.offset) = (self.limit, bytes.len());
            return None;
        }
        self.expected = frame.position.next();
        self.offset = offset + frame.size();
        Some(frame)
    }

    /// The expected frame where it is expected.
    fn in_place<'a>(&self, bytes: &'a [u8]) -> Option<(usize, Frame<'a>)> {
        frame_at(bytes, self.offset, self.expected, self.expected)
    }

    /// The next frame after a damaged one: at the damaged one's length or, if no frame is there, the first valid one that
    /// follows. A frame takes `FRAME_HEADER` bytes at least. That limits how many records can be lost, so that old or foreign
    /// bytes are not mistaken for a record.
    fn after_damage<'a>(&self, bytes: &'a [u8]) -> Option<(usize, Frame<'a>)> {
        let by_length = || {
            let claim = frame::claim(bytes.get(self.offset..)?)?;
            let following = self.expected.next();
            frame_at(bytes, self.offset.checked_add(claim.size)?, following, following)
        };
        let by_search = || {
            (self.offset + 1..bytes.len()).find_map(|offset| {
                let most_lost = (offset - self.offset) / FRAME_HEADER;
                let newest = self.expected.0.saturating_add(most_lost as u64);
                frame_at(bytes, offset, self.expected, Position(newest))
            })
        };
        by_length().or_else(by_search)
    }

    /// Nothing valid follows: a damaged frame of the right length is a lost record, anything else is a torn tail.
    fn end(&mut self, bytes: &[u8]) {
        let rest = bytes.get(self.offset..).unwrap_or_default();
        let whole = frame::claim(rest)
            .is_some_and(|claim| claim.size == rest.len() && claim.position == self.expected);
        if whole {
            self.damaged_end = true;
            self.corrupt_records += 1;
            self.expected = self.expected.next();
            self.offset = bytes.len();
        } else {
            self.torn_bytes = rest.len();
        }
    }
}

/// A valid frame at `offset` with a position between `oldest` and `newest`.
fn frame_at(bytes: &[u8], offset: usize, oldest: Position, newest: Position) -> Option<(usize, Frame<'_>)> {
    let bytes = bytes.get(offset..)?;
    let claim = frame::claim(bytes)?;
    if !(oldest..=newest).contains(&claim.position) {
        return None;
    }
    frame::verify(bytes, claim).map(|frame| (offset, frame))
}
