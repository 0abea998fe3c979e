//! Records that are not durable yet, kept in memory so that they can be written again.

use std::collections::VecDeque;

use crate::Position;
use crate::frame;

/// Limit for the memory of records that are not durable, in bytes. One record is always accepted.
pub const MAX_HELD_BYTES: u64 = 8 * 1024 * 1024;

/// Memory of a frame beside its own bytes: its entry here and the allocator's.
const OVERHEAD: u64 = 48;

/// Frames in the order of their positions, without gaps.
#[derive(Debug)]
pub(crate) struct Held {
    /// The position of the first frame, or of the next one where there is none.
    first: Position,
    frames: VecDeque<Frame>,
    /// Bytes of all frames that were released.
    released: u64,
}

#[derive(Debug)]
struct Frame {
    bytes: Box<[u8]>,
    /// Bytes of all frames so far, this one included.
    through: u64,
}

impl Held {
    /// `first`: the position of the first record that will be added.
    pub(crate) fn new(first: Position) -> Held {
        Held { first, frames: VecDeque::new(), released: 0 }
    }

    /// Adds the next record.
    pub(crate) fn push(&mut self, payload: &[u8]) {
        let bytes = frame::encode(self.next(), payload).into_boxed_slice();
        let through = self.through(self.last()) + cost(payload.len());
        self.frames.push_back(Frame { bytes, through });
    }

    /// Releases the records up to `position`.
    pub(crate) fn release(&mut self, position: Position) {
        while self.first <= position
            && let Some(frame) = self.frames.pop_front()
        {
            self.released = frame.through;
            self.first = self.first.next();
        }
        self.frames.shrink_to(2 * self.frames.len() + 64);
    }

    /// The frame of the record at `position`.
    pub(crate) fn get(&self, position: Position) -> Option<&[u8]> {
        self.frames.get(self.index(position)?).map(|frame| &*frame.bytes)
    }

    /// The frames of the records after `position`, oldest first.
    pub(crate) fn after(&self, position: Position) -> impl Iterator<Item = &[u8]> {
        let skipped = self.index(position).map_or(0, |index| index + 1);
        self.frames.iter().skip(skipped).map(|frame| &*frame.bytes)
    }

    /// Memory of the records after `after`, up to `upto`.
    pub(crate) fn bytes_between(&self, after: Position, upto: Position) -> u64 {
        self.through(upto).saturating_sub(self.through(after))
    }

    /// Memory of the records after `position`.
    pub(crate) fn bytes_after(&self, position: Position) -> u64 {
        self.bytes_between(position, self.last())
    }

    /// The position that the next record gets.
    pub(crate) fn next(&self) -> Position {
        Position(self.first.0.saturating_add(self.frames.len() as u64))
    }

    fn last(&self) -> Position {
        self.next().previous()
    }

    fn index(&self, position: Position) -> Option<usize> {
        usize::try_from(position.0.checked_sub(self.first.0)?).ok()
    }

    fn through(&self, position: Position) -> u64 {
        let frame = self.index(position).and_then(|index| self.frames.get(index));
        frame.map_or(self.released, |frame| frame.through)
    }
}

/// Memory that a record of this many payload bytes takes.
pub(crate) fn cost(payload: usize) -> u64 {
    frame::size(payload) + OVERHEAD
}
