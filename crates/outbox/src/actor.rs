//! The outbox's own thread: takes commands, commits what waits in groups, tries again when the disk refuses.
//!
//! An append is committed at once, together with everything else that waits by then; acknowledgements alone are gathered,
//! which saves the flash many small writes. While commits fail, what waits is kept, and queries are still answered.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::OutboxError;
use crate::handle::{Command, Handle, PENDING_BYTES, Reply, Status};
use crate::store::{Change, Outbox};

/// Commands that are taken at once, and that may wait to be taken.
const COMMANDS: usize = 256;
/// How long acknowledgements are gathered …
const GATHER: Duration = Duration::from_millis(200);
/// … and how many of them.
const GATHER_SEQS: usize = 256;
/// How long to wait after a failed commit: at first, and at most.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// How often the last commit is tried.
const CLOSE_ATTEMPTS: u32 = 3;

/// Runs the outbox on a thread named "outbox". The thread ends after [`Handle::close`], or when every handle is gone.
///
/// # Errors
/// Where the thread cannot be started.
pub fn spawn(outbox: Outbox) -> Result<(Handle, JoinHandle<()>), OutboxError> {
    let failed = |source| OutboxError::Thread { source };
    let (sender, commands) = mpsc::channel(COMMANDS);
    let room = Arc::new(Semaphore::new(PENDING_BYTES));
    let (status_sender, status) = watch::channel(status_of(&outbox, None));
    let actor = Actor {
        outbox,
        room: Arc::clone(&room),
        status: status_sender,
        pending: Vec::new(),
        permits: Vec::new(),
        done: BTreeSet::new(),
        appended: false,
        deadline: None,
        retry: None,
    };
    let runtime = runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let run = move || runtime.block_on(actor.run(commands));
    let thread = thread::Builder::new().name("outbox".to_owned()).spawn(run).map_err(failed)?;
    Ok((Handle { commands: sender, room, status }, thread))
}

struct Actor {
    outbox: Outbox,
    room: Arc<Semaphore>,
    status: watch::Sender<Status>,
    /// What is to be committed, in order …
    pending: Vec<Change>,
    /// … and the room it takes.
    permits: Vec<OwnedSemaphorePermit>,
    /// What pending changes take out of the queue.
    done: BTreeSet<u64>,
    /// Whether an append is pending.
    appended: bool,
    /// When to commit what is pending.
    deadline: Option<Instant>,
    /// How long to wait after the next failure; `None` while commits succeed.
    retry: Option<Duration>,
}

impl Actor {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut taken = Vec::with_capacity(COMMANDS);
        let mut closers: Vec<Reply<()>> = Vec::new();
        loop {
            let receive = commands.recv_many(&mut taken, COMMANDS);
            let received = match self.deadline {
                Some(deadline) => timeout_at(deadline, receive).await.ok(),
                None => Some(receive.await),
            };
            if received == Some(0) {
                break;
            }
            let mut queries = Vec::new();
            for command in taken.drain(..) {
                match command {
                    Command::Write(change, permit) => self.keep(change, permit),
                    Command::Close(reply) => {
                        closers.push(reply);
                        commands.close();
                        self.room.close();
                    }
                    query => queries.push(query),
                }
            }
            if self.is_due() {
                // The status tells of a failure.
                let _told_by_status = self.commit();
            }
            queries.into_iter().for_each(|query| self.answer(query));
        }
        let mut result = self.last_commit().await;
        // The file is closed before anybody hears of it.
        drop(self);
        let stored = result.is_ok();
        for closer in closers {
            let for_the_next = if stored { Ok(()) } else { Err(OutboxError::Closed) };
            let _nobody_waits = closer.send(std::mem::replace(&mut result, for_the_next));
        }
    }

    fn keep(&mut self, change: Change, permit: OwnedSemaphorePermit) {
        match &change {
            Change::Append { .. } => self.appended = true,
            Change::Acknowledge(seqs) | Change::Discard { seqs, .. } => self.done.extend(seqs),
        }
        self.pending.push(change);
        self.permits.push(permit);
        self.deadline.get_or_insert_with(|| Instant::now() + GATHER);
    }

    fn is_due(&self) -> bool {
        let enough = self.appended || self.done.len() >= GATHER_SEQS;
        let waited = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        waited || (enough && self.retry.is_none())
    }

    /// Commits what is pending; where that fails, keeps it and sets the time of the next attempt.
    fn commit(&mut self) -> Result<(), OutboxError> {
        let result = self.outbox.apply(&self.pending);
        match &result {
            Ok(()) => {
                self.pending.clear();
                self.permits.clear();
                self.done.clear();
                self.appended = false;
                self.deadline = None;
                self.retry = None;
            }
            Err(_) => {
                let wait = self.retry.unwrap_or(RETRY);
                self.deadline = Some(Instant::now() + wait);
                self.retry = Some((wait * 2).min(RETRY_AT_MOST));
            }
        }
        let status = status_of(&self.outbox, result.as_ref().err());
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
        result
    }

    async fn last_commit(&mut self) -> Result<(), OutboxError> {
        let mut attempt = 1;
        while !self.pending.is_empty() {
            match self.commit() {
                Err(error) if attempt == CLOSE_ATTEMPTS => return Err(error),
                Err(_) => sleep(RETRY * attempt).await,
                Ok(()) => {}
            }
            attempt += 1;
        }
        Ok(())
    }

    fn answer(&mut self, query: Command) {
        // Who asked may have gone away: then nobody needs the answer.
        match query {
            Command::Fetch { priority, after, max, reply } => {
                // Nothing is marked as in flight for somebody who is gone.
                if !reply.is_closed() {
                    let _nobody_waits =
                        reply.send(self.outbox.fetch_except(priority, after, max, &self.done));
                }
            }
            Command::Totals(reply) => {
                let _nobody_waits = reply.send((self.outbox.mark(), self.outbox.totals().clone()));
            }
            Command::Dropped(reply) => {
                let _nobody_waits = reply.send(self.outbox.dropped());
            }
            Command::Write(..) | Command::Close(_) => {}
        }
    }
}

impl Drop for Actor {
    /// Nobody shall wait for room that never comes.
    fn drop(&mut self) {
        self.room.close();
    }
}

fn status_of(outbox: &Outbox, error: Option<&OutboxError>) -> Status {
    Status {
        newest_seq: outbox.next_seq().saturating_sub(1),
        mark: outbox.mark(),
        last_error: error.map(|error| with_causes(error).into()),
    }
}

fn with_causes(error: &OutboxError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
