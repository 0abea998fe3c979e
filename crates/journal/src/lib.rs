//! An append-only log of checksummed records in segment files, which survives crashes and power cuts.
//!
//! The journal does not interpret its records. A record is bytes with a [`Position`]. The caller decides when to
//! [`sync`](Journal::sync), when its state is safe elsewhere (a checkpoint), and what may be deleted.
//!
//! # Constraints
//! - One writer a directory, held by a lock on the directory. Readers never change anything.
//! - Positions are 1, 2, 3 and so on; they never start again while one segment is left. A record that a power cut took
//!   before it was synced is lost *with its position*, which may be used again. If other durable stores contain positions,
//!   pass the one after the newest of them to `open` (`at_least`): then no position means two records.
//! - An append is one `write(2)`: it survives the death of the process at once, a power cut after the next sync.
//! - Records that are not durable are kept in memory too, at most [`MAX_HELD_BYTES`], so that they can be written again. Only the newest segment has such records: a segment is synced before the next one begins.
//! - Reading holds one segment in memory.
//!
//! # Write errors
//! A disk that refuses does not stop the journal: an append accepts the record, and [`Journal::write_error`] says why it is
//! not written. Only [`Journal::retry`] and [`Journal::sync`] try again, so that the caller decides when.
//! - A write that failed is cut off and repeated at the same place.
//! - A sync that failed is never repeated: the system may have dropped the data that it could not write, and the next sync
//!   would succeed without it. The file is abandoned, and all records that are not durable are written to a new segment.
//! - The file `segment.tmp` tells the next process that a sync failed. Until the power is cut, the newest segment may be
//!   readable although the disk does not have it; `open` writes it again then. Not covered: a process that dies
//!   between the failed sync and that note, or that cannot create that file.
//! - If a sync in `open` fails, records that the process before wrote and did not sync may be lost.
//!
//! # Layout
//! A segment is a file named after its first position, `00000000000000000001.journal`. Integers are little-endian.
//! ```text
//! segment: magic "SEGMENT\n" | format u16 | content u16 | first position u64 | crc32 u32 of this | frame | frame …
//! frame:   crc32 u32 of what follows | payload length u32 | position u64 | payload
//! ```
//! Within a segment positions have no gaps. Records at or beyond the first position of the next segment are not
//! read: they were written again there. `content` is [`Options::content`].
//! Later versions keep the layout of these 24 header bytes, so that every version can refuse a newer one.
//!
//! A segment is written as `segment.tmp`, synced, and then renamed.
//!
//! # Deletion
//! [`Journal::truncate_before`] deletes whole segments, oldest first. The newest segment always stays, even when it is
//! empty: its name prevents positions from starting again. [`Journal::remove_segment`] deletes one of the others. A new segment is synced, and its directory with it,
//! before an older one is deleted. (If a file system cannot sync directories, that step is skipped.)
//!
//! [`Journal::open_cut`] deletes the newest records: those that the caller wrote and never committed.
//!
//! # Corruption
//! - A tail that is not a whole frame (a torn write, zeros after a power cut) is cut off in `open` and counted in bytes.
//! - A damaged frame costs one record. The next frame is found by the damaged one's length or, if the length is damaged,
//!   by searching for the next valid frame. Positions show how many records were lost.
//! - After a damaged last frame a new segment begins, so that the damage stays countable.
//! - A damaged segment header costs nothing: the file's name and the rest of the header have the same information. `open`
//!   writes it again. If nothing of the header is left, the content is assumed to be the caller's.

mod current;
mod disk;
mod error;
mod frame;
mod header;
mod held;
mod reader;
mod recover;
mod scan;
mod segment;
mod sync;
mod writer;

pub use disk::{DirLock, Disk, DiskFile, RealDisk, replace_file};
pub use error::JournalError;
pub use frame::MAX_PAYLOAD_BYTES;
pub use held::MAX_HELD_BYTES;
pub use reader::{Reader, Record, Records};
pub use sync::SyncHandle;
pub use writer::Journal;

use std::fmt;

/// The number of a record: 1, 2, 3 and so on; 0 is before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The position of the first record.
    pub const FIRST: Position = Position(1);

    /// The position after this one; the last one stays the same.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }

    /// The position before this one; 0 stays the same.
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

/// Settings of a journal.
#[derive(Debug, Clone)]
pub struct Options {
    /// If an append would make a segment longer than this, in bytes, the next segment begins. A segment has one record at
    /// least. At most 64 MiB.
    pub segment_bytes: u64,
    /// The caller's version of the records' content. It is stored in every segment and returned with every [`Record`]; a
    /// segment with a newer one is refused.
    pub content: u16,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: 16 * 1024 * 1024, content: 0 }
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
    /// Bytes at the ends of segments that were not a whole frame.
    pub torn_bytes: u64,
    /// Records lost to damage within a segment.
    pub corrupt_records: u64,
    /// Segments whose header was damaged; no record is lost by it.
    pub corrupt_headers: u64,
}

impl Recovery {
    /// Adds what a later segment has.
    fn add(&mut self, segment: &Recovery) {
        self.first = self.first.or(segment.first);
        self.next = self.next.max(segment.next);
        self.records += segment.records;
        self.torn_bytes += segment.torn_bytes;
        self.corrupt_records += segment.corrupt_records;
        self.corrupt_headers += segment.corrupt_headers;
    }
}
