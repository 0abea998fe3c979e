//! The journal's side of the pipeline: steps are appended, synced in time, and written again where the disk refused.
//!
//! Nothing here waits for a disk, except for the one write of an append and the making of a new segment.

use std::time::Duration;

use gateway_core::Backoff;
use journal::{Journal, JournalError, Position};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::engine::step::Step;
use gateway_core::chain;

/// Aggregates wait this long for others, so that a closing window costs one sync and not one a device.
pub(crate) const GATHER: Duration = Duration::from_millis(100);

/// How long a disk that refused is left alone: at first, and at most.
const RETRY: Duration = Duration::from_millis(200);
const RETRY_AT_MOST: Duration = Duration::from_secs(5);

/// Memory kept for the next step, in bytes.
const KEPT_BUFFER: usize = 256 * 1024;

/// `[journal]`.
pub enum JournalMode {
    /// Every step is written down; `sync_every` bounds what a power cut can take.
    On { journal: Box<Journal>, sync_every: Duration },
    /// Open windows live in memory only. The journal stays open for its lock: two gateways must not share a folder.
    Off { _lock: Box<Journal> },
}

/// The journal, and what goes on with it.
pub(crate) struct Journaling {
    mode: JournalMode,
    /// The newest step.
    position: Position,
    urgent: bool,
    running: Option<JoinHandle<Result<Position, JournalError>>>,
    last_sync: Instant,
    backoff: Backoff,
    /// After the disk refused: not before then again.
    retry_at: Option<Instant>,
    buffer: Vec<u8>,
}

impl Journaling {
    pub(crate) fn new(mode: JournalMode, position: Position) -> Self {
        Self {
            mode,
            position,
            urgent: false,
            running: None,
            last_sync: Instant::now(),
            backoff: Backoff::new(RETRY, RETRY_AT_MOST),
            retry_at: None,
            buffer: Vec::new(),
        }
    }

    fn journal(&self) -> Option<&Journal> {
        match &self.mode {
            JournalMode::On { journal, .. } => Some(journal),
            JournalMode::Off { .. } => None,
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.journal().is_some()
    }

    /// The newest step.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The newest step that a power cut cannot take; without a journal none can be saved, and all count.
    pub(crate) fn durable(&self) -> Position {
        self.journal().map_or(self.position, Journal::durable)
    }

    /// The newest step whose senders may be acknowledged.
    pub(crate) fn safe(&self) -> Position {
        match &self.mode {
            JournalMode::On { journal, .. } if self.acknowledges_after_sync() => journal.durable(),
            JournalMode::On { journal, .. } => journal.written(),
            JournalMode::Off { .. } => self.position,
        }
    }

    /// Whether senders are acknowledged only when the disk has their messages.
    pub(crate) fn acknowledges_after_sync(&self) -> bool {
        matches!(self.mode, JournalMode::On { sync_every: Duration::ZERO, .. })
    }

    /// Memory that steps take which are not durable yet, in bytes.
    pub(crate) fn held(&self) -> u64 {
        self.journal().map_or(0, Journal::held_bytes)
    }

    /// Bytes appended since the start.
    pub(crate) fn appended(&self) -> u64 {
        self.journal().map_or(0, Journal::appended_bytes)
    }

    /// Why the disk refuses, while it does.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.journal().and_then(Journal::write_error).map(|why| why.to_string())
    }

    /// Whether the disk refused and was not yet tried again.
    pub(crate) fn is_refused(&self) -> bool {
        self.retry_at.is_some()
    }

    /// How long the sync that runs has taken.
    pub(crate) fn waited(&self) -> Duration {
        if self.running.is_some() { self.last_sync.elapsed() } else { Duration::ZERO }
    }

    /// Gives a step its place in the journal. `None` where it cannot be taken: its senders keep what they have.
    pub(crate) fn record(&mut self, step: &Step) -> Option<Position> {
        let JournalMode::On { journal, .. } = &mut self.mode else {
            self.position = self.position.next();
            return Some(self.position);
        };
        self.buffer.clear();
        self.buffer = match postcard::to_extend(step, std::mem::take(&mut self.buffer)) {
            Ok(buffer) => buffer,
            Err(error) => {
                tracing::error!("a step cannot be encoded; its readings are not accepted: {error}");
                return None;
            }
        };
        let appended = journal.append(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        match appended {
            Ok(position) => self.position = position,
            // Reported as a problem for as long as it lasts.
            Err(JournalError::Full { .. }) => return None,
            Err(error) => {
                tracing::error!("{}; these readings are not accepted", chain(&error));
                return None;
            }
        }
        self.notice_trouble();
        Some(self.position)
    }

    /// The next sync shall not wait for others.
    pub(crate) fn sync_soon(&mut self) {
        self.urgent = true;
    }

    /// When [`Self::settle`] has something to do, unless [`Self::synced`] ends before. `waiting`: something waits for the
    /// next sync.
    pub(crate) fn due(&self, waiting: bool) -> Option<Instant> {
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        if self.running.is_some() {
            return None;
        }
        match &self.mode {
            JournalMode::On { journal, .. } if self.urgent || journal.wants_sync() => Some(self.last_sync),
            _ if waiting => Some(self.last_sync + GATHER),
            JournalMode::On { journal, sync_every } => {
                let behind = journal.durable() < journal.written();
                behind.then(|| self.last_sync + *sync_every)
            }
            JournalMode::Off { .. } => None,
        }
    }

    /// Begins what is due.
    pub(crate) fn settle(&mut self, waiting: bool) {
        self.notice_trouble();
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry();
        }
        if self.retry_at.is_none() && self.due(waiting).is_some_and(|due| due <= Instant::now()) {
            self.begin_sync();
        }
    }

    /// Begins a sync, where none runs.
    pub(crate) fn begin_sync(&mut self) {
        if self.running.is_some() || self.retry_at.is_some() {
            return;
        }
        self.last_sync = Instant::now();
        self.urgent = false;
        if let JournalMode::On { journal, .. } = &mut self.mode {
            let handle = journal.sync_handle();
            self.running = Some(tokio::task::spawn_blocking(move || handle.sync()));
        }
    }

    /// Waits for the sync that runs; for ever where none does. Dropping the future loses nothing.
    pub(crate) async fn synced(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let result = match running.await {
            Ok(result) => result.map_err(|error| chain(&error)),
            Err(error) => Err(format!("the journal's sync failed: {error}")),
        };
        self.running = None;
        self.notice_trouble();
        if let Err(why) = result
            && self.retry_at.is_none()
        {
            tracing::error!("{why}");
            self.retry_later();
        }
    }

    /// Logs a disk that refuses, once, and tries it again later.
    fn notice_trouble(&mut self) {
        let Some(why) = self.trouble().filter(|_| self.retry_at.is_none()) else { return };
        tracing::error!(
            "{why}; readings are kept in memory; their acknowledgements, and alerts and aggregates to the cloud, wait until the disk works"
        );
        self.retry_later();
    }

    fn retry_later(&mut self) {
        self.retry_at = Some(Instant::now() + self.backoff.next_wait(0.0));
    }

    /// Writes what the disk has refused.
    fn retry(&mut self) {
        let JournalMode::On { journal, .. } = &mut self.mode else { return };
        match journal.retry() {
            Ok(()) => {
                tracing::info!("the journal can be written again");
                self.backoff.reset();
                self.retry_at = None;
            }
            Err(error) => {
                tracing::debug!("{}", chain(&error));
                self.retry_later();
            }
        }
    }

    /// Deletes what is before `keep`, as far as whole segments go.
    pub(crate) fn truncate(&mut self, keep: Position) {
        let JournalMode::On { journal, .. } = &mut self.mode else { return };
        if let Err(error) = journal.truncate_before(keep) {
            tracing::warn!("{}", chain(&error));
        }
    }
}
