//! How the rest of the gateway gives rows to a history on its own thread: at once or not at all.

use std::path::Path;
use std::sync::Arc;

use gateway_core::{MemoryBudget, MemoryPermit, memory};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::batch::Batch;

/// Commands that wait to be taken.
const COMMANDS: usize = 1_024;

/// What is asked of the history's thread.
pub(crate) enum Command {
    /// The permit is free again when the rows are stored.
    Keep(Batch, MemoryPermit),
    Flush,
    /// Answered when what waited has been written, or the disk has refused it.
    Write(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// How a history is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Windows, alerts and readings left out since the start, because the disk did not take them.
    pub left_out: u64,
    /// Why nothing can be stored at the moment, causes included. It is tried again.
    pub trouble: Option<Arc<str>>,
    /// Where the newest damaged file is kept, where one was found since the start and a new one begun.
    pub aside: Option<Arc<Path>>,
}

/// A history on its own thread. Clones are of the same.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    budget: MemoryBudget,
    status: Arc<watch::Sender<Status>>,
    takes_readings: bool,
}

impl Handle {
    pub(crate) fn new(
        status: Arc<watch::Sender<Status>>,
        takes_readings: bool,
    ) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let budget = MemoryBudget::new(memory::HISTORY.bytes);
        (Self { commands, budget, status, takes_readings }, receiver)
    }

    /// Whether single readings are kept: otherwise none should be given.
    #[must_use]
    pub const fn takes_readings(&self) -> bool {
        self.takes_readings
    }

    /// Takes windows, alerts and readings. Never waits: where there is no permit they are left out and counted.
    pub fn record(&self, batch: impl Into<Batch>) {
        let batch = batch.into();
        if batch.is_empty() {
            return;
        }
        match self.budget.try_acquire(batch.memory()) {
            Some(permit) => self.send(batch, permit),
            None => self.leave_out(batch.len()),
        }
    }

    /// The same, but waits for permit until then: for a start, which may have many at once.
    pub async fn record_until(&self, batch: impl Into<Batch>, until: Instant) {
        let batch = batch.into();
        match timeout_at(until, self.budget.acquire(batch.memory())).await {
            Ok(permit) => self.send(batch, permit),
            Err(_) => self.leave_out(batch.len()),
        }
    }

    fn send(&self, batch: Batch, permit: MemoryPermit) {
        let count = batch.len();
        if self.commands.try_send(Command::Keep(batch, permit)).is_err() {
            self.leave_out(count);
        }
    }

    fn leave_out(&self, rows: usize) {
        self.status.send_modify(|status| {
            status.left_out = status.left_out.saturating_add(rows as u64);
            status.trouble.get_or_insert_with(|| "the disk does not keep up; windows are left out".into());
        });
    }

    /// Has what waits written soon, without waiting for it.
    pub fn flush(&self) {
        // With so many commands before it that this one has no permit, it is written soon anyway.
        let _ = self.commands.try_send(Command::Flush);
    }

    /// Has what waits written, and returns when it is: for who is about to read. At once where nothing waits. Where the disk
    /// refuses or does not answer, it may take as long as the disk does.
    pub async fn written(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.try_send(Command::Write(reply)).is_ok() {
            let _ = done.await;
        }
    }

    /// Changes when windows are left out, and when trouble begins or ends.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Writes what waits and closes the file, as far as the disk lets it; returns when that is done.
    pub async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Close(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}
