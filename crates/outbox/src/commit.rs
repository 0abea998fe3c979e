//! Commits staged changes, writes snapshots, and deletes or compacts old segments of the log.
//!
//! A commit writes the new entries, then a change that makes them part of the queue, then syncs. If that fails, the journal
//! keeps the records it accepted and the rest stays staged; the next commit continues there.

use std::sync::Arc;

use journal::{JournalError, Position};
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::error::{OutboxError, log};
use crate::record::{Change, Delta, QueuedEntry};
use crate::seqs::SeqSet;
use crate::snapshot::Snapshot;
use crate::staged::Staged;
use crate::state::State;
use crate::store::{self, Outbox};

/// The log may be larger than twice the queue by so many segments.
const SPARE_SEGMENTS: u64 = 4;
/// From one snapshot to the next the log grows by a segment, or by this many bytes for each queued entry if that is more,
/// but not by more than [`SPARE_SEGMENTS`]: a snapshot may need a few bytes for each entry.
const BYTES_PER_ENTRY: u64 = 16;

/// Entries that the journal has accepted, without the change that makes them part of the queue.
#[derive(Debug)]
pub(crate) struct PendingChange {
    entries_from: Option<Position>,
    added: SeqSet,
    /// The last change, and the accounts before it.
    previous: (Delta, Arc<Accounts>),
}

impl PendingChange {
    /// `last`: the last change; `before`: the accounts before it.
    pub(crate) fn after(last: Delta, before: Arc<Accounts>) -> PendingChange {
        PendingChange { entries_from: None, added: SeqSet::default(), previous: (last, before) }
    }
}

/// A change that the journal has accepted and that is not durable yet.
#[derive(Debug)]
pub(crate) struct UnsyncedChange {
    state: State,
    position: Position,
}

/// Which snapshots were written, and when the next one is due.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// The generation of the next one.
    pub(crate) generation: u64,
    /// The position of the newest one.
    pub(crate) newest: Position,
    /// The position of the one before; the log is kept from there on.
    pub(crate) older: Position,
    /// The newest change that is durable.
    pub(crate) last_change: Position,
    /// How many bytes the journal had appended when the newest one was written.
    pub(crate) appended: u64,
    /// Why the last attempt to write a snapshot or to delete segments failed.
    pub(crate) error: Option<OutboxError>,
}

impl Outbox {
    /// Applies all changes in order. They, and everything staged before, are durable when it returns.
    ///
    /// # Errors
    /// If the disk refuses. The changes are kept, and the next call that succeeds stores them.
    pub fn apply(&mut self, changes: Vec<store::Change>) -> Result<(), OutboxError> {
        self.left_over.extend(changes);
        while let Some(mut change) = self.left_over.pop_front() {
            let staged = self.stage(&mut change, Instant::now());
            if staged.is_err() {
                self.left_over.push_front(change);
            }
            staged?;
        }
        self.commit()
    }

    /// Makes the staged changes durable.
    pub(crate) fn commit(&mut self) -> Result<(), OutboxError> {
        self.sync()?;
        while !self.staged.is_empty() || !self.pending_change.added.is_empty() {
            self.write_change()?;
            self.sync()?;
        }
        self.snapshots.error = self.reclaim_space().err();
        Ok(())
    }

    /// Makes the staged changes durable and part of a snapshot, so that damage to them cannot be mistaken for a power cut.
    ///
    /// # Errors
    /// If the disk refuses; the staged changes are kept.
    pub fn flush(&mut self) -> Result<(), OutboxError> {
        self.apply(Vec::new())?;
        // What turned out to be damaged on the way is staged, too.
        while !self.staged.is_empty() {
            self.commit()?;
        }
        if self.snapshots.last_change > self.snapshots.newest { self.write_snapshot() } else { Ok(()) }
    }

    /// Writes a change without content, and a snapshot after it.
    pub(crate) fn write_recovered_state(&mut self) -> Result<(), OutboxError> {
        self.write_change()?;
        self.sync()?;
        self.write_snapshot()
    }

    /// Hands everything that is staged to the journal.
    fn write_change(&mut self) -> Result<(), OutboxError> {
        while let Some(seq) = self.staged.entries.keys().next().copied() {
            let Some(entry) = self.queue.in_memory(seq).cloned() else {
                // Staged entries are always in memory.
                self.staged.entries.remove(&seq);
                continue;
            };
            self.append_entry(&entry)?;
            self.staged.remove_entry(seq, entry.size());
        }
        let mut state = self.state.clone();
        state.numbers.changes = state.numbers.changes.saturating_add(1);
        let delta = Delta {
            entries_from: self.pending_change.entries_from.unwrap_or(self.journal.next()).0,
            first_seq: self.committed.numbers.next_seq,
            added: self.pending_change.added.clone(),
            removed: self.staged.removed.clone(),
            dropped: self.staged.dropped.clone(),
        };
        let (previous, accounts) = &self.pending_change.previous;
        let change = Change::new(&state, accounts, delta.clone(), previous.clone());
        let position = self.append_to_log(&change.encode())?;
        let before = Arc::clone(&self.committed.counters.accounts);
        self.pending_change = PendingChange::after(delta, before);
        self.staged = Staged::default();
        self.state = state.clone();
        self.unsynced_change = Some(UnsyncedChange { state, position });
        Ok(())
    }

    /// Writes an entry to the log. The next change makes it part of the queue.
    fn append_entry(&mut self, entry: &QueuedEntry) -> Result<(), OutboxError> {
        let position = self.append_to_log(&entry.encode())?;
        self.pending_change.entries_from.get_or_insert(position);
        self.pending_change.added.insert(entry.seq);
        self.queue.moved(entry, position);
        Ok(())
    }

    fn append_to_log(&mut self, payload: &[u8]) -> Result<Position, OutboxError> {
        let taken = match self.journal.append(payload) {
            Err(JournalError::Full { .. }) => self.journal.sync().and_then(|_| self.journal.append(payload)),
            taken => taken,
        };
        taken.map_err(log(&self.dir))
    }

    /// Syncs the journal.
    fn sync(&mut self) -> Result<(), OutboxError> {
        if self.unsynced_change.is_none() {
            return Ok(());
        }
        self.journal.sync().map_err(log(&self.dir))?;
        if let Some(UnsyncedChange { state, position }) = self.unsynced_change.take() {
            self.committed = state;
            self.snapshots.last_change = position;
            self.queue.evict(self.committed.numbers.next_seq);
        }
        Ok(())
    }

    /// Writes a snapshot if one is due, and deletes or compacts old segments. Nothing may be staged.
    fn reclaim_space(&mut self) -> Result<(), OutboxError> {
        let appended = self.journal.appended_bytes().saturating_sub(self.snapshots.appended);
        let entries = self.committed.counters.totals.queued.entries;
        let segment = self.options.segment_bytes();
        let enough = entries.saturating_mul(BYTES_PER_ENTRY).clamp(segment, SPARE_SEGMENTS * segment);
        if appended >= enough && self.snapshots.last_change > self.snapshots.newest {
            self.write_snapshot()?;
        }
        let oldest_entry = self.queue.first_position().unwrap_or(self.snapshots.last_change);
        let needed = self.snapshots.older.next().min(oldest_entry);
        self.journal.truncate_before(needed).map_err(log(&self.dir))?;
        self.move_oldest_entries()
    }

    /// Writes the committed state to a snapshot. Nothing may be staged.
    pub(crate) fn write_snapshot(&mut self) -> Result<(), OutboxError> {
        let position = self.snapshots.last_change;
        let snapshot = Snapshot {
            generation: self.snapshots.generation,
            position,
            state: self.committed.clone(),
            queued: self.queue.seqs(),
        };
        snapshot.write(&*self.disk, &self.dir)?;
        self.snapshots.generation += 1;
        self.snapshots.older = std::mem::replace(&mut self.snapshots.newest, position);
        self.snapshots.appended = self.journal.appended_bytes();
        Ok(())
    }

    /// Compaction: if the log is much larger than the queue, writes the entries that are left in the oldest segment again at
    /// the end. Otherwise entries that stay for long would keep all later segments. The next commit makes this durable and
    /// deletes the segment.
    fn move_oldest_entries(&mut self) -> Result<(), OutboxError> {
        let queued = self.committed.counters.totals.queued_bytes;
        let Some(end) = self.journal.oldest_segment_end() else { return Ok(()) };
        let spare = SPARE_SEGMENTS * self.options.segment_bytes();
        let is_large = self.journal.len_bytes() > queued.saturating_mul(2).saturating_add(spare);
        if !is_large || end > self.snapshots.older.next() {
            return Ok(());
        }
        for seq in self.queue.before(end) {
            let Some(entry) = self.entry(seq)? else { continue };
            self.append_entry(&entry)?;
            // It cannot be read back before the journal has written it.
            self.queue.keep_in_memory(entry);
        }
        Ok(())
    }
}
