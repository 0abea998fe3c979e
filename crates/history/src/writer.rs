//! The history's own thread: gathers rows, writes them now and then in one transaction, takes out what is too old in small
//! portions, between which it takes and writes what comes.
//!
//! While the disk refuses, what waits is kept in memory and tried again; what finds no permit there is left out and counted.
//! A damaged file is put aside and a new one begun. No other task waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use gateway_core::ports::Clock;
use gateway_core::{MemoryPermit, Timestamp, chain};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::aside;
use crate::batch::Batch;
use crate::error::HistoryError;
use crate::handle::{Command, Handle, Status};
use crate::retention::{Before, Progress};
use crate::store::Store;

/// How long rows are gathered …
const GATHER: Duration = Duration::from_secs(300);
/// … and how many windows and alerts. What a killed process or a power cut can take, unless they are made again.
const GATHER_WINDOWS: usize = 1_000;
/// … and how many readings, which are smaller.
const GATHER_READINGS: usize = 8_000;
/// How long to wait after the disk refused.
const RETRY: Duration = Duration::from_secs(10);
/// How often at most, and at least, what is too old is taken out. Each time costs a page for every device.
const PRUNE_EVERY: (Duration, Duration) = (Duration::from_secs(1), DAY);
const DAY: Duration = Duration::from_secs(86_400);

/// How a history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// Windows that started longer ago go, at the latest after a thirtieth of this more (or a day, if that is less). From a
    /// day on they go by whole days (UTC).
    pub keep: Duration,
    /// The same of hours, and of alerts; at least as long as `keep`.
    pub keep_hours: Duration,
    /// The same of days; at least as long as hours.
    pub keep_days: Duration,
    /// How long single readings are kept; zero: none are stored.
    pub readings: Duration,
    /// Bytes beyond which the oldest windows go first; the write-ahead log, 4 MiB mostly, comes on top.
    pub max_bytes: u64,
}

impl Options {
    fn prune_every(&self) -> Duration {
        let readings = Some(self.readings).filter(|readings| !readings.is_zero());
        let shortest = readings.map_or(self.keep, |readings| readings.min(self.keep));
        (shortest / 30).clamp(PRUNE_EVERY.0, PRUNE_EVERY.1)
    }

    /// What is too old at `now`.
    fn before(&self, now: Timestamp) -> Before {
        let hours = self.keep_hours.max(self.keep);
        let before = |keep: Duration| {
            let before = (now - keep).as_millis();
            let day = i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX);
            if keep < DAY { before } else { before.saturating_sub(before.rem_euclid(day)) }
        };
        Before {
            windows: before(self.keep),
            hours: before(hours),
            days: before(self.keep_days.max(hours)),
            readings: before(self.readings),
        }
    }
}

/// Keeps a history on a thread named "history", which opens the file itself. The thread ends after [`Handle::close`], or
/// when every handle is gone.
///
/// # Errors
/// Where the thread cannot be started.
pub fn spawn(options: Options, clock: Arc<dyn Clock>) -> io::Result<(Handle, JoinHandle<()>)> {
    let (handle, writer, commands) = Writer::new(options, clock);
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || runtime.block_on(writer.run(commands));
    let thread = thread::Builder::new().name("history".to_owned()).spawn(run)?;
    Ok((handle, thread))
}

struct Writer {
    options: Options,
    clock: Arc<dyn Clock>,
    /// None where it cannot be opened.
    store: Option<Store>,
    status: Arc<watch::Sender<Status>>,
    waiting: Batch,
    /// The permit that what waits takes.
    permits: Vec<MemoryPermit>,
    /// When what waits is to be written.
    flush_at: Option<Instant>,
    prune_at: Instant,
    /// What is being taken out, portion by portion.
    trimming: Option<Before>,
}

impl Writer {
    fn new(options: Options, clock: Arc<dyn Clock>) -> (Handle, Self, mpsc::Receiver<Command>) {
        let status = Arc::new(watch::Sender::new(Status::default()));
        let (handle, commands) = Handle::new(Arc::clone(&status), !options.readings.is_zero());
        let writer = Self {
            options,
            clock,
            store: None,
            status,
            waiting: Batch::default(),
            permits: Vec::new(),
            flush_at: None,
            prune_at: Instant::now(),
            trimming: None,
        };
        (handle, writer, commands)
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut closing: Option<oneshot::Sender<()>> = None;
        loop {
            let mut reader: Option<oneshot::Sender<()>> = None;
            match timeout_at(self.due(), commands.recv()).await {
                Ok(None) => break,
                Ok(Some(Command::Keep(batch, permit))) => self.keep(batch, permit),
                Ok(Some(Command::Flush)) => self.flush_soon(),
                Ok(Some(Command::Write(reply))) => {
                    self.flush_soon();
                    reader = Some(reply);
                }
                Ok(Some(Command::Close(reply))) => {
                    commands.close();
                    closing = Some(reply);
                }
                Err(_) => {}
            }
            self.run_due_jobs();
            if let Some(reader) = reader {
                let _ = reader.send(());
            }
        }
        if !self.waiting.is_empty() {
            self.try_to(Self::flush);
        }
        // The file is closed before the reply is sent.
        drop(self);
        if let Some(reply) = closing {
            let _ = reply.send(());
        }
    }

    fn due(&self) -> Instant {
        if self.trimming.is_some() {
            return Instant::now();
        }
        self.flush_at.map_or(self.prune_at, |flush| flush.min(self.prune_at))
    }

    fn keep(&mut self, mut batch: Batch, permit: MemoryPermit) {
        self.waiting.append(&mut batch);
        self.permits.push(permit);
        let gathered = Instant::now() + GATHER;
        self.flush_at.get_or_insert(gathered);
        let Batch { windows, alerts, readings } = &self.waiting;
        if windows.len() + alerts.len() >= GATHER_WINDOWS || readings.len() >= GATHER_READINGS {
            self.flush_soon();
        }
    }

    /// Flushes at once, unless the disk has just refused.
    fn flush_soon(&mut self) {
        if self.status.borrow().trouble.is_none() && self.flush_at.is_some() {
            self.flush_at = Some(Instant::now());
        }
    }

    fn run_due_jobs(&mut self) {
        let now = Instant::now();
        if self.flush_at.is_some_and(|due| due <= now) {
            self.try_to(Self::flush);
        }
        if self.prune_at <= now {
            let every = self.options.prune_every();
            self.prune_at = now + every;
            let now = self.clock.now();
            // A clock that was never set says nothing of age.
            self.trimming =
                Some(if now > Timestamp::PLAUSIBLE { self.options.before(now) } else { Before::NOTHING });
        }
        if self.trimming.is_some() {
            self.try_to(Self::trim);
        }
    }

    /// Opens the file if it is closed, begins a new one if it is damaged, runs the job, and reports the result in the status.
    fn try_to(&mut self, job: fn(&mut Self, &mut Store) -> Result<(), HistoryError>) {
        let mut done = self.with_store(job);
        if done.as_ref().is_err_and(HistoryError::is_damage) {
            done = self.begin_anew().and_then(|()| self.with_store(job));
        }
        let trouble: Option<Arc<str>> = done.as_ref().err().map(|error| chain(error).into());
        if trouble.is_some() {
            // Opened again next time: what was in the way may be gone then.
            self.store = None;
            self.trimming = None;
            let again = Instant::now() + RETRY;
            self.flush_at = self.flush_at.map(|_| again);
            self.prune_at = self.prune_at.min(again);
        } else if !self.waiting.is_empty() {
            // That an old window could be removed does not say that a new one can be stored.
            if self.status.borrow().trouble.is_some() {
                self.flush_at = Some(Instant::now());
            }
            return;
        }
        self.status.send_if_modified(|status| {
            let changed = status.trouble != trouble;
            status.trouble = trouble;
            changed
        });
    }

    fn with_store(
        &mut self,
        job: fn(&mut Self, &mut Store) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => Store::open(&self.options.path)?,
        };
        job(self, &mut store)?;
        self.store = Some(store);
        Ok(())
    }

    fn flush(&mut self, store: &mut Store) -> Result<(), HistoryError> {
        match store.append_batch(&self.waiting) {
            // A second try would fail too.
            Err(HistoryError::Row { .. }) => {
                let lost = self.waiting.len() as u64;
                self.status.send_modify(|status| status.left_out = status.left_out.saturating_add(lost));
            }
            done => done?,
        }
        self.waiting.clear();
        self.permits.clear();
        self.flush_at = None;
        // It may be too large now.
        self.trimming.get_or_insert(Before::NOTHING);
        Ok(())
    }

    /// Takes out one portion.
    fn trim(&mut self, store: &mut Store) -> Result<(), HistoryError> {
        let Some(before) = self.trimming else { return Ok(()) };
        if store.trim(&before, self.options.max_bytes)? == Progress::Done {
            self.trimming = None;
        }
        Ok(())
    }

    fn begin_anew(&mut self) -> Result<(), HistoryError> {
        self.store = None;
        let path = &self.options.path;
        let aside =
            aside::set_aside(path).map_err(|source| HistoryError::Aside { path: path.clone(), source })?;
        self.status.send_modify(|status| status.aside = Some(aside.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
