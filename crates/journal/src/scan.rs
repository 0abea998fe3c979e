//! Finds the records in a segment's bytes, past whatever damage there is.

use crate::Position;
use crate::frame::{self, FRAME_HEADER, Frame};

/// Goes through the bytes after a segment's header. The counts are final once `next` has given `None`.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Where the next frame is looked for; at last, where the segment should end.
    pub(crate) offset: usize,
    /// The position that the next frame should have.
    pub(crate) expected: Position,
    /// Records that are there no more.
    pub(crate) corrupt_records: u64,
    /// Bytes at the end that are no frame.
    pub(crate) torn_bytes: usize,
    /// The last frame is damaged. Only because nothing follows is it known to be one frame.
    pub(crate) damaged_end: bool,
    /// The first position that is the next segment's.
    limit: Position,
}

impl Scan {
    /// `offset`: where the segment's header ends; `first`: the position of its first record; `limit`: the first
    /// position that is the next segment's.
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
            // The next segment's, but kept: only by it is the damage before known to be records.
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

    /// The next frame past a damaged one: where the damaged one's length says or, where that leads nowhere, the
    /// first one that could stand there. A frame takes `FRAME_HEADER` bytes at least, which bounds how many records
    /// the damage can have taken, so that old or foreign bytes are not mistaken for one.
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

    /// Nothing valid follows: a whole frame with damage in it is a lost record, anything else a torn tail.
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
