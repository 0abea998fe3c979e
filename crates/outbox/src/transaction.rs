//! How changes become durable: at once, or staged in a transaction that stays open for a while.
//!
//! What is staged is also kept in memory ([`Unsaved`](crate::unsaved::Unsaved)): where SQLite rolls the transaction back,
//! it is done again in the next one, with the same numbers, and nobody notices.
//!
//! A commit that came to nothing, for a sync failed or the power did, stays in the log as a ghost that the next one writes
//! over. Torn there by a power cut, that one has a commit's end behind it, as if something durable had been damaged
//! (`log.rs`). So the log is emptied before the first commit of a process, and after one that was not synced.

use rusqlite::{ErrorCode, TransactionState};
use tokio::time::Instant;

use crate::commit::{Commit, Delta};
use crate::error::{OutboxError, during};
use crate::schema;
use crate::state::{AHEAD, State};
use crate::store::{Change, Outbox};
use crate::unsaved::Unsaved;

/// What may be staged before it is committed, in bytes; the change that crosses it still is.
const UNSAVED_BYTES: u64 = 1024 * 1024;

impl Outbox {
    /// Does all of it in one transaction, in order; durable when it returns, with everything that was staged before.
    ///
    /// # Errors
    /// Where the disk refuses; nothing has changed then.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), OutboxError> {
        self.repairing(|outbox| {
            outbox.lay_ghosts()?;
            let (mut state, delta) = outbox.attempt(changes)?;
            let stored =
                state.store(&outbox.connection).and_then(|()| outbox.connection.execute_batch("COMMIT"));
            outbox.may_have_ghosts = stored.as_ref().is_err_and(|error| !is_disk_full(error));
            outbox.or_roll_back(stored)?;
            outbox.forget_in_flight(&delta);
            outbox.has_committed(state);
            Ok(())
        })
    }

    /// Does it in the transaction that is open: it can be fetched, and is gone after a crash. All or nothing.
    pub(crate) fn stage(&mut self, change: &Change, now: Instant) -> Result<(), OutboxError> {
        self.repairing(|outbox| {
            let (state, delta) = outbox.attempt(std::slice::from_ref(change))?;
            outbox.forget_in_flight(&delta);
            outbox.unsaved.merge(delta, now);
            outbox.state = state;
            Ok(())
        })
    }

    /// Makes durable what was staged.
    pub(crate) fn commit(&mut self) -> Result<(), OutboxError> {
        if self.state == self.committed { Ok(()) } else { self.apply(&[]) }
    }

    /// When what was staged is to be committed, unless it is acknowledged before.
    pub(crate) fn spill_at(&self) -> Option<Instant> {
        self.unsaved.since().map(|since| since + self.options.spill_after)
    }

    /// Commits where something waits for too long, or too much waits to stage more.
    pub(crate) fn make_room_unsaved(&mut self, now: Instant) -> Result<(), OutboxError> {
        let is_late = self.spill_at().is_some_and(|at| now >= at);
        // Numbers beyond those set aside must not be given before that is on the disk.
        let given = self.state.next_seq.saturating_sub(self.committed.next_seq);
        if is_late || self.unsaved.bytes() >= UNSAVED_BYTES || given >= AHEAD / 4 {
            self.commit()?;
        }
        Ok(())
    }

    fn lay_ghosts(&mut self) -> Result<(), OutboxError> {
        if self.may_have_ghosts {
            self.roll_back();
            schema::take_over_log(&self.connection).map_err(during("write to", &self.path))?;
            self.may_have_ghosts = false;
        }
        Ok(())
    }

    /// The open transaction with what is unsaved in it.
    pub(crate) fn begin_where_unsaved(&mut self) -> Result<(), OutboxError> {
        if self.unsaved.is_empty() { Ok(()) } else { self.begin() }
    }

    fn begin(&mut self) -> Result<(), OutboxError> {
        // SQLite may have rolled back by itself.
        let is_writing =
            matches!(self.connection.transaction_state(Some("main")), Ok(TransactionState::Write));
        if self.is_open && is_writing {
            return Ok(());
        }
        self.roll_back();
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        let begun = begun.and_then(|()| self.unsaved.redo(&self.connection));
        self.or_roll_back(begun)?;
        self.is_open = true;
        Ok(())
    }

    /// The changes made, neither committed nor noted; all of it rolled back where one fails.
    fn attempt(&mut self, changes: &[Change]) -> Result<(State, Delta), OutboxError> {
        self.begin()?;
        let mut commit = Commit::new(&self.connection, self.options, &self.in_flight, self.state.clone());
        let done = changes.iter().try_for_each(|change| commit.apply(change)).and_then(|()| commit.finish());
        self.or_roll_back(done)
    }

    fn or_roll_back<T>(&mut self, result: rusqlite::Result<T>) -> Result<T, OutboxError> {
        if result.is_err() {
            self.roll_back();
        }
        result.map_err(during("write to", &self.path))
    }

    fn roll_back(&mut self) {
        self.is_open = false;
        if !self.connection.is_autocommit() {
            // Where this fails too, the next BEGIN tells of it.
            let _told_later = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn forget_in_flight(&mut self, delta: &Delta) {
        for key in &delta.removed {
            self.in_flight.remove(&crate::row::parts(*key).1);
        }
    }

    pub(crate) fn has_committed(&mut self, state: State) {
        self.committed = state.clone();
        self.state = state;
        self.unsaved = Unsaved::default();
        self.is_open = false;
    }
}

/// A write for which there was no room; a commit of which that is said has no end in the log.
fn is_disk_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}
