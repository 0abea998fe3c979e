//! The interface for other tasks to an outbox that runs on its own thread.

use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot, watch};

use crate::accounts::Accounts;
use crate::entry::{Entry, Stored};
use crate::error::OutboxError;
use crate::lane::{Lane, PerLane};
use crate::recovery::Damage;
use crate::store::Request;
use crate::totals::{DropReason, DroppedRange, Totals};

/// Memory of requests that wait to be staged, in bytes; callers that would exceed it wait.
pub(crate) const PENDING_BYTES: usize = 8 * 1024 * 1024;
/// Memory of a request without its contents, in bytes.
const REQUEST_BYTES: usize = 128;

/// A command to the outbox's thread.
pub(crate) enum Command {
    /// The permit covers its memory until it is staged.
    Write(Request, OwnedSemaphorePermit),
    Fetch {
        sink: Arc<str>,
        lane: Lane,
        after: u64,
        max: usize,
        reply: Reply<Vec<Stored>>,
    },
    /// A request that is committed before the reply.
    Commit(Request, Reply<()>),
    BatchEnds {
        sink: Arc<str>,
        reply: oneshot::Sender<PerLane<u64>>,
    },
    Ping(oneshot::Sender<()>),
    Dropped {
        sink: Arc<str>,
        reply: oneshot::Sender<Vec<DroppedRange>>,
    },
    WaitingSince {
        sink: Arc<str>,
        reply: Reply<Option<i64>>,
    },
    Flush(Reply<()>),
    Close(Reply<()>),
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, OutboxError>>;

/// The state of an outbox on its thread. Mark and counters belong to the same commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The newest number of each lane that can be fetched; it may have been dropped.
    pub newest: PerLane<u64>,
    /// The newest mark that is durable.
    pub mark: u64,
    /// All sinks, also those that are no longer configured.
    pub sinks: Arc<Vec<SinkStatus>>,
    /// The newest damage that was found since the outbox was opened.
    pub damage: Option<Arc<Damage>>,
    /// Why the last commit failed, or why space could not be freed, with the causes. It is retried, and nothing is lost;
    /// but once 8 MiB wait, callers that append or acknowledge wait too.
    pub last_error: Option<Arc<str>>,
}

impl Status {
    /// The state of one sink.
    pub fn sink(&self, name: &str) -> Option<&SinkStatus> {
        self.sinks.iter().find(|sink| &*sink.name == name)
    }
}

/// The counters of one sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkStatus {
    pub name: Arc<str>,
    /// Whether it takes new entries of any lane.
    pub is_configured: bool,
    pub totals: Totals,
    pub accounts: Arc<Accounts>,
}

/// Why entries were not queued at once.
#[derive(Debug)]
pub enum TryAppend {
    /// Too much waits in memory; the entries are returned.
    Full(Vec<Entry>),
    /// The outbox was closed, or its thread is gone.
    Closed,
}

/// Sends commands to an outbox on its thread. Clones are cheap. When the last one is dropped, the outbox closes.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) status: watch::Receiver<Status>,
}

impl Handle {
    /// Stores entries together with the mark; see [`Request::Append`]. Waits only while too much waits in memory, not for
    /// the disk: [`Status::mark`] shows when it is durable.
    ///
    /// # Errors
    /// [`OutboxError::Closed`].
    pub async fn append(&self, mark: u64, entries: Vec<Entry>, now_ms: i64) -> Result<(), OutboxError> {
        self.write(Request::Append { mark, entries, now_ms }).await
    }

    /// As `append`, but returns an error instead of waiting.
    ///
    /// # Errors
    /// See [`TryAppend`].
    pub fn try_append(&self, mark: u64, entries: Vec<Entry>, now_ms: i64) -> Result<(), TryAppend> {
        let request = Request::Append { mark, entries, now_ms };
        let permit = match Arc::clone(&self.memory).try_acquire_many_owned(memory_of(&request)) {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => return Err(refused(request)),
            Err(TryAcquireError::Closed) => return Err(TryAppend::Closed),
        };
        match self.commands.try_send(Command::Write(request, permit)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Command::Write(request, _))) => Err(refused(request)),
            Err(_) => Err(TryAppend::Closed),
        }
    }

    /// The interface for the sink with this name.
    #[must_use]
    pub fn sink(&self, name: impl Into<Arc<str>>) -> SinkHandle {
        SinkHandle { outbox: self.clone(), name: name.into() }
    }

    /// Returns once the thread has answered.
    ///
    /// # Errors
    /// [`OutboxError::Closed`].
    pub async fn ping(&self) -> Result<(), OutboxError> {
        self.ask(Command::Ping).await
    }

    /// As [`Outbox::dropped`](crate::Outbox::dropped).
    ///
    /// # Errors
    /// [`OutboxError::Closed`].
    pub async fn dropped(&self, sink: &str) -> Result<Vec<DroppedRange>, OutboxError> {
        self.ask(|reply| Command::Dropped { sink: sink.into(), reply }).await
    }

    /// As [`Outbox::waiting_since`](crate::Outbox::waiting_since).
    ///
    /// # Errors
    /// If the log cannot be read, or [`OutboxError::Closed`].
    pub async fn waiting_since(&self, sink: &str) -> Result<Option<i64>, OutboxError> {
        self.ask(|reply| Command::WaitingSince { sink: sink.into(), reply }).await?
    }

    /// Commits what waits now, whatever [`Options::spill_after`](crate::Options::spill_after) says, and so that damage to
    /// it is always noticed: before the producer throws away what it could append again.
    ///
    /// # Errors
    /// If the disk refuses (the requests are kept and retried), or [`OutboxError::Closed`].
    pub async fn flush(&self) -> Result<(), OutboxError> {
        self.ask(Command::Flush).await?
    }

    /// Changes whenever something new can be fetched, or commits begin or cease to fail.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Commits what waits and closes the outbox; all other calls get [`OutboxError::Closed`] from now on.
    ///
    /// # Errors
    /// If the last commit failed three times: what it held is not stored, and its mark neither.
    pub async fn close(&self) -> Result<(), OutboxError> {
        self.ask(Command::Close).await?
    }

    async fn write(&self, request: Request) -> Result<(), OutboxError> {
        let permits = Arc::clone(&self.memory);
        let permit =
            permits.acquire_many_owned(memory_of(&request)).await.map_err(|_| OutboxError::Closed)?;
        self.commands.send(Command::Write(request, permit)).await.map_err(|_| OutboxError::Closed)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, OutboxError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| OutboxError::Closed)?;
        answer.await.map_err(|_| OutboxError::Closed)
    }
}

/// What one sink does with an outbox on its thread. Clones are cheap.
#[derive(Debug, Clone)]
pub struct SinkHandle {
    outbox: Handle,
    name: Arc<str>,
}

impl SinkHandle {
    /// As [`Outbox::fetch`](crate::Outbox::fetch); without entries that were acknowledged or discarded before this call.
    ///
    /// # Errors
    /// If the log cannot be read, or [`OutboxError::Closed`].
    pub async fn fetch(&self, lane: Lane, after: u64, max: usize) -> Result<Vec<Stored>, OutboxError> {
        let sink = Arc::clone(&self.name);
        self.outbox.ask(|reply| Command::Fetch { sink, lane, after, max, reply }).await?
    }

    /// The sink has these. Acknowledgements are collected for up to 200 ms before they are committed. Those that were
    /// not committed before a crash are sent again.
    ///
    /// # Errors
    /// [`OutboxError::Closed`].
    pub async fn acknowledge(&self, lane: Lane, seqs: Vec<u64>) -> Result<(), OutboxError> {
        self.outbox.write(Request::Acknowledge { sink: Arc::clone(&self.name), lane, seqs }).await
    }

    /// The sink does not keep these; collected as acknowledgements are.
    ///
    /// # Errors
    /// [`OutboxError::Closed`].
    pub async fn discard(
        &self,
        lane: Lane,
        seqs: Vec<u64>,
        reason: DropReason,
        now_ms: i64,
    ) -> Result<(), OutboxError> {
        let sink = Arc::clone(&self.name);
        self.outbox.write(Request::Discard { sink, lane, seqs, reason, now_ms }).await
    }

    /// Makes one batch of everything that the sink needs up to the number `end`; durable when it returns, together with
    /// all acknowledgements before. After a restart [`Self::batch_ends`] has the number, so that the batch can be sent
    /// again as it was.
    ///
    /// # Errors
    /// If the disk refuses, or [`OutboxError::Closed`].
    pub async fn fix_batch(&self, lane: Lane, end: u64) -> Result<(), OutboxError> {
        let request = Request::FixBatch { sink: Arc::clone(&self.name), lane, end };
        self.outbox.ask(|reply| Command::Commit(request, reply)).await?
    }

    /// The last number of the newest batch that was fixed, in each lane; 0 if there was none.
    ///
    /// # Errors
    /// [`OutboxError::Closed`].
    pub async fn batch_ends(&self) -> Result<PerLane<u64>, OutboxError> {
        let sink = Arc::clone(&self.name);
        self.outbox.ask(|reply| Command::BatchEnds { sink, reply }).await
    }

    /// Changes whenever something new can be fetched.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.outbox.status()
    }
}

fn refused(request: Request) -> TryAppend {
    match request {
        Request::Append { entries, .. } => TryAppend::Full(entries),
        _ => TryAppend::Full(Vec::new()),
    }
}

/// The memory of a request, in bytes. A request that is larger than the limit gets all of it.
fn memory_of(request: &Request) -> u32 {
    let contents = match request {
        Request::Append { entries, .. } => entries.iter().map(Entry::memory).sum(),
        Request::Acknowledge { seqs, .. } | Request::Discard { seqs, .. } => size_of_val(seqs.as_slice()),
        Request::FixBatch { .. } => 0,
    };
    u32::try_from((contents + REQUEST_BYTES).min(PENDING_BYTES)).unwrap_or(u32::MAX)
}
