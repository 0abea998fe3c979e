//! The queue itself, for one caller that may wait for the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::accounts::Accounts;
use crate::commit::Queued;
use crate::entry::{Entry, Priority, Stored};
use crate::error::{OutboxError, corrupt, during};
use crate::ranges;
use crate::recovery::{Damage, Recovery};
use crate::row::{COLUMNS, QueueRow, keys, parts};
use crate::state::State;
use crate::totals::{DroppedRange, Totals};
use crate::unsaved::Unsaved;

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
    /// For an outbox on its own thread: how long an entry may wait for its acknowledgement before it is written to the
    /// disk; zero: every entry is written at once. See the crate's documentation.
    pub spill_after: Duration,
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
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) options: Options,
    /// As the disk has it.
    pub(crate) committed: State,
    /// With what was staged since.
    pub(crate) state: State,
    pub(crate) unsaved: Unsaved,
    /// Whether a transaction is open that holds what is unsaved.
    pub(crate) is_open: bool,
    /// Whether a commit that came to nothing may stand in the log, behind those that count. See `transaction.rs`.
    pub(crate) may_have_ghosts: bool,
    pub(crate) in_flight: BTreeMap<u64, Queued>,
    /// Whether the file was found damaged and could not be repaired yet; the connection leads nowhere then.
    pub(crate) is_broken: bool,
    /// The damage that was found and repaired since the outbox was opened, newest.
    pub(crate) damage: Option<Arc<Damage>>,
}

impl Outbox {
    /// Opens the file at `path`, or makes a new one. An older schema is migrated; damage is repaired as far as it can be,
    /// and told of.
    ///
    /// # Errors
    /// Where the file cannot be opened or written, is in use, of a newer schema or no outbox.
    pub fn open(path: &Path, options: Options) -> Result<(Outbox, Recovery), OutboxError> {
        let (connection, state, recovery) = crate::recovery::open(path)?;
        let outbox = Outbox {
            path: path.to_path_buf(),
            connection,
            options,
            committed: state.clone(),
            state,
            unsaved: Unsaved::default(),
            is_open: false,
            may_have_ghosts: true,
            in_flight: BTreeMap::new(),
            is_broken: false,
            damage: None,
        };
        Ok((outbox, recovery))
    }

    /// The mark of the last append that is on the disk; 0 where there was none.
    pub fn mark(&self) -> u64 {
        self.committed.mark
    }

    /// The number that the next entry gets.
    pub fn next_seq(&self) -> u64 {
        self.state.next_seq
    }

    /// The books as of the last commit.
    pub fn totals(&self) -> &Totals {
        &self.committed.books.totals
    }

    /// The books of each account, as of the last commit.
    pub fn accounts(&self) -> &Accounts {
        &self.committed.books.accounts
    }

    pub(crate) fn shared_accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.committed.books.accounts)
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
        let found = self.repairing(|outbox| {
            outbox.begin_where_unsaved()?;
            outbox.read(priority, after, max, gone).map_err(during("read", &outbox.path))
        })?;
        self.in_flight.extend(found.iter().map(|row| (row.seq, Queued::of(row))));
        Ok(found.into_iter().map(QueueRow::into_stored).collect())
    }

    fn read(
        &self,
        priority: Priority,
        after: u64,
        max: usize,
        gone: &BTreeSet<u64>,
    ) -> rusqlite::Result<Vec<QueueRow>> {
        let mut room = MAX_IN_FLIGHT.saturating_sub(self.in_flight.len());
        let mut bytes: usize = 0;
        let mut found = Vec::new();
        let query = format!("SELECT {COLUMNS} FROM queue WHERE key BETWEEN ?1 AND ?2 ORDER BY key");
        let mut statement = self.connection.prepare_cached(&query)?;
        let [first, last] = keys(priority, after);
        let mut rows = statement.query(params![first, last])?;
        while found.len() < max && bytes < FETCH_BYTES {
            let Some(row) = rows.next()? else { break };
            let (_, seq) = parts(row.get(0)?);
            if gone.contains(&seq) {
                continue;
            }
            if !self.in_flight.contains_key(&seq) {
                let Some(less) = room.checked_sub(1) else { break };
                room = less;
            }
            let row = QueueRow::read(row)?.ok_or_else(corrupt)?;
            bytes = bytes.saturating_add(row.body.len());
            found.push(row);
        }
        Ok(found)
    }

    /// What was dropped: the newest 1,000 ranges, oldest first. [`Totals`] counts all of it.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn dropped(&self) -> Result<Vec<DroppedRange>, OutboxError> {
        ranges::all(&self.connection).map_err(during("read", &self.path))
    }
}
