//! The log of one lane: its journal, which numbers each segment holds, and the newest entries in memory.
//!
//! Every entry that some sink needs is in memory or in the journal. All from [`LaneLog::memory_from`] on are in memory, so
//! that an entry that was just written is not read back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{Journal, JournalError, Position, Record};

use crate::entry::Numbered;
use crate::error::{OutboxError, log};
use crate::frame::Frame;
use crate::lane::Lane;
use crate::seqs::SeqSet;

/// Entries of a lane that are kept in memory although they are in the log, in bytes.
const MEMORY_BYTES: u64 = 1024 * 1024;

/// The directory of a lane's log.
pub(crate) fn directory(dir: &Path, lane: Lane) -> PathBuf {
    dir.join(lane.as_str())
}

/// A segment of a lane's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Its first position.
    pub(crate) first: Position,
    pub(crate) bytes: u64,
    /// The first and the last number of its entries; `None` if it has none.
    pub(crate) seqs: Option<(u64, u64)>,
}

/// A frame in the log: its position, and the numbers that it covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FramePlace {
    pub(crate) position: Position,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

#[derive(Debug)]
pub(crate) struct LaneLog {
    pub(crate) lane: Lane,
    pub(crate) journal: Journal,
    dir: PathBuf,
    /// The numbers in each segment, by its first position.
    seqs: BTreeMap<Position, (u64, u64)>,
    /// The number of the newest entry in the log; 0 if there was none.
    pub(crate) last_written: u64,
    /// The number of the newest entry, written or not.
    pub(crate) last: u64,
    /// Entries that some sink needs.
    memory: BTreeMap<u64, Arc<Numbered>>,
    memory_bytes: u64,
    /// All needed entries from this number on are in `memory`.
    pub(crate) memory_from: u64,
}

impl LaneLog {
    /// `dir`: the outbox's directory; `next`: the number of the next entry; `scan`: what the log holds.
    pub(crate) fn new(dir: &Path, lane: Lane, journal: Journal, next: u64, scan: &Scan) -> LaneLog {
        let mut log = LaneLog {
            lane,
            journal,
            dir: dir.to_path_buf(),
            seqs: BTreeMap::new(),
            last_written: scan.last,
            last: scan.last,
            memory: BTreeMap::new(),
            memory_bytes: 0,
            memory_from: next,
        };
        log.frames_written(&scan.frames);
        log
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Frames that are durable now.
    pub(crate) fn frames_written(&mut self, frames: &[FramePlace]) {
        if frames.is_empty() {
            return;
        }
        let firsts: Vec<Position> = self.journal.segments().map(|(first, _)| first).collect();
        for frame in frames {
            let at = firsts.partition_point(|first| *first <= frame.position);
            let Some(first) = at.checked_sub(1).and_then(|at| firsts.get(at)) else { continue };
            let seqs = self.seqs.entry(*first).or_insert((frame.first, frame.last));
            seqs.1 = seqs.1.max(frame.last);
        }
    }

    /// All segments, oldest first; the last one is the one that frames are appended to.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        let segment = |(first, bytes)| Segment { first, bytes, seqs: self.seqs.get(&first).copied() };
        self.journal.segments().map(segment).collect()
    }

    /// Deletes a segment that is not the newest.
    pub(crate) fn remove_segment(&mut self, first: Position) -> Result<(), OutboxError> {
        self.journal.remove_segment(first).map_err(log(&self.dir))?;
        self.seqs.remove(&first);
        Ok(())
    }

    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<Position, OutboxError> {
        let taken = match self.journal.append(payload) {
            Err(JournalError::Full { .. }) => self.journal.sync().and_then(|_| self.journal.append(payload)),
            taken => taken,
        };
        taken.map_err(log(&self.dir))
    }

    pub(crate) fn sync(&mut self) -> Result<(), OutboxError> {
        self.journal.sync().map_err(log(&self.dir)).map(drop)
    }

    /// The newest position that was appended.
    pub(crate) fn end(&self) -> Position {
        self.journal.next().previous()
    }

    /// Adds a new entry.
    pub(crate) fn push(&mut self, entry: Arc<Numbered>) {
        self.memory_bytes = self.memory_bytes.saturating_add(entry.size());
        self.memory.insert(entry.seq, entry);
    }

    /// No sink needs this number any more.
    pub(crate) fn forget(&mut self, seq: u64) {
        if let Some(entry) = self.memory.remove(&seq) {
            self.memory_bytes = self.memory_bytes.saturating_sub(entry.size());
        }
    }

    /// Removes the oldest entries from memory if there are too many. All before `next` must be durable.
    pub(crate) fn evict(&mut self, next: u64) {
        while self.memory_bytes > MEMORY_BYTES
            && let Some((seq, _)) = self.memory.first_key_value()
            && *seq < next
        {
            let seq = *seq;
            self.forget(seq);
            self.memory_from = seq.saturating_add(1);
        }
    }

    pub(crate) fn in_memory(&self) -> impl Iterator<Item = &Arc<Numbered>> {
        self.memory.values()
    }

    pub(crate) fn in_memory_from(&self, seq: u64) -> impl Iterator<Item = &Arc<Numbered>> {
        self.memory.range(seq..).map(|(_, entry)| entry)
    }

    pub(crate) fn entry_in_memory(&self, seq: u64) -> Option<&Arc<Numbered>> {
        self.memory.get(&seq)
    }

    /// All frames from the segment with this first position on.
    pub(crate) fn read_from(&self, first: Position) -> Result<journal::Records, OutboxError> {
        self.journal.read_from(first).map_err(log(&self.dir))
    }

    /// Where to begin to read if `seq` is wanted.
    pub(crate) fn position_before(&self, seq: u64) -> Position {
        let holds = |(first, (_, last)): (&Position, &(u64, u64))| (*last >= seq).then_some(*first);
        self.seqs.iter().find_map(holds).unwrap_or(self.journal.next())
    }
}

/// What a lane's log holds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) frames: Vec<FramePlace>,
    /// The numbers that frames account for: their entries, and numbers between entries that are not in this log.
    pub(crate) covered: SeqSet,
    /// The numbers of the entries.
    pub(crate) found: SeqSet,
    /// The number of the newest entry; 0 if there is none.
    pub(crate) last: u64,
    /// The newest record that could be read.
    pub(crate) newest: Position,
}

impl Scan {
    /// Reads records up to the position `until`, and gives every entry to `each`.
    pub(crate) fn of(
        lane: Lane,
        records: impl Iterator<Item = Result<Record, JournalError>>,
        until: Position,
        mut each: impl FnMut(Numbered),
    ) -> Result<Scan, JournalError> {
        let mut scan = Scan::default();
        for record in records {
            let Record { position, payload, .. } = record?;
            if position > until {
                break;
            }
            scan.newest = position;
            let Some(frame) = Frame::decode(lane, &payload) else { continue };
            let (first, last) = (frame.previous.saturating_add(1), frame.last());
            scan.covered.insert_range(first, last);
            scan.last = scan.last.max(last);
            scan.frames.push(FramePlace { position, first, last });
            for entry in frame.entries {
                scan.found.insert(entry.seq);
                each(entry);
            }
        }
        Ok(scan)
    }
}
