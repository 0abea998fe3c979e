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
//! - A record that is not durable is kept in memory too, [`MAX_HELD_BYTES`] of them at most, so that it can be written
//!   again. Only the newest segment has such records: a segment is synced before the next one begins.
//! - Reading holds one segment in memory.
//!
//! # Trouble
//! A disk that refuses does not stop the journal: an append takes the record and [`Journal::trouble`] tells why it is
//! not written. The disk is asked again by [`Journal::retry`] and [`Journal::sync`] only, when the caller thinks best.
//! - A write that fails is cut away, and made again in the same place.
//! - A sync that fails is never made again: the system may have dropped what it could not write, and say of the next
//!   sync that all is well. The file is given up, and all that is not durable is written to a new segment.
//! - The empty file `segment.tmp` tells the next process of a failed sync. Until the power is cut, the newest segment
//!   may read well though the disk does not hold it; `open` writes it anew then. Not covered: a process that dies
//!   between the failed sync and that note, or that cannot write the note either.
//! - Where a sync at `open` fails, what the process before had written and not synced may be lost.
//!
//! # Layout
//! A segment is a file named after its first position, `00000000000000000001.journal`. Integers are little-endian.
//! ```text
//! segment: magic "SEGMENT\n" | format u16 | content u16 | first position u64 | crc32 u32 of this | frame | frame …
//! frame:   crc32 u32 of what follows | payload length u32 | position u64 | payload
//! ```
//! Within a segment positions have no gaps. Records at or beyond the first position of the next segment are not read:
//! they were written anew there. `content` is [`Options::content`].
//! Later versions keep the segment's 24 header bytes as they are here, so that every version can refuse what is newer
//! than itself.
//!
//! A segment comes to its name by a rename, when it is whole and synced: `segment.tmp` is one on its way.
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
//! - Nothing is appended behind a damaged last frame, so that it stays counted: a new segment begins.
//! - A damaged segment header costs nothing: the file's name and the rest of the header say the same. `open` writes it
//!   anew. Where nothing of the header is left, the records are taken for the caller's own content.

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
    /// The version of what the records hold: the caller's business. Every segment tells it, every [`Record`] comes
    /// back with it, and a segment of a newer one is refused.
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
