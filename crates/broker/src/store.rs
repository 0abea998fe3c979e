//! Sessions, their messages and retained messages on the disk: the engine's records in a journal.
//!
//! Guarantees:
//! - A batch of records is one write; what waits for it is told so when it is written (it survives the death of the
//!   process), or with `sync_every = "0s"` when it is synced (it survives a power cut).
//! - What no longer counts is deleted segment by segment; about twice the bytes that count stay, and [`SLACK`].
//! - If the disk refuses, the engine refuses new messages that need it, and goes on when the disk does.

use std::path::Path;
use std::time::Duration;

use broker_engine::{Engine, Now, Restoring};
use gateway_core::chain;
use journal::{Journal, JournalError, Options, Position, Record};
use tracing::{error, info, warn};

use crate::BrokerError;

/// Version of the records.
const CONTENT: u16 = 1;
/// Small, because segments are read and deleted as a whole.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Bytes that may be there besides twice those that count.
const SLACK: u64 = 8 << 20;

pub(crate) struct Store {
    journal: Journal,
    sync_every: Duration,
    /// A batch that the disk did not take.
    refused: Option<(u64, Vec<u8>)>,
    /// Records of the oldest segment were recorded again up to this position; then the segment can be deleted.
    cleaned: Option<(Position, Position)>,
    /// No cleaning before so many bytes were written in all.
    next_cleaning: u64,
    told: bool,
}

impl Store {
    /// Opens the journal in `dir` and gives the engine its state back.
    pub(crate) fn open(
        dir: &Path,
        sync_every: Duration,
        engine: &mut Engine,
        now: Now,
    ) -> Result<Self, BrokerError> {
        let failed = |source| BrokerError::Storage { path: dir.to_owned(), source };
        let options = Options { segment_bytes: SEGMENT_BYTES, content: CONTENT };
        let (journal, recovery) = Journal::open(dir, options, Position::FIRST).map_err(failed)?;
        if recovery.corrupt_records > 0 {
            warn!(
                records = recovery.corrupt_records,
                "broker: damaged records were left out: some sessions or retained messages may be missing"
            );
        }
        let mut restoring = Restoring::default();
        for record in journal.read_from(Position::FIRST).map_err(failed)? {
            let Record { position, payload, .. } = record.map_err(failed)?;
            if let Err(error) = engine.restore(&mut restoring, position.0, &payload, now) {
                warn!(%position, "broker: {error}; it was left out");
            }
        }
        engine.set_next_position(journal.next().0);
        engine.restored(restoring, now);
        let stats = engine.stats();
        if recovery.records > 0 {
            info!(sessions = stats.sessions, retained = stats.retained, "broker: state brought back");
        }
        Ok(Self { journal, sync_every, refused: None, cleaned: None, next_cleaning: 0, told: false })
    }

    /// Writes the engine's records; returns whether a sync should follow at once. Once the disk has refused something, only
    /// [`Self::synced`] tries again.
    pub(crate) fn write(&mut self, engine: &mut Engine) -> bool {
        self.refused.is_none() && self.write_all(engine)
    }

    fn write_all(&mut self, engine: &mut Engine) -> bool {
        let mut wrote = false;
        while let Some((position, batch)) = self.refused.take().or_else(|| engine.take_records()) {
            match self.journal.append(&batch) {
                Ok(written) => {
                    debug_assert_eq!(written.0, position, "the engine numbers as the journal does");
                }
                Err(JournalError::TooLarge { bytes, .. }) => {
                    debug_assert!(false, "the engine makes no batch of {bytes} bytes");
                    error!(bytes, "broker: records are too large to be stored; they are lost at a restart");
                    self.refused = Some((position, Vec::new()));
                }
                Err(_) => {
                    // Mostly for want of a sync, which is begun at once: until then acknowledgements wait.
                    self.refused = Some((position, batch));
                    return self.journal.durable() < self.journal.written();
                }
            }
            wrote = true;
        }
        if wrote {
            self.report(engine);
        }
        wrote && (self.sync_every.is_zero() || self.journal.wants_sync())
    }

    /// Tells the engine what is safe.
    fn report(&mut self, engine: &mut Engine) {
        let safe = if self.sync_every.is_zero() { self.journal.durable() } else { self.journal.written() };
        engine.stored(safe.0);
    }

    fn tell(&mut self, error: &JournalError) {
        if !std::mem::replace(&mut self.told, true) {
            warn!(
                "broker: {}; acknowledgements wait until it works, and what memory cannot hold meanwhile is refused",
                chain(error)
            );
        }
    }

    /// What to sync now, if anything; run it off the event loop, then call [`Self::synced`].
    pub(crate) fn sync_handle(&mut self) -> Option<journal::SyncHandle> {
        (self.journal.durable() < self.journal.written()).then(|| self.journal.sync_handle())
    }

    /// After a sync, and about once a second: tries again what the disk refused, and gives space back. Returns whether the
    /// disk takes everything.
    pub(crate) fn synced(&mut self, engine: &mut Engine, now: Now) -> bool {
        if self.journal.write_error().is_some() || self.refused.is_some() {
            match self.journal.retry() {
                Ok(()) => {
                    self.write_all(engine);
                    if self.refused.is_none() && std::mem::take(&mut self.told) {
                        info!("broker: the disk takes messages again");
                    }
                }
                Err(error) => self.tell(&error),
            }
        }
        engine.set_store_full(self.refused.is_some());
        self.report(engine);
        if let Err(error) = self.give_back(engine, now) {
            self.tell(&error);
        }
        self.refused.is_none() && self.journal.write_error().is_none()
    }

    /// One segment at a time: records again what counts of the oldest, and deletes it once that is durable.
    fn give_back(&mut self, engine: &mut Engine, now: Now) -> Result<(), JournalError> {
        if let Some((end, needs)) = self.cleaned {
            if self.journal.durable() < needs {
                return Ok(());
            }
            self.journal.truncate_before(end)?;
            self.cleaned = None;
        }
        let Some(end) = self.journal.oldest_segment_end() else { return Ok(()) };
        let is_small = self.journal.len_bytes() < 2 * engine.live_bytes() + SLACK;
        if self.refused.is_some() || is_small || self.journal.appended_bytes() < self.next_cleaning {
            return Ok(());
        }
        let before = self.journal.appended_bytes();
        let cleaning = engine.begin_cleaning();
        for record in self.journal.read_from(Position::FIRST)? {
            let Record { position, payload, .. } = record?;
            if position >= end {
                break;
            }
            if let Err(error) = engine.record_again(&cleaning, position.0, &payload, now) {
                warn!(%position, "broker: {error}; it was left out");
            }
        }
        let needs = self.journal.next();
        self.write(engine);
        // Not more is written for cleaning than for clients, however well `live_bytes` is estimated.
        let after = self.journal.appended_bytes();
        self.next_cleaning = after + (after - before);
        if self.refused.is_some() {
            // Recorded again next time: a record may stand twice.
            return Ok(());
        }
        // Without anything that counts, nothing was recorded, and nothing must be durable before.
        let last = self.journal.next().previous();
        self.cleaned = Some((end, if last >= needs { last } else { Position(0) }));
        Ok(())
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.journal.len_bytes()
    }

    /// Bytes written since the start.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.journal.appended_bytes()
    }

    /// Writes everything to the disk.
    pub(crate) fn close(&mut self) {
        if let Err(error) = self.journal.retry().and_then(|()| self.journal.sync_handle().sync().map(drop)) {
            self.tell(&error);
        }
    }
}
