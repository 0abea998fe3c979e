//! The outbox's own thread: receives commands, stages requests, commits them in groups, and retries if the disk refuses.
//!
//! If the producer does not repeat, an append is committed at once, together with everything else that waits. Otherwise a
//! commit waits a little, so that sinks get new entries before the thread waits for the disk; acknowledgements are collected
//! for longer, which saves many small writes. While commits fail, the requests are kept, and queries are still answered.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::OutboxError;
use crate::handle::{Command, Handle, PENDING_BYTES, Reply, SinkStatus, Status};
use crate::lane::PerLane;
use crate::staged::STAGED_BYTES;
use crate::state::SinkState;
use crate::store::{Outbox, Request};

/// Capacity of the command queue; so many commands are received at once.
const COMMANDS: usize = 256;
/// The first and the longest wait after a failed commit.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_AT_MOST: Duration = Duration::from_secs(10);
/// Attempts to commit at the end.
const CLOSE_ATTEMPTS: u32 = 3;

/// Runs the outbox on a thread named "outbox". The thread ends after [`Handle::close`], or when every handle is gone.
///
/// # Errors
/// If the thread cannot be started.
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
    memory: Arc<Semaphore>,
    status: watch::Sender<Status>,
    /// Requests to stage, in order, with the permit for their memory.
    pending: VecDeque<(Request, OwnedSemaphorePermit)>,
    /// After a failure: when to try again, and how long to wait after the next one.
    retry: Option<(Instant, Duration)>,
    last_error: Option<Arc<str>>,
}

impl Actor {
    fn new(outbox: Outbox) -> (Handle, Actor, mpsc::Receiver<Command>) {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let memory = Arc::new(Semaphore::new(PENDING_BYTES));
        let (status_sender, status) = watch::channel(status_of(&outbox, sinks_of(&outbox), None));
        let actor = Actor {
            outbox,
            memory: Arc::clone(&memory),
            status: status_sender,
            pending: VecDeque::new(),
            retry: None,
            last_error: None,
        };
        (Handle { commands: sender, memory, status }, actor, commands)
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut taken = Vec::with_capacity(COMMANDS);
        let mut close_replies: Vec<Reply<()>> = Vec::new();
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
                        close_replies.push(reply);
                        commands.close();
                        self.memory.close();
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
        // The files are closed before the callers get their answer.
        drop(self);
        let stored = result.is_ok();
        for closer in close_replies {
            let for_the_next = if stored { Ok(()) } else { Err(OutboxError::Closed) };
            let _caller_is_gone = closer.send(std::mem::replace(&mut result, for_the_next));
        }
    }

    /// When the next commit is due, if no command comes before.
    fn due_at(&self) -> Option<Instant> {
        self.retry.map_or_else(|| self.outbox.commit_at(), |(at, _)| Some(at))
    }

    /// Stages and commits what is due. A failure is reported in the status.
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
        self.record_result(done.as_ref());
    }

    /// Stages the pending requests: acknowledgements always, appends in their order and only while too much is not staged.
    fn stage(&mut self, now: Instant, may_commit: bool) -> Result<(), OutboxError> {
        let mut waiting = VecDeque::new();
        let mut result = Ok(());
        while let Some((request, permit)) = self.pending.pop_front() {
            let is_append = matches!(request, Request::Append { .. });
            let mut must_wait = is_append && !waiting.is_empty();
            if !must_wait && is_append && self.outbox.staged.bytes() >= STAGED_BYTES {
                result = if may_commit { self.outbox.commit() } else { Ok(()) };
                must_wait = !may_commit || result.is_err();
            }
            if must_wait {
                waiting.push_back((request, permit));
            } else {
                self.outbox.stage(&request, now);
            }
        }
        self.pending = waiting;
        result
    }

    /// Commits everything. If that fails, keeps it and sets the time of the next attempt.
    fn flush(&mut self) -> Result<(), OutboxError> {
        let done = self.stage(Instant::now(), true).and_then(|()| self.outbox.flush());
        self.record_result(done.as_ref());
        done
    }

    fn record_result(&mut self, done: Result<&(), &OutboxError>) {
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
        self.status.send_if_modified(|old| {
            let sinks =
                if self.counters_changed(old) { sinks_of(&self.outbox) } else { Arc::clone(&old.sinks) };
            let status = status_of(&self.outbox, sinks, self.last_error.clone());
            let changed = *old != status;
            *old = status;
            changed
        });
    }

    /// Whether there was a commit since this status.
    fn counters_changed(&self, old: &Status) -> bool {
        let totals = self.outbox.committed.sinks.values().map(|sink| &sink.counters.totals);
        !totals.eq(old.sinks.iter().map(|sink| &sink.totals))
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
        // A caller that is gone needs no answer.
        match query {
            Command::Fetch { sink, lane, after, max, reply } => {
                // Nothing is marked as in flight for a caller that is gone.
                if !reply.is_closed() {
                    let _caller_is_gone = reply.send(self.outbox.fetch(&sink, lane, after, max));
                }
            }
            Command::Commit(request, reply) => {
                self.outbox.stage(&request, Instant::now());
                let done = self.stage(Instant::now(), true).and_then(|()| self.outbox.commit());
                self.record_result(done.as_ref());
                let _caller_is_gone = reply.send(done);
            }
            Command::BatchEnds { sink, reply } => {
                let _caller_is_gone = reply.send(self.outbox.batch_ends(&sink));
            }
            Command::Ping(reply) => {
                let _caller_is_gone = reply.send(());
            }
            Command::Dropped { sink, reply } => {
                let _caller_is_gone = reply.send(self.outbox.dropped(&sink));
            }
            Command::WaitingSince { sink, reply } => {
                let _caller_is_gone = reply.send(self.outbox.waiting_since(&sink));
            }
            Command::Flush(reply) => {
                let done = self.flush();
                // The caller looks at the status next.
                self.publish_status();
                let _caller_is_gone = reply.send(done);
            }
            Command::Write(..) | Command::Close(_) => {}
        }
    }
}

impl Drop for Actor {
    /// Callers must not wait for permits that never come.
    fn drop(&mut self) {
        self.memory.close();
    }
}

fn status_of(outbox: &Outbox, sinks: Arc<Vec<SinkStatus>>, last_error: Option<Arc<str>>) -> Status {
    Status {
        newest: PerLane::from_fn(|lane| outbox.newest_seq(lane)),
        mark: outbox.mark(),
        sinks,
        damage: outbox.damage.clone(),
        last_error,
    }
}

fn sinks_of(outbox: &Outbox) -> Arc<Vec<SinkStatus>> {
    let status = |sink: &SinkState| SinkStatus {
        name: Arc::clone(&sink.name),
        is_configured: sink.lanes.iter().any(|(_, progress)| progress.takes_new()),
        totals: sink.counters.totals.clone(),
        accounts: Arc::clone(&sink.counters.accounts),
    };
    Arc::new(outbox.committed.sinks.values().map(status).collect())
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
