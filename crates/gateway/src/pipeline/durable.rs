//! When the pipeline's steps are safe, and what waits for that.
//!
//! Promises, in this order: a step is in the journal before its senders are told (with `sync_every = "0s"`, on the
//! disk); what came of a step is handed to the outbox only when the journal is on the disk that far, so that a power
//! cut never leaves an outbox that knows more than the journal; a checkpoint is written only when the outbox holds
//! everything that came of the steps in it.

use std::path::Path;
use std::time::Duration;

use gateway_core::{Backoff, Timestamp};
use journal::{Journal, JournalError, Position};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checkpoint::CheckpointFile;
use super::deliver::{self, Waiting, WaitingRoom};
use super::engine::Engine;
use super::ledger::Beyond;
use super::step::Step;

/// Aggregates wait this long for others, so that a closing window costs one sync and not one a device.
const GATHER: Duration = Duration::from_millis(100);

/// Journal bytes after which a checkpoint is worth its own, at least.
const CHECKPOINT_AFTER: u64 = 8 << 20;

/// How long to wait for the outbox before going on without its word.
const OUTBOX_PATIENCE: Duration = Duration::from_secs(5);

/// `[journal]`.
pub(crate) enum JournalMode {
    /// Every step is written down; `sync_every` bounds what a power cut can take.
    On { journal: Box<Journal>, sync_every: Duration },
    /// Open windows live in memory only. The journal stays open for its lock: two gateways must not share a folder.
    Off { _lock: Box<Journal> },
}

/// Journal, checkpoint and the way into the outbox.
pub(crate) struct Durable {
    mode: JournalMode,
    /// The newest step.
    position: Position,
    outbox: Option<outbox::Handle>,
    /// The newest position handed to the outbox.
    mark: u64,
    waiting: WaitingRoom,
    urgent: bool,
    running: Option<JoinHandle<Result<Position, JournalError>>>,
    last_sync: Instant,
    file: CheckpointFile,
    checkpoint_size: u64,
    checkpoint_at: u64,
    buffer: Vec<u8>,
    stop: CancellationToken,
}

impl Durable {
    /// `position` is the newest step that the engine has seen; `mark` the newest in the outbox.
    pub(crate) fn new(
        mode: JournalMode,
        data_dir: &Path,
        position: Position,
        outbox: Option<(outbox::Handle, u64)>,
        stop: CancellationToken,
    ) -> Self {
        let (outbox, mark) = outbox.map_or((None, 0), |(handle, mark)| (Some(handle), mark));
        Self {
            mode,
            position: Position(position.0.max(mark)),
            outbox,
            mark,
            waiting: WaitingRoom::default(),
            urgent: false,
            running: None,
            last_sync: Instant::now(),
            file: CheckpointFile::in_dir(data_dir),
            checkpoint_size: 0,
            checkpoint_at: 0,
            buffer: Vec::new(),
            stop,
        }
    }

    /// Whether senders are told only when the disk has their messages.
    pub(crate) fn acknowledges_after_sync(&self) -> bool {
        matches!(self.mode, JournalMode::On { sync_every: Duration::ZERO, .. })
    }

    /// Writes a step into the journal. Where the disk refuses it tries again until it does not: meanwhile nothing more
    /// is taken, and the senders keep what they have. `None` where the gateway stops before that.
    pub(crate) async fn record(&mut self, step: &Step) -> Option<Position> {
        let JournalMode::On { journal, .. } = &mut self.mode else {
            self.position = self.position.next();
            return Some(self.position);
        };
        self.buffer.clear();
        let buffer = std::mem::take(&mut self.buffer);
        self.buffer = postcard::to_extend(step, buffer).unwrap_or_default();
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        loop {
            match journal.append(&self.buffer) {
                Ok(position) => {
                    if backoff.attempts() > 0 {
                        tracing::info!("the journal can be written again");
                    }
                    self.position = position;
                    return Some(position);
                }
                Err(error) => {
                    let wait = backoff.next_wait(0.0);
                    let why = crate::telemetry::chain(&error);
                    tracing::error!(
                        "{why}; nothing more is taken until it can be written; next try in {wait:?}"
                    );
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = self.stop.cancelled() => return None,
                    }
                }
            }
        }
    }

    /// Puts what came of a step behind the journal's next sync.
    pub(crate) fn push(&mut self, step: Waiting) {
        // Alerts and acknowledgements do not wait for others.
        self.urgent |= step.urgent || !step.acks.is_empty();
        self.waiting.push(step);
    }

    /// When [`Durable::settle`] has something to do, unless a sync ends before.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.running.is_some() {
            return None;
        }
        match &self.mode {
            JournalMode::Off { .. } => (!self.waiting.is_empty()).then(Instant::now),
            JournalMode::On { .. } if self.urgent => Some(Instant::now()),
            JournalMode::On { .. } if !self.waiting.is_empty() => Some(self.last_sync + GATHER),
            JournalMode::On { journal, sync_every } => {
                let behind = journal.durable().next() < journal.next();
                behind.then(|| self.last_sync + *sync_every)
            }
        }
    }

    /// Waits for the sync that runs; for ever where none does. Dropping the future loses nothing.
    pub(crate) async fn synced(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let result = running.await;
        self.running = None;
        match result {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(
                    "{}; alerts and aggregates wait for the disk",
                    crate::telemetry::chain(&error)
                );
            }
            Err(error) => tracing::error!("the journal's sync ended oddly: {error}"),
        }
    }

    /// Begins a sync that is due, and hands over what is durable.
    pub(crate) async fn settle(&mut self, now: Timestamp) {
        self.release(now).await;
        if self.due().is_some_and(|due| due <= Instant::now()) {
            self.begin_sync();
        }
    }

    fn begin_sync(&mut self) {
        if let JournalMode::On { journal, .. } = &mut self.mode {
            let handle = journal.sync_handle();
            self.running = Some(tokio::task::spawn_blocking(move || handle.sync()));
            self.last_sync = Instant::now();
            self.urgent = false;
        }
    }

    /// Tells senders and fills the outbox with all that is durable.
    async fn release(&mut self, now: Timestamp) {
        let durable = match &self.mode {
            JournalMode::On { journal, .. } => journal.durable(),
            JournalMode::Off { .. } => self.position,
        };
        for Waiting { position, entries, acks, .. } in self.waiting.release(durable) {
            for (ack, outcome) in acks {
                ack.tell(outcome);
            }
            let Some(outbox) = self.outbox.as_ref().filter(|_| !entries.is_empty()) else { continue };
            match outbox.append(position.0, entries, deliver::millis(now)).await {
                Ok(()) => self.mark = position.0,
                Err(error) => tracing::error!("{}", crate::telemetry::chain(&error)),
            }
        }
    }

    /// What lies beyond the windows; waits for the outbox to commit what it was given.
    pub(crate) async fn beyond(&mut self, now: Timestamp) -> Beyond {
        self.drain(now).await;
        let Some(outbox) = &self.outbox else { return Beyond::default() };
        match outbox.totals().await {
            Ok(totals) => from_totals(&totals),
            Err(error) => {
                tracing::error!("{}", crate::telemetry::chain(&error));
                Beyond::default()
            }
        }
    }

    /// Syncs and hands over everything, and waits a bounded time for the outbox to store it. Whether it did.
    async fn drain(&mut self, now: Timestamp) -> bool {
        if self.running.is_some() {
            self.synced().await;
        }
        if matches!(self.mode, JournalMode::On { .. }) && !self.waiting.is_empty() {
            self.begin_sync();
            self.synced().await;
        }
        self.release(now).await;
        let Some(outbox) = &self.outbox else { return self.waiting.is_empty() };
        let mark = self.mark;
        let mut status = outbox.status();
        let stored =
            tokio::time::timeout(OUTBOX_PATIENCE, status.wait_for(|status| status.mark >= mark)).await;
        self.waiting.is_empty() && matches!(stored, Ok(Ok(_)))
    }

    /// Writes a checkpoint where the journal has grown enough to be worth it.
    pub(crate) async fn checkpoint_when_due(&mut self, engine: &Engine) {
        let JournalMode::On { journal, .. } = &self.mode else { return };
        let grown = journal.appended_bytes().saturating_sub(self.checkpoint_at);
        if grown < CHECKPOINT_AFTER.max(4 * self.checkpoint_size) || !self.waiting.is_empty() {
            return;
        }
        let stored = self.outbox.as_ref().is_none_or(|outbox| outbox.status().borrow().mark >= self.mark);
        if stored {
            self.write_checkpoint(engine).await;
        }
    }

    /// Writes a checkpoint now, if everything that came of the steps before it can be stored first.
    pub(crate) async fn checkpoint(&mut self, engine: &Engine, now: Timestamp) {
        if self.drain(now).await {
            self.write_checkpoint(engine).await;
        } else {
            tracing::warn!(
                "no checkpoint was written: the outbox has not stored everything yet; the journal keeps it"
            );
        }
    }

    async fn write_checkpoint(&mut self, engine: &Engine) {
        let bytes = match CheckpointFile::encode(self.position, engine) {
            Ok(bytes) => bytes,
            Err(error) => return tracing::error!("the state cannot be written down: {error}"),
        };
        self.checkpoint_size = bytes.len() as u64;
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || file.replace(&bytes)).await;
        if let JournalMode::On { journal, .. } = &mut self.mode {
            // Even after a failure: the next try comes when the journal has grown as much again.
            self.checkpoint_at = journal.appended_bytes();
            match written {
                Ok(Ok(())) => {
                    if let Err(error) = journal.truncate_before(self.position.next()) {
                        tracing::warn!("{}", crate::telemetry::chain(&error));
                    }
                }
                Ok(Err(error)) => tracing::error!("{}", crate::telemetry::chain(&error)),
                Err(error) => tracing::error!("writing the checkpoint ended oddly: {error}"),
            }
        }
    }

    /// Stores everything, at the end.
    pub(crate) async fn close(&mut self, engine: &Engine, now: Timestamp) {
        self.checkpoint(engine, now).await;
    }
}

/// The outbox's books in the ledger's words.
pub(crate) fn from_totals(totals: &outbox::Totals) -> Beyond {
    Beyond {
        published: totals.published.weight,
        queued: totals.queued.weight,
        outbox_full: totals.dropped_full.weight,
        refused: totals.dropped_refused.weight,
    }
}
