//! Runs a sink: takes records from the outbox, gives it batches, acknowledges what it has written.
//!
//! Guarantees:
//! - A record is acknowledged when the sink says that the receiver has it, and dropped with a count when the sink says that
//!   it never will. Everything else is written again, in the order of the numbers.
//! - Alerts go before aggregates, and these before readings.
//! - A sink that fails is left alone for a while, longer each time. Its error is logged once, not at each attempt.
//! - If [`Limits::keeps_batches`], a batch that is written again has the same records, also after a crash.
//! - A sink that panics is an error like others.
//! - At most one batch is under way. A stop gives it three seconds.

mod rest;
#[cfg(test)]
mod tests;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use gateway_core::ports::Clock;
use gateway_core::{Backoff, chain};
use outbox::{DropReason, Lane, MAX_IN_FLIGHT, OutboxError, SinkHandle, Stored};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use self::rest::RestState;
use crate::remedy::with_remedy;
use crate::sink::{Item, Limits, Outcome, Sink, WriteError};

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a stop waits for a batch that is under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How a sink is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SinkState {
    /// Whether the last write succeeded. `false` before the first one.
    pub is_connected: bool,
    /// Why the last write failed; `None` after one that succeeded.
    pub last_error: Option<String>,
    /// Records that the receiver has taken since the start.
    pub delivered: u64,
}

/// A sink that runs.
#[derive(Debug)]
pub struct RunningSink {
    name: String,
    state: watch::Receiver<SinkState>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl RunningSink {
    /// Starts the sink called `name`. `lanes`: those that it takes.
    #[must_use]
    pub fn start(
        name: &str,
        sink: Box<dyn Sink>,
        limits: Limits,
        lanes: Vec<Lane>,
        outbox: SinkHandle,
        clock: Arc<dyn Clock>,
    ) -> RunningSink {
        let (state_sender, state) = watch::channel(SinkState::default());
        let stop = CancellationToken::new();
        let runner = Runner {
            name: name.to_owned(),
            sink,
            limits,
            lanes,
            outbox,
            clock,
            state: state_sender,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            rest: RestState::default(),
        };
        let task = tokio::spawn(runner.run(stop.clone()));
        RunningSink { name: name.to_owned(), state, stop, task }
    }

    /// `<kind>.<name>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is doing.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SinkState> {
        self.state.clone()
    }

    /// Lets a batch that is under way end, within three seconds; [`Self::stop`] waits for it.
    pub fn begin_stop(&self) {
        self.stop.cancel();
    }

    /// Lets a batch that is under way end, within three seconds.
    pub async fn stop(self) {
        self.begin_stop();
        if let Err(error) = self.task.await {
            tracing::error!("a sink ended unexpectedly: {error}");
        }
    }
}

struct Runner {
    name: String,
    sink: Box<dyn Sink>,
    limits: Limits,
    lanes: Vec<Lane>,
    outbox: SinkHandle,
    clock: Arc<dyn Clock>,
    state: watch::Sender<SinkState>,
    backoff: Backoff,
    rest: RestState,
}

/// What is to be done after an attempt.
enum Next {
    Continue,
    /// Nothing is queued: wait for the outbox.
    Wait,
    Pause(Duration),
}

impl Runner {
    async fn run(mut self, stop: CancellationToken) {
        let mut status = self.outbox.status();
        while !stop.is_cancelled() {
            status.borrow_and_update();
            let next = {
                let work = self.write_next();
                tokio::pin!(work);
                tokio::select! {
                    next = &mut work => next,
                    () = stop.cancelled() => {
                        // What is not acknowledged then is written again after the next start.
                        let _ended = timeout(STOP_TIMEOUT, work).await;
                        return;
                    }
                }
            };
            let resume = match next {
                Ok(Next::Continue) => continue,
                Ok(Next::Wait) => None,
                Ok(Next::Pause(pause)) => Some(Instant::now() + pause),
                Err(OutboxError::Closed) => return,
                Err(error) => {
                    tracing::error!(sink = self.name, "the outbox cannot be read: {}", chain(&error));
                    Some(Instant::now() + LONGEST_PAUSE)
                }
            };
            let Some(resume) = resume else {
                if self.wait_for_records(&mut status, &stop).await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep_until(resume) => {}
            }
        }
    }

    /// Writes one batch.
    async fn write_next(&mut self) -> Result<Next, OutboxError> {
        let Some(batch) = self.next_batch().await? else { return Ok(Next::Wait) };
        let mut pause = None;
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let (Some(first), count) = (part.first().map(|item| item.lane), part.len()) else { continue };
            match self.write(&part).await {
                Ok(outcomes) => pause = self.settle(first, &part, outcomes).await?.or(pause),
                Err(WriteError::Retry { reason, after }) => {
                    return Ok(Next::Pause(self.failed(reason, after)));
                }
                Err(WriteError::Refused { reason }) if count == 1 => {
                    let never = vec![Outcome::Never(reason)];
                    pause = self.settle(first, &part, never).await?.or(pause);
                }
                Err(WriteError::Refused { .. }) => {
                    let mut older = part;
                    let newer = older.split_off(count / 2);
                    parts.extend([newer, older]);
                }
            }
        }
        Ok(pause.map_or(Next::Continue, Next::Pause))
    }

    /// A sink that panics is tried again as after any error: its records stay in the outbox, and the other sinks run on.
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let writing = AssertUnwindSafe(self.sink.write(batch)).catch_unwind();
        match timeout(self.limits.timeout, writing).await {
            Ok(Ok(written)) => written,
            Ok(Err(_panic)) => Err(panicked()),
            Err(_late) => Err(WriteError::retry(format!("no answer within {:?}", self.limits.timeout))),
        }
    }

    /// The oldest records of the most urgent lane that has some.
    async fn next_batch(&mut self) -> Result<Option<Vec<Item>>, OutboxError> {
        for lane in self.lanes.clone() {
            let batch = self.batch_of(lane).await?;
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    async fn batch_of(&mut self, lane: Lane) -> Result<Vec<Item>, OutboxError> {
        if !self.limits.keeps_batches {
            return self.new_batch(lane).await;
        }
        let end = *self.outbox.batch_ends().await?.get(lane);
        let oldest = self.outbox.fetch(lane, 0, 1).await?;
        if oldest.first().is_some_and(|oldest| oldest.seq <= end) {
            let mut again = self.outbox.fetch(lane, 0, MAX_IN_FLIGHT).await?;
            again.retain(|stored| stored.seq <= end);
            return self.items(lane, &again).await;
        }
        let batch = self.new_batch(lane).await?;
        if let Some(last) = batch.last() {
            self.outbox.fix_batch(lane, last.number).await?;
        }
        Ok(batch)
    }

    async fn new_batch(&mut self, lane: Lane) -> Result<Vec<Item>, OutboxError> {
        let mut stored = self.outbox.fetch(lane, 0, self.limits.records).await?;
        // Alerts do not wait.
        let waits = lane != Lane::Alerts && !self.limits.linger.is_zero();
        if waits && !stored.is_empty() && stored.len() < self.limits.records {
            tokio::time::sleep(self.limits.linger).await;
            let after = stored.last().map_or(0, |last| last.seq);
            stored.extend(self.outbox.fetch(lane, after, self.limits.records - stored.len()).await?);
        }
        let mut bytes = 0_usize;
        let fits = stored.iter().take_while(|entry| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(entry.payload.len());
            is_first || bytes <= self.limits.bytes
        });
        let count = fits.count();
        stored.truncate(count);
        self.items(lane, &stored).await
    }

    /// The records of stored entries. One that cannot be read is dropped.
    async fn items(&mut self, lane: Lane, stored: &[Stored]) -> Result<Vec<Item>, OutboxError> {
        let mut batch = Vec::with_capacity(stored.len());
        for entry in stored {
            match Item::of(entry) {
                Ok(item) => batch.push(item),
                Err(error) => {
                    tracing::error!(sink = self.name, number = entry.seq, "{}", chain(&error));
                    let now = self.clock.now().as_millis();
                    self.outbox.discard(lane, vec![entry.seq], DropReason::Refused, now).await?;
                }
            }
        }
        Ok(batch)
    }

    /// Acknowledges and drops what came of a batch. Returns a pause if something is to be written again.
    async fn settle(
        &mut self,
        lane: Lane,
        batch: &[Item],
        outcomes: Vec<Outcome>,
    ) -> Result<Option<Duration>, OutboxError> {
        let (mut taken, mut same_time, mut never) = (Vec::new(), Vec::new(), Vec::new());
        let mut later = batch.len() > outcomes.len();
        // One line of the log for records in a row that are refused for the same reason.
        let mut refused: Vec<(String, String, usize)> = Vec::new();
        for (item, outcome) in batch.iter().zip(outcomes) {
            match outcome {
                Outcome::Taken => taken.push(item.number),
                Outcome::Later => later = true,
                Outcome::SameTime => same_time.push(item.number),
                Outcome::Never(reason) => {
                    if refused.last().is_none_or(|(_, known, _)| *known != reason) {
                        refused.push((item.record.id(), reason, 0_usize));
                    }
                    refused.iter_mut().last().into_iter().for_each(|(.., count)| *count += 1);
                    never.push(item.number);
                }
            }
        }
        for (id, reason, count) in refused {
            let others = if count > 1 { format!(" (and {} after it)", count - 1) } else { String::new() };
            tracing::error!(
                sink = self.name,
                id,
                "this record can never be written{others}; it is dropped and counted: {reason}"
            );
        }
        let delivered = taken.len() as u64;
        if !taken.is_empty() {
            self.outbox.acknowledge(lane, taken).await?;
        }
        for (numbers, reason) in [(same_time, DropReason::SameTime), (never, DropReason::Refused)] {
            if !numbers.is_empty() {
                self.outbox.discard(lane, numbers, reason, self.clock.now().as_millis()).await?;
            }
        }
        if later {
            let reason = "some records were not taken".to_owned();
            self.state.send_modify(|state| state.delivered += delivered);
            return Ok(Some(self.failed(reason, None)));
        }
        self.succeeded(delivered);
        Ok(None)
    }

    fn succeeded(&mut self, delivered: u64) {
        self.backoff.reset();
        let error = self.rest.error().map(str::to_owned);
        let recovered = error.is_none() && self.state.borrow().last_error.is_some();
        if recovered {
            tracing::info!(sink = self.name, "records are written again");
        }
        self.state.send_modify(|state| {
            state.is_connected = true;
            state.last_error = error;
            state.delivered += delivered;
        });
    }

    /// Notes the error and returns how long the receiver is left alone.
    fn failed(&mut self, reason: String, after: Option<Duration>) -> Duration {
        let reason = with_remedy(reason);
        let is_known = self.state.borrow().last_error.as_ref() == Some(&reason);
        let pause = self.backoff.next_wait(chance(self.clock.now().as_millis()));
        let pause = after.map_or(pause, |after| after.clamp(pause, Duration::from_secs(3600)));
        if !is_known {
            tracing::warn!(sink = self.name, "{reason}; records wait in the outbox, trying again");
        }
        self.state.send_modify(|state| {
            state.is_connected = false;
            state.last_error = Some(reason);
        });
        pause
    }
}

fn panicked() -> WriteError {
    WriteError::retry("this sink has a bug (it panicked); please report the log")
}

/// A number in 0..1 that differs between gateways that failed together: the millisecond.
fn chance(now_ms: i64) -> f64 {
    f64::from(u16::try_from(now_ms.rem_euclid(1000)).unwrap_or(0)) / 1000.0
}
