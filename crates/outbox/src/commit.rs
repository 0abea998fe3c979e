//! How staged changes become durable, and how the log gives its space back.
//!
//! A commit writes the new entries, then a change that makes them part of the queue, then syncs. Where that fails, what
//! the journal has taken stays with it and the rest stays staged; the next commit goes on from there.

use std::sync::Arc;

use journal::{JournalError, Position};
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::error::{OutboxError, log};
use crate::record::{Change, Delta};
use crate::seqs::SeqSet;
use crate::snapshot::Snapshot;
use crate::staged::Staged;
use crate::state::State;
use crate::store::{self, Outbox};

/// What the log may hold beside twice the queue, in segments.
const SPARE_SEGMENTS: u64 = 4;
/// The log grows by a segment from one snapshot to the next, and by this many bytes for each queued entry where that is
/// more (but not more than may be spare): a snapshot may need a few bytes for each.
const BYTES_AN_ENTRY: u64 = 16;

/// Entries that the journal has taken, without the change that makes them part of the queue.
#[derive(Debug)]
pub(crate) struct Sealing {
    entries_from: Option<Position>,
    added: SeqSet,
    /// What the last change said, and the accounts before it.
    previous: (Delta, Arc<Accounts>),
}

impl Sealing {
    /// `last`: what the last change said; `before`: the accounts before it.
    pub(crate) fn after(last: Delta, before: Arc<Accounts>) -> Sealing {
        Sealing { entries_from: None, added: SeqSet::default(), previous: (last, before) }
    }
}

/// A change that the journal has taken, and that is not durable yet.
#[derive(Debug)]
pub(crate) struct Sealed {
    state: State,
    position: Position,
}

/// What was written of the state beside the log.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// That of the next one.
    pub(crate) generation: u64,
    /// The position of the newest one …
    pub(crate) newest: Position,
    /// … and of the one before, from where the log is kept.
    pub(crate) older: Position,
    /// The newest change that is durable.
    pub(crate) last_change: Position,
    /// How much the journal had appended by the newest one, in bytes.
    pub(crate) appended: u64,
    /// Why space could not be given back, or no snapshot written, since the last time it could.
    pub(crate) error: Option<OutboxError>,
}

impl Outbox {
    /// Does all of it, in order; durable when it returns, with everything that was staged before.
    ///
    /// # Errors
    /// Where the disk refuses. What was given is kept, and stored by the next call that succeeds.
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

    /// Makes durable what was staged.
    pub(crate) fn commit(&mut self) -> Result<(), OutboxError> {
        self.finish()?;
        while !self.staged.is_empty() || !self.sealing.added.is_empty() {
            self.seal()?;
            self.finish()?;
        }
        self.snapshots.error = self.tidy().err();
        Ok(())
    }

    /// Makes durable what was staged, in such a way that its loss to damage cannot be mistaken for a power cut.
    ///
    /// # Errors
    /// Where the disk refuses; what was staged is kept.
    pub fn flush(&mut self) -> Result<(), OutboxError> {
        self.apply(Vec::new())?;
        // What turned out to be damaged on the way is staged, too.
        while !self.staged.is_empty() {
            self.commit()?;
        }
        if self.snapshots.last_change > self.snapshots.newest { self.write_snapshot() } else { Ok(()) }
    }

    /// Writes a change that says nothing new, and a snapshot behind it.
    pub(crate) fn mark_recovered(&mut self) -> Result<(), OutboxError> {
        self.seal()?;
        self.finish()?;
        self.write_snapshot()
    }

    /// Gives everything that is staged to the journal.
    fn seal(&mut self) -> Result<(), OutboxError> {
        while let Some(seq) = self.staged.entries.keys().next().copied() {
            let Some(entry) = self.queue.in_memory(seq).cloned() else {
                // Staged entries are always in memory; one that were not could not be written.
                self.staged.entries.remove(&seq);
                continue;
            };
            let position = self.take_into_log(&entry.encode())?;
            self.sealing.entries_from.get_or_insert(position);
            self.sealing.added.insert(seq);
            self.queue.moved(&entry, position);
            self.staged.written(&entry);
        }
        let mut state = self.state.clone();
        state.numbers.changes = state.numbers.changes.saturating_add(1);
        let delta = Delta {
            entries_from: self.sealing.entries_from.unwrap_or(self.journal.next()).0,
            first_seq: self.committed.numbers.next_seq,
            added: self.sealing.added.clone(),
            removed: self.staged.removed.clone(),
            dropped: self.staged.dropped.clone(),
        };
        let (previous, accounts) = &self.sealing.previous;
        let change = Change::new(&state, accounts, delta.clone(), previous.clone());
        let position = self.take_into_log(&change.encode())?;
        let before = Arc::clone(&self.committed.counters.accounts);
        self.sealing = Sealing::after(delta, before);
        self.staged = Staged::default();
        self.state = state.clone();
        self.sealed = Some(Sealed { state, position });
        Ok(())
    }

    fn take_into_log(&mut self, payload: &[u8]) -> Result<Position, OutboxError> {
        let taken = match self.journal.append(payload) {
            Err(JournalError::NoRoom { .. }) => {
                self.journal.sync().and_then(|_| self.journal.append(payload))
            }
            taken => taken,
        };
        taken.map_err(log(&self.dir))
    }

    /// Syncs what the journal has.
    fn finish(&mut self) -> Result<(), OutboxError> {
        if self.sealed.is_none() {
            return Ok(());
        }
        self.journal.sync().map_err(log(&self.dir))?;
        if let Some(Sealed { state, position }) = self.sealed.take() {
            self.committed = state;
            self.snapshots.last_change = position;
            self.queue.evict(self.committed.numbers.next_seq);
        }
        Ok(())
    }

    /// Writes a snapshot where that is due, and gives space back. Nothing is staged then.
    fn tidy(&mut self) -> Result<(), OutboxError> {
        let appended = self.journal.appended_bytes().saturating_sub(self.snapshots.appended);
        let entries = self.committed.counters.totals.queued.entries;
        let segment = self.options.segment_bytes();
        let enough = entries.saturating_mul(BYTES_AN_ENTRY).clamp(segment, SPARE_SEGMENTS * segment);
        if appended >= enough && self.snapshots.last_change > self.snapshots.newest {
            self.write_snapshot()?;
        }
        let oldest_entry = self.queue.first_position().unwrap_or(self.snapshots.last_change);
        let needed = self.snapshots.older.next().min(oldest_entry);
        self.journal.truncate_before(needed).map_err(log(&self.dir))?;
        self.move_oldest_entries()
    }

    /// What the disk has, in a snapshot. Nothing may be staged.
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

    /// Writes what is left of the oldest segment once more where the log is much larger than the queue: entries that stay
    /// for long would keep everything behind them. The next commit makes it durable, and the segment can go.
    fn move_oldest_entries(&mut self) -> Result<(), OutboxError> {
        let queued = self.committed.counters.totals.queued_bytes;
        let Some(end) = self.journal.oldest_segment_end() else { return Ok(()) };
        let spare = SPARE_SEGMENTS * self.options.segment_bytes();
        let is_much = self.journal.len_bytes() > queued.saturating_mul(2).saturating_add(spare);
        if !is_much || end > self.snapshots.older.next() {
            return Ok(());
        }
        for seq in self.queue.before(end) {
            let Some(entry) = self.entry(seq)? else { continue };
            let position = self.take_into_log(&entry.encode())?;
            self.sealing.entries_from.get_or_insert(position);
            self.sealing.added.insert(seq);
            self.queue.moved(&entry, position);
            // The journal may not have written it yet.
            self.queue.keep_in_memory(entry);
        }
        Ok(())
    }
}
