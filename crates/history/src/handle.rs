//! How the rest of the gateway gives windows to a history on its own thread: at once or not at all.

use std::path::Path;
use std::sync::Arc;

use gateway_core::{MemoryPermit, MemoryQuota, memory};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::row::{Row, Summary};

/// Commands that wait to be taken.
const COMMANDS: usize = 1_024;

/// Windows, each with its device's name.
pub(crate) type Windows = Vec<(Box<str>, Row)>;

/// What is asked of the history's thread.
pub(crate) enum Command {
    /// The memory is free again when the windows are stored.
    Keep(Windows, MemoryPermit),
    Flush,
    Close(oneshot::Sender<()>),
}

/// How a history is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Windows left out since the start, because the disk did not take them.
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
    quota: MemoryQuota,
    status: Arc<watch::Sender<Status>>,
}

impl Handle {
    pub(crate) fn new(status: Arc<watch::Sender<Status>>) -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { commands, quota: MemoryQuota::new(memory::HISTORY.bytes), status }, receiver)
    }

    /// Takes windows with their devices' names. Never waits: where there is no memory they are left out and counted.
    pub fn record(&self, windows: Vec<(Box<str>, Row)>) {
        if windows.is_empty() {
            return;
        }
        match self.quota.try_take(memory(&windows)) {
            Some(permit) => self.send(windows, permit),
            None => self.leave_out(windows.len()),
        }
    }

    /// The same, but waits for memory until then: for a start, which may have many at once.
    pub async fn record_until(&self, windows: Vec<(Box<str>, Row)>, until: Instant) {
        match timeout_at(until, self.quota.take(memory(&windows))).await {
            Ok(permit) => self.send(windows, permit),
            Err(_) => self.leave_out(windows.len()),
        }
    }

    fn send(&self, windows: Windows, permit: MemoryPermit) {
        let count = windows.len();
        if self.commands.try_send(Command::Keep(windows, permit)).is_err() {
            self.leave_out(count);
        }
    }

    fn leave_out(&self, windows: usize) {
        self.status.send_modify(|status| {
            status.left_out = status.left_out.saturating_add(windows as u64);
            status.trouble.get_or_insert_with(|| "the disk does not keep up; windows are left out".into());
        });
    }

    /// Has what waits written soon, without waiting for it.
    pub fn flush(&self) {
        // With so many commands before it that this one has no room, it is written soon anyway.
        let _ = self.commands.try_send(Command::Flush);
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

/// About what windows take in memory, in bytes.
fn memory(windows: &Windows) -> usize {
    let names = |row: &Row| row.metrics.iter().map(|(name, _)| name.len()).sum::<usize>();
    let one = |(device, row): &(Box<str>, Row)| {
        let metrics = row.metrics.len() * size_of::<(Box<str>, Summary)>();
        size_of::<(Box<str>, Row)>() + device.len() + metrics + names(row)
    };
    windows.iter().map(one).sum()
}
