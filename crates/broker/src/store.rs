//! Sessions, their messages and retained messages on the disk: the engine's records in a journal.
//!
//! Guarantees:
//! - A batch of records is one write; what waits for it is told so when it is written (it survives the death of the
//!   process), or with `sync_every = "0s"` when it is synced (it survives a power cut).
//! - What no longer counts is deleted segment by segment; about twice the bytes that count stay, and two segments.
//! - If the disk refuses, the engine refuses new messages that need it, and goes on when the disk does.
//! - A full disk gets space back as soon as messages no longer count, although nothing can be written (`store/kept.rs`).

mod kept;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker_engine::{Engine, Now, Restoring};
use gateway_core::chain;
use journal::{Disk, Journal, JournalError, Options, Position, RealDisk, Record};
use tracing::{error, info, warn};

use crate::BrokerError;
use kept::{Batches, Kept};

/// Version of the records.
const CONTENT: u16 = 1;
/// Small, because segments are read and deleted as a whole; smaller still on a small disk.
const SEGMENT_BYTES: u64 = 4 << 20;
const LEAST_SEGMENT_BYTES: u64 = 256 << 10;
/// A segment is at most this part of the disk.
const PART_OF_DISK: u64 = 16;
/// On a full disk, it is looked again for what can be deleted once so many bytes less count.
const WORTH_A_LOOK: u64 = 64 << 10;

pub(crate) struct Store {
    journal: Journal,
    sync_every: Duration,
    kept: Kept,
    /// Bytes that may be there besides twice those that count.
    slack: u64,
    /// A batch that the disk did not take.
    refused: Option<(u64, Vec<u8>)>,
    /// Was recorded again up to this position, and can be deleted once that is durable.
    cleaned: Option<(Oldest, Position)>,
    /// No cleaning before so many bytes were written in all.
    next_cleaning: u64,
    /// Bytes that counted when nothing could be deleted on a full disk.
    looked_at: Option<u64>,
    told: bool,
}

/// The oldest records.
#[derive(Debug, Clone, Copy)]
enum Oldest {
    /// All of [`Kept`].
    Kept,
    /// The segment that ends here.
    Segment(Position),
}

impl Store {
    /// Opens the journal in `dir` and gives the engine its state back.
    pub(crate) fn open(
        dir: &Path,
        sync_every: Duration,
        engine: &mut Engine,
        now: Now,
    ) -> Result<Self, BrokerError> {
        // Of the folder above, because this one may not be there yet.
        let above = dir.ancestors().find(|folder| folder.is_dir());
        let disk_bytes = above
            .and_then(|folder| rustix::fs::statvfs(folder).ok())
            .map_or(u64::MAX, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        Self::open_on((Arc::new(RealDisk), disk_bytes), dir, sync_every, engine, now)
    }

    fn open_on(
        (disk, disk_bytes): (Arc<dyn Disk>, u64),
        dir: &Path,
        sync_every: Duration,
        engine: &mut Engine,
        now: Now,
    ) -> Result<Self, BrokerError> {
        let failed = |source| BrokerError::Storage { path: dir.to_owned(), source };
        let segment_bytes = (disk_bytes / PART_OF_DISK).clamp(LEAST_SEGMENT_BYTES, SEGMENT_BYTES);
        let options = Options { segment_bytes, content: CONTENT };
        let (journal, recovery) =
            Journal::open_on(Arc::clone(&disk), dir, options, Position::FIRST).map_err(failed)?;
        let (mut kept, oldest) = Kept::open(disk, dir);
        if recovery.corrupt_records > 0 {
            warn!(
                records = recovery.corrupt_records,
                "broker: damaged records were left out: some sessions or retained messages may be missing"
            );
        }
        let mut restoring = Restoring::default();
        match oldest {
            Ok(batches) => {
                for (position, batch) in batches {
                    if let Err(error) = engine.restore(&mut restoring, position, &batch, now) {
                        warn!(position, "broker: {error}; it was left out");
                    }
                }
            }
            Err(error) => {
                warn!(%error, "broker: the records that were kept on a full disk cannot be read: some sessions or retained messages may be missing");
            }
        }
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
        if !kept.has_reserve() {
            kept.fill_reserve();
        }
        Ok(Self {
            journal,
            sync_every,
            kept,
            slack: 2 * segment_bytes,
            refused: None,
            cleaned: None,
            next_cleaning: 0,
            looked_at: None,
            told: false,
        })
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
            let mut retried = self.journal.retry();
            while retried.is_err() && self.make_room(engine) {
                retried = self.journal.retry();
            }
            match retried {
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
        if let Some((oldest, needs)) = self.cleaned {
            if self.journal.durable() < needs {
                return Ok(());
            }
            match oldest {
                Oldest::Kept => self.clear_kept(),
                Oldest::Segment(end) => self.journal.truncate_before(end)?,
            }
            self.cleaned = None;
        }
        if self.refused.is_some() || self.journal.write_error().is_some() {
            return Ok(());
        }
        let oldest = match self.journal.oldest_segment_end() {
            // They are older than all segments, and must not be there when a record that ends one of them is deleted.
            _ if !self.kept.is_empty() => Oldest::Kept,
            Some(end) if self.is_large(engine) => Oldest::Segment(end),
            _ => return Ok(()),
        };
        let before = self.journal.appended_bytes();
        let cleaning = engine.begin_cleaning();
        for (position, batch) in self.batches(oldest)? {
            if let Err(error) = engine.record_again(&cleaning, position, &batch, now) {
                warn!(position, "broker: {error}; it was left out");
            }
        }
        let needs = self.journal.next();
        self.write(engine);
        // Not more is written for cleaning than for clients, however well `live_bytes` is estimated.
        if matches!(oldest, Oldest::Segment(_)) {
            let after = self.journal.appended_bytes();
            self.next_cleaning = after + (after - before);
        }
        if self.refused.is_some() {
            // Recorded again next time: a record may stand twice.
            return Ok(());
        }
        // Without anything that counts, nothing was recorded, and nothing must be durable before.
        let last = self.journal.next().previous();
        self.cleaned = Some((oldest, if last >= needs { last } else { Position(0) }));
        Ok(())
    }

    fn is_large(&self, engine: &Engine) -> bool {
        let most = 2 * engine.live_bytes() + self.slack;
        self.journal.len_bytes() >= most && self.journal.appended_bytes() >= self.next_cleaning
    }

    fn batches(&self, oldest: Oldest) -> Result<Batches, JournalError> {
        let Oldest::Segment(end) = oldest else {
            return Ok(self.kept.read().unwrap_or_default());
        };
        let mut batches = Vec::new();
        for record in self.journal.read_from(Position::FIRST)? {
            let Record { position, payload, .. } = record?;
            if position >= end {
                break;
            }
            batches.push((position.0, payload));
        }
        Ok(batches)
    }

    /// After [`Kept`] was recorded again: nothing needs it any more. If it cannot be deleted, it is tried again.
    fn clear_kept(&mut self) {
        if let Err(error) = self.kept.clear() {
            warn!(%error, "broker: the records that were kept on a full disk cannot be deleted; trying again");
        } else if !self.kept.has_reserve() {
            self.kept.fill_reserve();
        }
    }

    /// On a full disk: deletes the oldest segment, and writes what counts of it into the small file. Returns whether there is
    /// more room now.
    fn make_room(&mut self, engine: &Engine) -> bool {
        let live = engine.live_bytes();
        if self.looked_at.is_some_and(|before| live + WORTH_A_LOOK > before) {
            // Also if more counts again: what is to be read from now on is less than that.
            self.looked_at = self.looked_at.max(Some(live));
            return false;
        }
        let made = self.delete_oldest(engine).unwrap_or_else(|error| {
            warn!("broker: no space can be given back on a full disk: {error}");
            false
        });
        self.looked_at = (!made).then_some(live);
        made
    }

    fn delete_oldest(&mut self, engine: &Engine) -> Result<bool, String> {
        let Some(end) = self.journal.oldest_segment_end() else { return Ok(false) };
        let segment = self.batches(Oldest::Segment(end)).map_err(|error| chain(&error))?;
        let kept = self.kept.read().map_err(|error| error.to_string())?;
        let before: usize = segment.iter().map(|(_, batch)| batch.len()).sum();
        let (cleaning, durable) = (engine.begin_cleaning(), self.journal.durable().0);
        let mut batches = Batches::new();
        let mut bytes = 0;
        for (position, batch) in kept.into_iter().chain(segment) {
            let counts = engine.still_counts(&cleaning, position, &batch, durable);
            let counts = counts.map_err(|error| error.to_string())?;
            bytes += counts.len();
            if bytes > kept::RESERVE / 2 || bytes > before / 2 {
                return Ok(false);
            }
            if !counts.is_empty() {
                batches.push((position, counts));
            }
        }
        // Before the segment is deleted; and what was recorded again is not all that is kept.
        self.kept.replace(&batches).map_err(|error| error.to_string())?;
        if matches!(self.cleaned, Some((Oldest::Kept, _))) {
            self.cleaned = None;
        }
        self.journal.truncate_before(end).map_err(|error| chain(&error))?;
        info!(
            segment_bytes = before,
            kept_bytes = bytes,
            "broker: the disk is full; a segment that no longer counts was deleted"
        );
        Ok(true)
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

#[cfg(test)]
mod tests;
