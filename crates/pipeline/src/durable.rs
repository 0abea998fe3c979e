//! When the pipeline's steps are safe, and what waits for that.
//!
//! Promises, in this order: a step is in the journal before its senders are acknowledged (with `sync_every = "0s"`, on the
//! disk); what came of a step is handed to the outbox only when the journal is on the disk that far, so that a power
//! cut never leaves an outbox that knows more than the journal; a checkpoint is written only when the outbox holds
//! everything that came of the steps in it.
//!
//! While the journal's disk refuses, steps are kept in memory and their senders are not acknowledged; when as much is kept as
//! may be, [`Durable::has_capacity`] is false, and nothing more is taken.

pub mod checkpoint;
mod checkpoints;
pub(crate) mod journaling;
pub mod reconcile;
pub mod store;
pub(crate) mod stored;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Timestamp, memory};
use journal::Position;
use tokio::time::{Instant, timeout};

use crate::decode::PendingAck;
use crate::deliver::records::Identity;
use crate::deliver::{PendingOutputs, PendingQueue};
use crate::durable::checkpoints::Checkpoints;
use crate::durable::journaling::{GATHER, JournalMode, Journaling};
use crate::engine::ledger::ExternalAccounts;
use crate::engine::registry::Registry;
use crate::engine::step::Step;
use crate::engine::{Engine, Outputs};

/// Steps kept in memory, in bytes, beyond which nothing more is taken. The journal itself keeps more: the largest step
/// (half a MiB of payload makes two MiB at most), and time that goes by.
const MAX_HELD: u64 = journal::MAX_HELD_BYTES / 8 * 5;
/// The rest of that is for steps without readings: time that passes, a new configuration.
const MAX_HELD_FOR_TICKS: u64 = journal::MAX_HELD_BYTES / 8 * 7;

/// Entries that may wait for the outbox, in bytes, before nothing more is taken.
const MAX_WAITING: usize = memory::OUTPUTS.bytes as usize;

/// The crate `journal` knows nothing of the budget, and keeps to it.
const _: () = assert!(journal::MAX_HELD_BYTES == memory::JOURNAL.bytes as u64);

/// How long a checkpoint under steady load waits for the outbox.
const CHECKPOINT_DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// With `spill_after` nothing may be committed for hours while the cloud acknowledges: how much would be sent twice after
/// a crash, and how far the accounts lag behind, is bounded by this.
const FLUSH_EVERY: Duration = Duration::from_secs(300);

/// How long a stop waits for the disk.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the durable side begins.
pub struct DurableStart {
    pub mode: JournalMode,
    /// The newest step that the engine has seen.
    pub position: Position,
    /// The last step in the newest checkpoint.
    pub checkpoint: Position,
    /// Journal bytes after it.
    pub since_checkpoint: u64,
    /// With the newest position it holds.
    pub outbox: Option<(outbox::Handle, u64)>,
    /// The sink whose counters the ledger shows.
    pub ledger_sink: Arc<str>,
    pub history: Option<history::Handle>,
    /// Whether any sink takes readings. They come where the history alone takes them, too.
    pub takes_readings: bool,
}

/// Bytes written since the start, in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BytesWritten {
    pub journal: u64,
    pub checkpoints: u64,
}

/// Journal, checkpoint and the way into the outbox.
pub struct Durable {
    journal: Journaling,
    checkpoints: Checkpoints,
    outbox: Option<outbox::Handle>,
    ledger_sink: Arc<str>,
    history: Option<history::Handle>,
    takes_readings: bool,
    /// The newest position handed to the outbox.
    mark: u64,
    /// The outbox is gone: what was meant for it lives in the journal alone, which must stay as it is.
    broken: bool,
    /// Senders to notify, by the step that holds their messages.
    to_acknowledge: VecDeque<(Position, Vec<PendingAck>)>,
    waiting: PendingQueue,
    /// What the outbox was given and may not have committed yet, without its contents.
    handed: VecDeque<PendingOutputs>,
    last_flush: Instant,
}

impl Durable {
    pub fn new(data_dir: &Path, begin: DurableStart) -> Self {
        let DurableStart {
            mode,
            position,
            checkpoint,
            since_checkpoint,
            outbox,
            ledger_sink,
            history,
            takes_readings,
        } = begin;
        let (outbox, mark) = outbox.map_or((None, 0), |(handle, mark)| (Some(handle), mark));
        Self {
            journal: Journaling::new(mode, Position(position.0.max(mark))),
            checkpoints: Checkpoints::new(data_dir, checkpoint, since_checkpoint),
            outbox,
            ledger_sink,
            history,
            takes_readings,
            mark,
            broken: false,
            to_acknowledge: VecDeque::new(),
            waiting: PendingQueue::default(),
            handed: VecDeque::new(),
            last_flush: Instant::now(),
        }
    }

    /// Whether more may be taken from senders.
    pub(crate) fn has_capacity(&self) -> bool {
        self.journal.held() < MAX_HELD && self.waiting.bytes() < MAX_WAITING
    }

    /// Whether a step without readings can be taken.
    pub(crate) fn has_tick_capacity(&self) -> bool {
        self.journal.held() < MAX_HELD_FOR_TICKS
    }

    /// What is wrong with the disk, for people.
    pub(crate) fn problems(&self) -> Vec<String> {
        let full = "nothing more is taken: memory is full of what the disk refuses";
        let journal = self.journal.trouble().map(|why| format!("journal: {why}"));
        let checkpoint = self.checkpoints.trouble().map(|why| format!("checkpoint: {why}"));
        let history = self.history.as_ref().and_then(crate::deliver::history::problem);
        [journal, checkpoint, (!self.has_capacity()).then(|| full.to_owned()), history]
            .into_iter()
            .flatten()
            .collect()
    }

    /// How long the disk has not answered.
    pub(crate) fn waited(&self) -> Duration {
        self.journal.waited().max(self.checkpoints.waited())
    }

    pub(crate) fn bytes_written(&self) -> BytesWritten {
        BytesWritten { journal: self.journal.appended(), checkpoints: self.checkpoints.written() }
    }

    /// Gives a step its place in the journal. `None` where it cannot be taken: its senders keep what they have.
    pub(crate) fn record(&mut self, step: &Step) -> Option<Position> {
        self.journal.record(step)
    }

    /// Tells senders once the step at `position` is safe.
    pub(crate) fn acknowledge_when_safe(&mut self, position: Position, acks: Vec<PendingAck>) {
        if acks.is_empty() {
            return;
        }
        if self.journal.acknowledges_after_sync() {
            self.journal.sync_soon();
        }
        self.to_acknowledge.push_back((position, acks));
        self.acknowledge_durable();
    }

    fn acknowledge_durable(&mut self) {
        let safe = self.journal.safe();
        while let Some((_, acks)) = self.to_acknowledge.pop_front_if(|(position, _)| *position <= safe) {
            acks.into_iter().for_each(|(ack, outcome)| ack.complete(outcome));
        }
    }

    /// Puts what came of a step behind the journal's next sync. Alerts do not wait for others.
    pub(crate) fn push(&mut self, step: PendingOutputs) {
        if step.urgent {
            self.journal.sync_soon();
        }
        self.waiting.push(step);
    }

    /// Whether a sink takes readings.
    pub(crate) const fn takes_readings(&self) -> bool {
        self.takes_readings
    }

    /// Has the local history take what came of a step, where it can.
    pub(crate) fn remember(&self, outputs: &Outputs, registry: &Registry, identity: &Identity) {
        if let Some(history) = &self.history
            && !outputs.is_empty()
        {
            history.record(crate::deliver::history::batch(history, outputs, registry, identity));
        }
    }

    /// Has the local history take what came of steps that were applied again.
    pub(crate) async fn remember_again(&mut self, batch: history::Batch) {
        if let Some(history) = &self.history {
            crate::deliver::history::repeat(history, batch).await;
        }
    }

    /// When [`Self::settle`] has something to do, unless [`Self::progress`] ends before.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.journal.due(!self.waiting.is_empty())
    }

    /// Waits for what goes on beside the pipeline; for ever where nothing does. Dropping the future loses nothing.
    pub(crate) async fn progress(&mut self) {
        tokio::select! {
            () = self.journal.synced() => {}
            keep = self.checkpoints.finished() => keep.into_iter().for_each(|keep| self.journal.truncate(keep)),
        }
    }

    /// Begins what is due, and hands over what is durable.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        self.journal.settle(!self.waiting.is_empty());
        self.acknowledge_durable();
        self.release(now);
        self.flush_now_and_then();
    }

    /// Has the outbox commit what has been uncommitted for long, without waiting for it.
    fn flush_now_and_then(&mut self) {
        if self.handed.is_empty() {
            self.last_flush = Instant::now();
        } else if self.last_flush.elapsed() > FLUSH_EVERY
            && let Some(outbox) = self.outbox.clone()
        {
            self.last_flush = Instant::now();
            // A failure is in its status.
            tokio::spawn(async move { outbox.flush().await.is_ok() });
        }
    }

    /// Fills the outbox with all that is durable, as far as it has capacity.
    fn release(&mut self, now: Timestamp) {
        self.forget_committed();
        let durable = self.journal.durable();
        while let Some(mut step) = self.waiting.next(durable) {
            let Some(outbox) = self.outbox.as_ref().filter(|_| !step.entries.is_empty()) else { continue };
            match outbox.try_append(step.position.0, std::mem::take(&mut step.entries), now.as_millis()) {
                Ok(()) => {
                    self.mark = step.position.0;
                    self.handed.push_back(step);
                }
                Err(outbox::TryAppend::Full(entries)) => {
                    step.entries = entries;
                    self.waiting.put_back(step);
                    return;
                }
                Err(outbox::TryAppend::Closed) => {
                    self.broken = true;
                    tracing::error!(
                        "the outbox's thread has stopped; what waits now is sent after a restart"
                    );
                }
            }
        }
    }

    fn forget_committed(&mut self) {
        let Some(outbox) = &self.outbox else { return };
        let mark = outbox.status().borrow().mark;
        while self.handed.pop_front_if(|step| step.position.0 <= mark).is_some() {}
    }

    /// What lies outside the windows: the outbox's accounts, and what is on its way there.
    pub(crate) fn external_accounts(&self) -> ExternalAccounts {
        let Some(outbox) = &self.outbox else { return ExternalAccounts::default() };
        let status = outbox.status();
        let status = status.borrow();
        let accounts = status.sink(&self.ledger_sink).map(|sink| ExternalAccounts::from(&*sink.accounts));
        let mut external = accounts.unwrap_or_default();
        let on_the_way = self.handed.iter().filter(|step| step.position.0 > status.mark);
        for share in on_the_way.chain(self.waiting.iter()).flat_map(|step| &step.shares) {
            external.queue(&share.account, u64::from(share.weight));
        }
        external
    }

    /// Writes a checkpoint if the journal has grown enough.
    pub(crate) async fn checkpoint_when_due(&mut self, engine: &Engine, now: Timestamp) {
        let due = if self.journal.is_on() { self.checkpoints.due_factor(self.journal.appended()) } else { 0 };
        if due == 0 || self.journal.is_refused() || self.broken {
            return;
        }
        // Under steady load there is always something on its way: in the end it is waited for.
        if self.is_stored() {
            self.begin_checkpoint(engine, self.outbox.clone());
        } else if due > 1 {
            if self.drain(now, CHECKPOINT_DRAIN_TIMEOUT).await {
                self.begin_checkpoint(engine, None);
            } else {
                self.checkpoints.postpone();
            }
        }
    }

    /// Begins to write a checkpoint, if what came of the steps so far can be stored soon.
    pub(crate) async fn checkpoint_now(&mut self, engine: &Engine, now: Timestamp) {
        if self.journal.is_on() && self.drain(now, STOP_TIMEOUT).await {
            self.begin_checkpoint(engine, None);
        }
    }

    /// `unflushed`: the outbox if it must be flushed before; [`Self::drain`] has done that.
    fn begin_checkpoint(&mut self, engine: &Engine, unflushed: Option<outbox::Handle>) {
        if let Some(history) = &self.history {
            // What came of steps before the checkpoint is not made again.
            history.flush();
        }
        self.checkpoints.begin(self.journal.position(), engine, self.journal.appended(), unflushed);
    }

    /// Whether the outbox holds everything that came of the steps so far.
    fn is_stored(&self) -> bool {
        let stored = self.outbox.as_ref().is_none_or(|outbox| outbox.status().borrow().mark >= self.mark);
        self.waiting.is_empty() && stored && !self.broken
    }

    /// Syncs and hands over everything, and waits for the outbox to store it, for at most `limit`. Whether it did.
    async fn drain(&mut self, now: Timestamp, limit: Duration) -> bool {
        let drained = timeout(limit, async {
            while self.journal.durable() < self.journal.position() || !self.waiting.is_empty() {
                self.journal.begin_sync();
                let nap = self.due().unwrap_or_else(|| Instant::now() + GATHER);
                tokio::select! {
                    () = self.progress() => {}
                    () = tokio::time::sleep_until(nap) => {}
                }
                self.settle(now);
            }
            match &self.outbox {
                Some(outbox) => outbox.flush().await.is_ok(),
                None => true,
            }
        });
        drained.await.unwrap_or(false) && self.is_stored()
    }

    /// The end: stores everything, within a bound, and writes a last checkpoint where that could be done.
    pub(crate) async fn finish(mut self, engine: &Engine, now: Timestamp) {
        if self.checkpoints.is_running() {
            let _it_is_only_waited_for = timeout(STOP_TIMEOUT, self.checkpoints.finished()).await;
        }
        let is_stored = self.drain(now, STOP_TIMEOUT).await;
        // One that still runs writes the same file.
        if is_stored && !self.checkpoints.is_running() {
            self.begin_checkpoint(engine, None);
            if let Ok(Some(keep)) = timeout(STOP_TIMEOUT, self.checkpoints.finished()).await {
                self.journal.truncate(keep);
            }
        } else {
            tracing::warn!(
                "the last checkpoint was not written, because the disk has not stored everything; the journal keeps it"
            );
        }
        self.acknowledge_durable();
    }
}
