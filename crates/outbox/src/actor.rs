//! The outbox's own thread: takes commands, commits what waits in groups, tries again when the disk refuses.
//!
//! Where entries are written at once (`spill_after` zero), an append is committed together with everything else that waits
//! by then; acknowledgements alone are gathered, which saves the flash many small writes. Otherwise everything is staged at
//! once and committed when something has waited for `spill_after`, or too much does. While commits fail, what waits is
//! kept, and queries are still answered.

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
    /// What is to be staged or committed, in order …
    pending: Vec<Change>,
    /// … and the room it takes.
    permits: Vec<OwnedSemaphorePermit>,
    /// What pending changes take out of the queue.
    done: BTreeSet<u64>,
    /// Whether an append is pending.
    appended: bool,
    /// When what is pending was gathered for long enough.
    gathered: Option<Instant>,
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
            pending: Vec::new(),
            permits: Vec::new(),
            done: BTreeSet::new(),
            appended: false,
            gathered: None,
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
                    Command::Write(change, permit) => self.keep(change, permit),
                    Command::Close(reply) => {
                        closers.push(reply);
                        commands.close();
                        self.room.close();
                    }
                    query => queries.push(query),
                }
            }
            self.work();
            // Who is answered may look at the status next.
            self.tell();
            queries.into_iter().for_each(|query| self.answer(query));
            self.tell();
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
        self.gathered.get_or_insert_with(|| Instant::now() + GATHER);
    }

    fn spills(&self) -> bool {
        !self.outbox.options.spill_after.is_zero()
    }

    /// When there is something to do, unless a command comes before.
    fn due_at(&self) -> Option<Instant> {
        match self.retry {
            Some((at, _)) => Some(at),
            None if self.spills() => self.outbox.spill_at(),
            None => self.gathered,
        }
    }

    /// Does what is due; the status tells of a failure.
    fn work(&mut self) {
        let now = Instant::now();
        let waits_for_retry = self.retry.is_some_and(|(at, _)| now < at);
        let is_late = self.due_at().is_some_and(|due| now >= due);
        let enough = self.appended || self.done.len() >= GATHER_SEQS;
        if waits_for_retry {
            return;
        }
        if self.spills() && self.retry.is_none() {
            let done = self.stage(now);
            self.note(&done);
        } else if is_late || enough {
            let _told_by_status = self.commit();
        }
    }

    /// Commits everything that waits. Where that fails, keeps it and sets the time of the next attempt.
    fn commit(&mut self) -> Result<(), OutboxError> {
        let done = if self.spills() {
            self.stage(Instant::now()).and_then(|()| self.outbox.commit())
        } else {
            self.outbox.apply(&self.pending).map(|()| self.forget(self.pending.len()))
        };
        self.note(&done);
        done
    }

    /// Stages what is pending, and commits where that is due.
    fn stage(&mut self, now: Instant) -> Result<(), OutboxError> {
        let mut staged = 0;
        let result = self.pending.iter().try_for_each(|change| {
            self.outbox.make_room_unsaved(now)?;
            self.outbox.stage(change, now)?;
            staged += 1;
            Ok(())
        });
        self.forget(staged);
        result?;
        self.outbox.make_room_unsaved(now)
    }

    /// The first `count` pending changes are pending no more.
    fn forget(&mut self, count: usize) {
        self.pending.drain(..count);
        self.permits.drain(..count);
        if self.pending.is_empty() {
            self.done.clear();
            self.appended = false;
            self.gathered = None;
        }
    }

    fn note(&mut self, done: &Result<(), OutboxError>) {
        match done {
            Ok(()) => {
                self.retry = None;
                self.last_error = None;
            }
            Err(error) => {
                let wait = self.retry.map_or(RETRY, |(_, wait)| wait);
                self.retry = Some((Instant::now() + wait, (wait * 2).min(RETRY_AT_MOST)));
                self.last_error = Some(with_causes(error).into());
            }
        }
    }

    fn tell(&self) {
        let status = status_of(&self.outbox, self.last_error.clone());
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }

    async fn last_commit(&mut self) -> Result<(), OutboxError> {
        for attempt in 1..CLOSE_ATTEMPTS {
            if self.commit().is_ok() {
                return Ok(());
            }
            sleep(RETRY * attempt).await;
        }
        self.commit()
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
            Command::Flush(reply) => {
                let _nobody_waits = reply.send(self.commit());
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

fn status_of(outbox: &Outbox, last_error: Option<Arc<str>>) -> Status {
    Status {
        newest_seq: outbox.next_seq().saturating_sub(1),
        mark: outbox.mark(),
        totals: outbox.totals().clone(),
        accounts: outbox.shared_accounts(),
        damage: outbox.damage.clone(),
        last_error,
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
