//! Append-only, checksummed records in segment files: what must survive a crash.
//!
//! The journal knows nothing of what it keeps. A record is bytes with a [`Position`]; whoever appends decides when to
//! [`sync`](Journal::sync), when its state is safe elsewhere (a checkpoint) and what may be deleted.
//!
//! # Constraints
//! - One writer a directory, held by a lock on the directory. Readers never change anything.
//! - Positions are 1, 2, 3 … and never start again while one segment is left. What a power cut took before it was
//!   synced is gone *with its position*: open with the position after the newest one that any other durable store
//!   has seen (`at_least`), and no position ever means two things.
//! - An append is one `write(2)`: it survives the death of the process at once, a power cut after the next sync.
//! - Reading holds one segment in memory.
//!
//! # Layout
//! A segment is a file named after its first position, `00000000000000000001.journal`. Integers are little-endian.
//! ```text
//! segment: magic "SEGMENT\n" | version u32 | first position u64 | crc32 u32 of what stands before | frame | frame …
//! frame:   crc32 u32 of what follows | payload length u32 | position u64 | payload
//! ```
//! Within a segment positions have no gaps. Later versions keep the segment's 24 header bytes as they are here, so that
//! every version can refuse what is newer than itself.
//!
//! # Deletion
//! [`Journal::truncate_before`] deletes whole segments, oldest first. The newest segment always stays, even when it is
//! empty: its name is what keeps positions from starting again. A new segment is synced, and its directory with it,
//! before an older one goes. (Where a file system cannot sync a directory, that step is skipped.)
//!
//! # Corruption
//! - A tail that is not a whole frame (a torn write, zeros after a power cut) is cut at `open` and counted in bytes.
//! - A damaged frame costs that one record. The next is found by the frame's length or, where the length is what was
//!   damaged, by looking for the next valid frame that could stand there. Positions tell how many were lost.
//! - A damaged segment header costs nothing: the file's name says the same. `open` writes it anew.

mod error;
mod frame;
mod reader;
mod scan;
mod segment;
mod sync;
mod writer;

pub use error::JournalError;
pub use frame::MAX_PAYLOAD_BYTES;
pub use reader::{Reader, Records};
pub use sync::SyncHandle;
pub use writer::Journal;

use std::fmt;

/// The number of a record: 1, 2, 3 …; 0 stands before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// Where a journal that never held anything begins.
    pub const FIRST: Position = Position(1);

    /// The position after this one; the last one stays where it is.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }

    /// The position before this one; 0 stays where it is.
    #[must_use]
    pub fn previous(self) -> Position {
        Position(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment that an append would make longer than this, in bytes, is closed and the next one begun; a segment
    /// holds one record at least. Taken as 64 MiB where it is more.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: 16 * 1024 * 1024 }
    }
}

/// What `open` (or [`Reader::check`]) found in the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The oldest record that can be read.
    pub first: Option<Position>,
    /// The position the next append gets.
    pub next: Position,
    /// Records that can be read.
    pub records: u64,
    /// Bytes at the ends of segments that were no whole frame.
    pub torn_bytes: u64,
    /// Records lost to damage within a segment.
    pub corrupt_records: u64,
    /// Segments whose header was damaged; no record is lost by it.
    pub corrupt_headers: u64,
}

impl Recovery {
    /// Takes in what a later segment holds.
    fn add(&mut self, segment: &Recovery) {
        self.first = self.first.or(segment.first);
        self.next = self.next.max(segment.next);
        self.records += segment.records;
        self.torn_bytes += segment.torn_bytes;
        self.corrupt_records += segment.corrupt_records;
        self.corrupt_headers += segment.corrupt_headers;
    }
}
