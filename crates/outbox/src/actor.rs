//! The outbox's own thread: takes commands, stages what they ask for, commits in groups, tries again when the disk refuses.
//!
//! Where entries are written at once (`spill_after` zero), an append is committed together with everything else that waits
//! by then; acknowledgements alone are gathered, which saves the flash many small writes. Otherwise a commit waits until
//! something has been staged for `spill_after`, or too much is. While commits fail, what waits is kept, and queries are
//! still answered.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::OutboxError;
use crate::handle::{Command, Handle, PENDING_BYTES, Reply, Status};
use crate::staged::STAGED_BYTES;
use crate::store::{Change, Outbox};

/// Commands that are taken at once, and that may wait to be taken.
const COMMANDS: usize = 256;
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
    let (handle, actor, commands) = Actor::new(outbox);
    let runtime = runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    let run = move || runtime.block_on(actor.run(commands));
    let thread = thread::Builder::new().name("outbox".to_owned()).spawn(run).map_err(failed)?;
    Ok((handle, thread))
}

#[cfg(test)]
mod tests;

struct Actor {
    outbox: Outbox,
    room: Arc<Semaphore>,
    status: watch::Sender<Status>,
    /// What is to be staged, in order, and the memory it takes.
    pending: VecDeque<(Change, OwnedSemaphorePermit)>,
    /// After a failure: when to try again, and how long to wait after the next one.
    retry: Option<(Instant, Duration)>,
    last_error: Option<Arc<str>>,
}

impl Actor {
    fn new(outbox: Outbox) -> (Handle, Actor, mpsc::Receiver<Command>) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let room = Arc::new(Semaphore::new(PENDING_BYTES));
        let (status_sender, status) = watch::channel(status_of(&outbox, None));
        let actor = Actor {
            outbox,
            room: Arc::clone(&room),
            status: status_sender,
            pending: VecDeque::new(),
            retry: None,
            last_error: None,
        };
        (Handle { commands: sender, room, status }, actor, commands)
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut taken = Vec::with_capacity(COMMANDS);
        let mut closers: Vec<Reply<()>> = Vec::new();
        loop {
            let receive = commands.recv_many(&mut taken, COMMANDS);
            let received = match self.due_at() {
                Some(due) => timeout_at(due, receive).await.ok(),
                None => Some(receive.await),
            };
            if received == Some(0) {
                break;
            }
            let mut queries = Vec::new();
            for command in taken.drain(..) {
                match command {
                    Command::Write(change, permit) => self.pending.push_back((change, permit)),
                    Command::Close(reply) => {
                        closers.push(reply);
                        commands.close();
                        self.room.close();
                    }
                    query => queries.push(query),
                }
            }
            self.work();
            // A caller that is answered may look at the status next.
            self.publish_status();
            queries.into_iter().for_each(|query| self.answer(query));
            self.publish_status();
        }
        let mut result = self.last_commit().await;
        // The files are closed before a caller hears of it.
        drop(self);
        let stored = result.is_ok();
        for closer in closers {
            let for_the_next = if stored { Ok(()) } else { Err(OutboxError::Closed) };
            let _caller_is_gone = closer.send(std::mem::replace(&mut result, for_the_next));
        }
    }

    /// When there is something to do, unless a command comes before.
    fn due_at(&self) -> Option<Instant> {
        self.retry.map_or_else(|| self.outbox.commit_at(), |(at, _)| Some(at))
    }

    /// Does what is due; the status tells of a failure.
    fn work(&mut self) {
        let now = Instant::now();
        let is_waiting = self.retry.is_some_and(|(at, _)| now < at);
        let mut done = self.stage(now, !is_waiting);
        let is_due = self.due_at().is_some_and(|at| at <= now);
        if done.is_ok() && is_due && !is_waiting {
            done = self.outbox.commit();
        } else if done.is_ok() && self.retry.is_some() {
            return;
        }
        self.note(done.as_ref());
    }

    /// Stages what is pending, as far as there is room in memory: removals always, appends in their order.
    fn stage(&mut self, now: Instant, may_commit: bool) -> Result<(), OutboxError> {
        let mut waiting = VecDeque::new();
        let mut result = Ok(());
        while let Some((mut change, permit)) = self.pending.pop_front() {
            let is_append = matches!(change, Change::Append { .. });
            let mut is_held = result.is_err() || (is_append && !waiting.is_empty());
            if !is_held && is_append && self.outbox.staged.bytes() >= STAGED_BYTES {
                result = if may_commit { self.outbox.commit() } else { Ok(()) };
                is_held = !may_commit || result.is_err();
            }
            if !is_held {
                result = self.outbox.stage(&mut change, now);
                is_held = result.is_err();
            }
            if is_held {
                waiting.push_back((change, permit));
            }
        }
        self.pending = waiting;
        result
    }

    /// Commits everything that waits. Where that fails, keeps it and sets the time of the next attempt.
    fn flush(&mut self) -> Result<(), OutboxError> {
        let done = self.stage(Instant::now(), true).and_then(|()| self.outbox.flush());
        self.note(done.as_ref());
        done
    }

    fn note(&mut self, done: Result<&(), &OutboxError>) {
        match done {
            Ok(_) => {
                self.retry = None;
                self.last_error = self.outbox.snapshots.error.as_ref().map(describe);
            }
            Err(error) => {
                let wait = self.retry.map_or(RETRY, |(_, wait)| wait);
                self.retry = Some((Instant::now() + wait, (wait * 2).min(RETRY_AT_MOST)));
                self.last_error = Some(describe(error));
            }
        }
    }

    fn publish_status(&self) {
        let status = status_of(&self.outbox, self.last_error.clone());
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }

    async fn last_commit(&mut self) -> Result<(), OutboxError> {
        for attempt in 1..CLOSE_ATTEMPTS {
            if self.flush().is_ok() {
                return Ok(());
            }
            sleep(RETRY * attempt).await;
        }
        self.flush()
    }

    fn answer(&mut self, query: Command) {
        // The caller may have gone away: then the answer is not needed.
        match query {
            Command::Fetch { priority, after, max, reply } => {
                // Nothing is marked as in flight for a caller that is gone.
                if !reply.is_closed() {
                    let _caller_is_gone = reply.send(self.outbox.fetch(priority, after, max));
                }
            }
            Command::Totals(reply) => {
                let _caller_is_gone = reply.send(self.outbox.totals().clone());
            }
            Command::Dropped(reply) => {
                let _caller_is_gone = reply.send(self.outbox.dropped().to_vec());
            }
            Command::Flush(reply) => {
                let _caller_is_gone = reply.send(self.flush());
            }
            Command::Write(..) | Command::Close(_) => {}
        }
    }
}

impl Drop for Actor {
    /// No caller shall wait for memory that is never given back.
    fn drop(&mut self) {
        self.room.close();
    }
}

fn status_of(outbox: &Outbox, last_error: Option<Arc<str>>) -> Status {
    Status {
        newest_seq: outbox.newest_seq(),
        mark: outbox.mark(),
        totals: outbox.totals().clone(),
        accounts: Arc::clone(&outbox.committed.counters.accounts),
        damage: outbox.damage.clone(),
        last_error,
    }
}

fn describe(error: &OutboxError) -> Arc<str> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.into()
}
