//! The queue itself, for one caller that may wait for the disk.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use journal::{Disk, Journal, Position, RealDisk};

use crate::accounts::Accounts;
use crate::commit::{PendingChange, UnsyncedChange};
use crate::cursor::LogCursor;
use crate::entry::{Entry, Priority, Share, Stored};
use crate::error::{OutboxError, log};
use crate::queue::Queue;
use crate::record::{LogRecord, QueuedEntry};
use crate::recovery::{self, Damage, Recovery};
use crate::staged::Staged;
use crate::state::State;
use crate::totals::{DroppedRange, Totals};

/// Entries that may be in flight (fetched and not acknowledged) at once; `fetch` gives no more of them.
pub const MAX_IN_FLIGHT: usize = 1024;
/// Bytes of bodies that one `fetch` returns; it always returns one entry.
const FETCH_BYTES: usize = 4 * 1024 * 1024;

/// Settings of an outbox.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The limit for the queued entries, in bytes; the crate's documentation says what counts.
    pub max_bytes: u64,
    /// What is dropped when the limit is reached.
    pub when_full: WhenFull,
    /// For an outbox on its own thread: how long an entry may wait for its acknowledgement before it is written to the
    /// disk; zero: every entry is written at once. See the crate's documentation.
    pub spill_after: Duration,
}

impl Options {
    /// Bytes of a segment of the log: small if the queue is small, so that space is freed in small parts.
    pub(crate) fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 8).clamp(4 * 1024, 1024 * 1024)
    }
}

/// What is dropped when the outbox is full; see the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest entries.
    DropOldest,
    /// The new entry.
    DropNewest,
}

/// One request.
#[derive(Debug, Clone)]
pub enum Change {
    /// Queue entries, and store the producer's progress.
    Append {
        /// The producer's progress after these entries; ignored if it is lower than the stored one.
        mark: u64,
        /// In the order of the `seq` they get.
        entries: Vec<Entry>,
        /// The caller's clock, in Unix milliseconds; stored with dropped ranges.
        now_ms: i64,
    },
    /// The receiver has these. Numbers that are not queued are ignored.
    Acknowledge(Vec<u64>),
    /// These can never be sent. Numbers that are not queued are ignored.
    Discard {
        seqs: Vec<u64>,
        /// The caller's clock, in Unix milliseconds.
        now_ms: i64,
    },
}

/// Shares and size of an entry in flight, so that it need not be read again.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    pub(crate) shares: Vec<Share>,
    pub(crate) size: u64,
}

/// An open outbox. See the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) journal: Journal,
    pub(crate) options: Options,
    /// The durable state.
    pub(crate) committed: State,
    /// The durable state with everything staged since.
    pub(crate) state: State,
    pub(crate) queue: Queue,
    pub(crate) staged: Staged,
    pub(crate) pending_change: PendingChange,
    /// A change that the journal has taken, and that is not durable yet.
    pub(crate) unsynced_change: Option<UnsyncedChange>,
    /// Changes that a failed call did not reach.
    pub(crate) left_over: VecDeque<Change>,
    pub(crate) in_flight: BTreeMap<u64, InFlight>,
    pub(crate) cursor: LogCursor,
    pub(crate) snapshots: crate::commit::Snapshots,
    /// The newest damage found since the outbox was opened.
    pub(crate) damage: Option<Arc<Damage>>,
}

impl Outbox {
    /// Opens the outbox in the directory `dir`, or makes a new one. Damage is counted and returned.
    ///
    /// # Errors
    /// If it cannot be read or written, is in use, or has a newer version.
    pub fn open(dir: &Path, options: Options) -> Result<(Outbox, Recovery), OutboxError> {
        Outbox::open_on(Arc::new(RealDisk), dir, options)
    }

    /// [`Outbox::open`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// See [`Outbox::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
    ) -> Result<(Outbox, Recovery), OutboxError> {
        recovery::open(disk, dir, options)
    }

    /// The mark of the last durable append; 0 if there was none.
    pub fn mark(&self) -> u64 {
        self.committed.numbers.mark
    }

    /// The number that the next entry gets.
    pub fn next_seq(&self) -> u64 {
        self.state.numbers.next_seq
    }

    /// The counters as of the last commit.
    pub fn totals(&self) -> &Totals {
        &self.committed.counters.totals
    }

    /// The counters of each account, as of the last commit.
    pub fn accounts(&self) -> &Accounts {
        &self.committed.counters.accounts
    }

    /// The newest 1,000 dropped ranges as of the last commit, oldest first. [`Totals`] counts all of them.
    pub fn dropped(&self) -> &[DroppedRange] {
        self.committed.dropped.all()
    }

    /// Stores the entries and the mark, both or neither; durable when it returns. See [`Change::Append`].
    ///
    /// # Errors
    /// See [`Outbox::apply`].
    pub fn append(&mut self, mark: u64, entries: Vec<Entry>, now_ms: i64) -> Result<(), OutboxError> {
        self.apply(vec![Change::Append { mark, entries, now_ms }])
    }

    /// Removes entries that the receiver has from the queue, and counts them as published.
    ///
    /// # Errors
    /// See [`Outbox::apply`].
    pub fn acknowledge(&mut self, seqs: &[u64]) -> Result<(), OutboxError> {
        self.apply(vec![Change::Acknowledge(seqs.to_vec())])
    }

    /// Removes entries that can never be sent from the queue, and counts them as dropped.
    ///
    /// # Errors
    /// See [`Outbox::apply`].
    pub fn discard(&mut self, seqs: &[u64], now_ms: i64) -> Result<(), OutboxError> {
        self.apply(vec![Change::Discard { seqs: seqs.to_vec(), now_ms }])
    }

    /// The oldest entries of a priority after `after`, `max` at most; they are in flight from now on and stay so until
    /// they are acknowledged or discarded, or the process ends. The caller passes 0 to start from the beginning, then the
    /// last `seq` it got. There may be more entries if fewer than `max` are returned: one answer holds about 4 MiB, and at
    /// most [`MAX_IN_FLIGHT`] entries are in flight. An empty answer means that there are no more, unless that many are
    /// in flight.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn fetch(&mut self, priority: Priority, after: u64, max: usize) -> Result<Vec<Stored>, OutboxError> {
        let mut found = Vec::new();
        let (mut bytes, mut after) = (0_usize, after);
        while found.len() < max && bytes < FETCH_BYTES {
            let Some(seq) = self.queue.after(priority, after).next() else { break };
            let is_new = !self.in_flight.contains_key(&seq);
            if seq > self.newest_seq() || (is_new && self.in_flight.len() >= MAX_IN_FLIGHT) {
                break;
            }
            after = seq;
            // Damaged entries are left out.
            let Some(entry) = self.entry(seq)? else { continue };
            bytes = bytes.saturating_add(entry.body.len());
            self.in_flight.insert(seq, InFlight { shares: entry.shares.clone(), size: entry.size() });
            found.push(entry.to_stored());
        }
        Ok(found)
    }

    /// The newest entry that can be fetched; with `spill_after` zero it is durable.
    pub(crate) fn newest_seq(&self) -> u64 {
        let state = if self.options.spill_after.is_zero() { &self.committed } else { &self.state };
        state.numbers.next_seq.saturating_sub(1)
    }

    /// A queued entry; `None` if it is not queued, or is damaged, which is counted then.
    pub(crate) fn entry(&mut self, seq: u64) -> Result<Option<Arc<QueuedEntry>>, OutboxError> {
        if let Some(entry) = self.queue.in_memory(seq) {
            return Ok(Some(Arc::clone(entry)));
        }
        let Some(position) = self.queue.position(seq) else { return Ok(None) };
        match self.read(position)? {
            Some(LogRecord::Entry(entry)) if entry.seq == seq => Ok(Some(Arc::new(entry))),
            _ => {
                self.count_after_damage()?;
                Ok(None)
            }
        }
    }

    fn read(&mut self, position: Position) -> Result<Option<LogRecord>, OutboxError> {
        let payload = self.cursor.read(&self.journal, position).map_err(log(&self.dir))?;
        Ok(payload.and_then(|payload| LogRecord::decode(&payload)))
    }
}
