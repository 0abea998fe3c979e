//! The queue itself, for one caller that may wait for the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior, params};

use crate::commit::Commit;
use crate::entry::{Entry, Priority, Stored};
use crate::error::{OutboxError, during};
use crate::schema::{self, State, key};
use crate::totals::{DroppedRange, Totals};

/// Entries that may be in flight (fetched and not acknowledged) at once; `fetch` gives no more of them.
pub const MAX_IN_FLIGHT: usize = 1024;
/// Bodies that one `fetch` gives, in bytes; one entry it gives always.
const FETCH_BYTES: usize = 4 * 1024 * 1024;

/// How an outbox is kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The limit for the queued entries, in bytes; what counts is told in the crate's documentation.
    pub max_bytes: u64,
    /// What goes when the limit is reached.
    pub when_full: WhenFull,
}

/// What is dropped when there is no room; see the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// What has waited longest.
    DropOldest,
    /// What comes now.
    DropNewest,
}

/// One thing to do in a transaction.
#[derive(Debug, Clone)]
pub enum Change {
    /// Queue entries, and remember how far the producer is.
    Append {
        /// The producer's progress that these entries are the outcome of; an earlier one than before is not stored.
        mark: u64,
        /// In the order of the `seq` they get.
        entries: Vec<Entry>,
        /// The caller's clock, in Unix milliseconds; kept with what is dropped.
        now_ms: i64,
    },
    /// The other side has these. Numbers that are not queued are ignored.
    Acknowledge(Vec<u64>),
    /// These can never be sent. Numbers that are not queued are ignored.
    Discard {
        /// Which.
        seqs: Vec<u64>,
        /// The caller's clock, in Unix milliseconds.
        now_ms: i64,
    },
}

/// An open outbox. See the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    connection: Connection,
    options: Options,
    state: State,
    in_flight: BTreeSet<u64>,
}

impl Outbox {
    /// Opens the file at `path`, or makes a new one.
    ///
    /// # Errors
    /// Where the file cannot be opened, is damaged, in use, of a newer schema or no outbox. It is left as it was then.
    pub fn open(path: &Path, options: Options) -> Result<Outbox, OutboxError> {
        let connection = schema::open(path)?;
        let state = State::load(&connection).map_err(during("read", path))?;
        Ok(Outbox { path: path.to_path_buf(), connection, options, state, in_flight: BTreeSet::new() })
    }

    /// The mark of the last append; 0 where there was none.
    pub fn mark(&self) -> u64 {
        self.state.mark
    }

    /// The number that the next entry gets.
    pub fn next_seq(&self) -> u64 {
        self.state.next_seq
    }

    /// The books as of the last commit.
    pub fn totals(&self) -> &Totals {
        &self.state.totals
    }

    /// Stores the entries and the mark, both or neither; durable when it returns. See [`Change::Append`].
    ///
    /// # Errors
    /// Where the disk refuses; nothing has changed then.
    pub fn append(&mut self, mark: u64, entries: Vec<Entry>, now_ms: i64) -> Result<(), OutboxError> {
        self.apply(&[Change::Append { mark, entries, now_ms }])
    }

    /// Takes what the other side has from the queue and counts it as published.
    ///
    /// # Errors
    /// Where the disk refuses; nothing has changed then.
    pub fn acknowledge(&mut self, seqs: &[u64]) -> Result<(), OutboxError> {
        self.apply(&[Change::Acknowledge(seqs.to_vec())])
    }

    /// Takes what never can be sent from the queue and counts it as dropped.
    ///
    /// # Errors
    /// Where the disk refuses; nothing has changed then.
    pub fn discard(&mut self, seqs: &[u64], now_ms: i64) -> Result<(), OutboxError> {
        self.apply(&[Change::Discard { seqs: seqs.to_vec(), now_ms }])
    }

    /// Does all of it in one transaction, in order; durable when it returns.
    ///
    /// # Errors
    /// Where the disk refuses; nothing has changed then.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), OutboxError> {
        let write = during("write to", &self.path);
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&write)?;
        let mut commit = Commit::new(&transaction, self.options, &self.in_flight, self.state.clone());
        changes.iter().try_for_each(|change| commit.apply(change)).map_err(&write)?;
        let (state, gone) = commit.finish().map_err(&write)?;
        transaction.commit().map_err(&write)?;
        self.state = state;
        for seq in gone {
            self.in_flight.remove(&seq);
        }
        Ok(())
    }

    /// The oldest entries of a priority after `after`, `max` at most; they are in flight from now on and stay so until
    /// they are acknowledged or discarded, or the process ends. The caller keeps its place: 0 to begin (again), then the
    /// last `seq` it got. Fewer than `max` does not mean that there are no more: one answer holds about 4 MiB, and no
    /// more than [`MAX_IN_FLIGHT`] entries are in flight. None at all does, unless that many are.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn fetch(&mut self, priority: Priority, after: u64, max: usize) -> Result<Vec<Stored>, OutboxError> {
        self.fetch_except(priority, after, max, &BTreeSet::new())
    }

    /// As `fetch`, as if the entries in `gone` were not there.
    pub(crate) fn fetch_except(
        &mut self,
        priority: Priority,
        after: u64,
        max: usize,
        gone: &BTreeSet<u64>,
    ) -> Result<Vec<Stored>, OutboxError> {
        let found = self.read(priority, after, max, gone).map_err(during("read", &self.path))?;
        self.in_flight.extend(found.iter().map(|stored| stored.seq));
        Ok(found)
    }

    fn read(
        &self,
        priority: Priority,
        after: u64,
        max: usize,
        gone: &BTreeSet<u64>,
    ) -> rusqlite::Result<Vec<Stored>> {
        let mut room = MAX_IN_FLIGHT.saturating_sub(self.in_flight.len());
        let mut bytes: usize = 0;
        let mut found = Vec::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT seq, weight, topic, body FROM queue WHERE priority = ?1 AND seq > ?2 ORDER BY seq",
        )?;
        let mut rows = statement.query(params![priority.code(), key(after)])?;
        while found.len() < max && bytes < FETCH_BYTES {
            let Some(row) = rows.next()? else { break };
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            if gone.contains(&seq) {
                continue;
            }
            if !self.in_flight.contains(&seq) {
                let Some(less) = room.checked_sub(1) else { break };
                room = less;
            }
            let stored =
                Stored { seq, priority, weight: row.get(1)?, topic: row.get(2)?, bytes: row.get(3)? };
            bytes = bytes.saturating_add(stored.bytes.len());
            found.push(stored);
        }
        Ok(found)
    }

    /// What was dropped: the newest 1,000 ranges, oldest first. [`Totals`] counts all of it.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn dropped(&self) -> Result<Vec<DroppedRange>, OutboxError> {
        schema::dropped_ranges(&self.connection).map_err(during("read", &self.path))
    }
}
