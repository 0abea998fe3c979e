//! When the pipeline's steps are safe, and what waits for that.
//!
//! Promises, in this order: a step is in the journal before its senders are told (with `sync_every = "0s"`, on the
//! disk); what came of a step is handed to the outbox only when the journal is on the disk that far, so that a power
//! cut never leaves an outbox that knows more than the journal; a checkpoint is written only when the outbox holds
//! everything that came of the steps in it.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use gateway_core::{Backoff, Timestamp};
use journal::{Journal, JournalError, Position};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::checkpoint::CheckpointFile;
use super::deliver::{Waiting, WaitingRoom};
use super::engine::Engine;
use super::ledger::Beyond;
use super::step::Step;

/// Aggregates wait this long for others, so that a closing window costs one sync and not one a device.
const GATHER: Duration = Duration::from_millis(100);

/// Journal bytes after which a checkpoint is worth its own, at least.
const CHECKPOINT_AFTER: u64 = 8 << 20;

/// How long a disk that refused a sync is left alone.
const SYNC_RETRY: Duration = Duration::from_secs(1);

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
    /// After a sync that failed: not before then again.
    retry_at: Option<Instant>,
    /// (mark, readings) of what the outbox was given and may not have committed yet.
    handed: VecDeque<(u64, u64)>,
    /// The outbox is gone: what was meant for it lives in the journal alone, which must stay as it is.
    broken: bool,
    gave_up: bool,
    file: CheckpointFile,
    checkpoint_size: u64,
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
            retry_at: None,
            handed: VecDeque::new(),
            broken: false,
            gave_up: false,
            file: CheckpointFile::in_dir(data_dir),
            checkpoint_size: 0,
            buffer: Vec::new(),
            stop,
        }
    }

    /// Whether senders are told only when the disk has their messages.
    pub(crate) fn acknowledges_after_sync(&self) -> bool {
        matches!(self.mode, JournalMode::On { sync_every: Duration::ZERO, .. })
    }

    /// Whether the disk refused until the gateway had to stop: nothing more can be taken.
    pub(crate) fn gave_up(&self) -> bool {
        self.gave_up
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
        self.buffer = match postcard::to_extend(step, buffer) {
            Ok(buffer) => buffer,
            Err(error) => {
                tracing::error!("a step cannot be written down and is not taken: {error}");
                return None;
            }
        };
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
                        () = self.stop.cancelled() => {
                            self.gave_up = true;
                            return None;
                        }
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
        if self.retry_at.is_some() {
            return self.retry_at;
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
                self.retry_at = Some(Instant::now() + SYNC_RETRY);
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
            self.retry_at = None;
        }
    }

    /// Tells senders and fills the outbox with all that is durable.
    async fn release(&mut self, now: Timestamp) {
        let durable = match &self.mode {
            JournalMode::On { journal, .. } => journal.durable(),
            JournalMode::Off { .. } => self.position,
        };
        for Waiting { position, entries, acks, readings, .. } in self.waiting.release(durable) {
            for (ack, outcome) in acks {
                ack.tell(outcome);
            }
            let Some(outbox) = self.outbox.as_ref().filter(|_| !entries.is_empty()) else { continue };
            match outbox.append(position.0, entries, now.as_millis()).await {
                Ok(()) => {
                    self.mark = position.0;
                    self.handed.push_back((position.0, readings));
                }
                Err(error) => {
                    self.broken = true;
                    tracing::error!(
                        "{}; a restart will send what is kept back now",
                        crate::telemetry::chain(&error)
                    );
                }
            }
        }
        self.forget_committed();
    }

    fn forget_committed(&mut self) {
        let Some(outbox) = &self.outbox else { return };
        let mark = outbox.status().borrow().mark;
        while self.handed.front().is_some_and(|(handed, _)| *handed <= mark) {
            self.handed.pop_front();
        }
    }

    /// What lies beyond the windows: the outbox's books, and what is on its way there.
    pub(crate) async fn beyond(&mut self) -> Beyond {
        let Some(outbox) = &self.outbox else { return Beyond::default() };
        let (mark, totals) = match outbox.books().await {
            Ok(books) => books,
            Err(error) => {
                tracing::error!("{}", crate::telemetry::chain(&error));
                return Beyond::default();
            }
        };
        let on_the_way: u64 =
            self.handed.iter().filter(|(handed, _)| *handed > mark).map(|(_, readings)| readings).sum();
        let mut beyond = from_totals(&totals);
        beyond.queued += on_the_way + self.waiting.readings();
        beyond
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
    pub(crate) async fn checkpoint_when_due(&mut self, engine: &Engine, now: Timestamp) {
        let JournalMode::On { journal, .. } = &self.mode else { return };
        let worth = CHECKPOINT_AFTER.max(4 * self.checkpoint_size);
        if journal.len_bytes() < worth || self.retry_at.is_some() {
            return;
        }
        let stored = self.outbox.as_ref().is_none_or(|outbox| outbox.status().borrow().mark >= self.mark);
        if self.waiting.is_empty() && stored && !self.broken {
            self.write_checkpoint(engine).await;
        } else if journal.len_bytes() > 2 * worth {
            // Under steady load there is always something on its way: then it is waited for.
            self.checkpoint(engine, now).await;
            if let JournalMode::On { journal, .. } = &self.mode {
                // A checkpoint that could not be written is not tried again at every turn.
                self.checkpoint_size = self.checkpoint_size.max(journal.len_bytes() / 4);
            }
        }
    }

    /// Writes a checkpoint now, if everything that came of the steps before it can be stored first.
    pub(crate) async fn checkpoint(&mut self, engine: &Engine, now: Timestamp) {
        if self.drain(now).await && !self.broken {
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
        match written {
            Ok(Ok(())) => self.truncate(),
            Ok(Err(error)) => tracing::error!("{}", crate::telemetry::chain(&error)),
            Err(error) => tracing::error!("writing the checkpoint ended oddly: {error}"),
        }
    }

    fn truncate(&mut self) {
        let JournalMode::On { journal, .. } = &mut self.mode else { return };
        if let Err(error) = journal.truncate_before(self.position.next()) {
            tracing::warn!("{}", crate::telemetry::chain(&error));
        }
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
