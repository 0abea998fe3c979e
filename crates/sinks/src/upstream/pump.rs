//! Sends the outbox to the broker: keeps as many messages in flight as allowed, and no others in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use gateway_core::chain;
use gateway_core::ports::Clock;
use mqtt_link::{Duplex, DuplexEvent, Message, Publisher, Qos, RefusedFilter, SubmitError};
use outbox::{DropReason, Lane, OutboxError, SinkHandle, Stored};
use record::Record;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::compress::compress;
use super::format::{Connection, Encoder, Outgoing, Point, encoder};
use super::unqueued::{Tokens, UnqueuedMessage, is_unqueued};
use super::{CloudCommand, MAX_UNQUEUED, Settings, State};

/// The pause after a temporary refusal.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// How long a stop waits for messages in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The progress in one lane of the outbox.
#[derive(Debug)]
struct LaneQueue {
    lane: Lane,
    /// All entries up to here were submitted on this connection.
    cursor: u64,
    /// Fetched entries that are not submitted yet.
    fetched: VecDeque<Stored>,
    /// Whether the outbox may have more entries after the cursor.
    more: bool,
}

impl LaneQueue {
    fn new(lane: Lane) -> Self {
        Self { lane, cursor: 0, fetched: VecDeque::new(), more: true }
    }

    /// Starts again at the oldest entry.
    fn rewind(&mut self) {
        *self = Self::new(self.lane);
    }

    async fn next(&mut self, outbox: &SinkHandle, room: usize) -> Result<Option<Stored>, OutboxError> {
        if self.fetched.is_empty() && self.more {
            let fetched = outbox.fetch(self.lane, self.cursor, room).await?;
            // The answer may have fewer entries than requested, because its size is bounded.
            self.more = !fetched.is_empty();
            self.fetched = fetched.into();
        }
        let entry = self.fetched.pop_front();
        self.cursor = entry.as_ref().map_or(self.cursor, |entry| entry.seq);
        Ok(entry)
    }
}

/// The task's state.
pub(super) struct Pump {
    link: Duplex,
    encoder: Box<dyn Encoder>,
    settings: Settings,
    outbox: SinkHandle,
    clock: Arc<dyn Clock>,
    unqueued: mpsc::Receiver<UnqueuedMessage>,
    status: watch::Receiver<Option<Bytes>>,
    last_status: Arc<OnceLock<Bytes>>,
    state: watch::Sender<State>,
    tokens: Tokens,
    /// Messages that do not go through the outbox; they are sent before it.
    waiting: VecDeque<UnqueuedMessage>,
    connected: bool,
    alerts: LaneQueue,
    aggregates: LaneQueue,
    /// The lane of each number that is in flight.
    in_flight: BTreeMap<u64, Lane>,
    /// After a temporary refusal: when to try all unacknowledged entries again.
    resume: Option<Instant>,
}

impl Pump {
    pub(super) fn new(
        mut settings: Settings,
        outbox: SinkHandle,
        clock: Arc<dyn Clock>,
        unqueued: mpsc::Receiver<UnqueuedMessage>,
        status: watch::Receiver<Option<Bytes>>,
        last_status: Arc<OnceLock<Bytes>>,
        state: watch::Sender<State>,
    ) -> Self {
        let encoder = encoder(&settings, &*clock);
        settings.link.will_source = encoder.will();
        Self {
            link: Duplex::start(settings.link.clone(), subscriptions(&*encoder, &settings)),
            encoder,
            settings,
            outbox,
            clock,
            unqueued,
            status,
            last_status,
            state,
            tokens: Tokens::default(),
            waiting: VecDeque::new(),
            connected: false,
            alerts: LaneQueue::new(Lane::Alerts),
            aggregates: LaneQueue::new(Lane::Aggregates),
            in_flight: BTreeMap::new(),
            resume: None,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut stored = self.outbox.status();
        loop {
            let resume = self.resume;
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.link.next() => match event {
                    Some(event) => self.handle_event(event).await,
                    None => break,
                },
                Ok(()) = stored.changed() => {
                    self.alerts.more = true;
                    self.aggregates.more = true;
                }
                Some(message) = self.unqueued.recv() => self.add_unqueued(message),
                Ok(()) = self.status.changed() => self.add_status(),
                () = at(resume), if resume.is_some() => self.rewind(),
            }
            if let Err(error) = self.fill().await {
                tracing::error!("the outbox cannot be read: {error}; trying again in {RETRY_DELAY:?}");
                self.alerts.more = false;
                self.aggregates.more = false;
                self.resume.get_or_insert(Instant::now() + RETRY_DELAY);
            }
        }
        self.shut_down().await;
    }

    async fn handle_event(&mut self, event: DuplexEvent) {
        match event {
            DuplexEvent::Up { refused, attempt } => self.begin_connection(&refused, attempt),
            DuplexEvent::Message(message) => self.receive(message),
            DuplexEvent::Acked(token) => {
                if let Some(lane) = self.in_flight.remove(&token) {
                    self.state.send_modify(|state| state.published += 1);
                    self.log_failure(self.outbox.acknowledge(lane, vec![token]).await);
                }
            }
            DuplexEvent::Refused { token, refusal } if is_unqueued(token) => {
                tracing::warn!(
                    "the cloud broker refuses a status, health or control message: {}",
                    refusal.reason
                );
            }
            DuplexEvent::Refused { token, refusal } if refusal.permanent => {
                if let Some(lane) = self.in_flight.remove(&token) {
                    self.discard(lane, token, refusal.reason).await;
                }
            }
            DuplexEvent::Refused { token, refusal } => {
                self.in_flight.remove(&token);
                tracing::warn!(
                    seq = token,
                    "the cloud broker refuses for now: {}; trying again in {RETRY_DELAY:?}",
                    refusal.reason
                );
                self.resume.get_or_insert(Instant::now() + RETRY_DELAY);
            }
            DuplexEvent::Down { reason } => {
                tracing::warn!(broker = %self.settings.link.url, "upstream: {reason}");
                self.connected = false;
                self.state.send_modify(|state| {
                    state.connected = false;
                    state.last_error = Some(reason);
                });
                self.in_flight.clear();
                self.waiting.clear();
            }
        }
    }

    fn begin_connection(&mut self, refused: &[RefusedFilter], attempt: u64) {
        tracing::info!(broker = %self.settings.link.url, "upstream: connected");
        for RefusedFilter { filter, reason } in refused {
            tracing::warn!("the cloud broker refuses the subscription to {filter}: {reason}");
        }
        self.connected = true;
        self.state.send_modify(|state| state.connected = true);
        self.rewind();
        let newest = self.outbox.status().borrow().newest;
        self.encoder.connected(Connection { attempt, newest: newest.alerts.max(newest.aggregates) });
        self.add_status();
    }

    /// A retained message was not meant for this connection.
    fn receive(&mut self, message: Message) {
        if message.retain {
            message.ack.send();
            return;
        }
        let commands = self.settings.commands.as_ref();
        let device = commands.and_then(|commands| message.topic.strip_prefix(&commands.base));
        if let (Some(commands), Some(device)) = (commands, device) {
            let command =
                CloudCommand { device: device.to_owned(), payload: message.payload, ack: message.ack };
            if let Err(refused) = commands.sender.try_send(command) {
                // Not answered either: answers to a storm would be another one.
                tracing::warn!("more commands from the cloud than can be looked at; one is refused");
                refused.into_inner().ack.send();
            }
            return;
        }
        self.encoder.received(&message.topic, &message.payload);
        message.ack.send();
    }

    /// Starts again at the oldest entry, without those in flight.
    fn rewind(&mut self) {
        self.resume = None;
        self.alerts.rewind();
        self.aggregates.rewind();
    }

    /// Submits the messages outside the outbox, then entries, alerts first, until the most allowed are in flight.
    async fn fill(&mut self) -> Result<(), OutboxError> {
        if !self.connected || !self.send_control(Point::First) || !self.send_unqueued() {
            return Ok(());
        }
        let limit = usize::from(self.settings.max_in_flight.clamp(1, Publisher::WINDOW));
        while self.connected && self.in_flight.len() < limit {
            let room = limit - self.in_flight.len();
            let Some(entry) = self.next_entry(room).await? else { return Ok(()) };
            let (lane, seq) = (entry.lane, entry.seq);
            if self.in_flight.contains_key(&seq) {
                continue;
            }
            let record = match Record::decode(&entry.payload) {
                Ok(record) => record,
                Err(error) => {
                    self.discard(lane, seq, &chain(&error)).await;
                    continue;
                }
            };
            if !self.send_control(Point::Before(&record)) {
                self.put_back(entry);
                return Ok(());
            }
            let (topic, payload) = match self.message(&record, seq) {
                Ok(message) => message,
                Err(error) => {
                    self.discard(lane, seq, &error).await;
                    continue;
                }
            };
            match self.link.try_publish(seq, &topic, payload, false) {
                Ok(()) => {
                    self.encoder.submitted();
                    self.in_flight.insert(seq, lane);
                }
                Err(error) if error.is_permanent() => self.discard(lane, seq, &error.to_string()).await,
                Err(SubmitError::NotConnected) => self.connected = false,
                Err(_) => {
                    self.put_back(entry);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Topic and payload of a record, or why it has none.
    fn message(&mut self, record: &Record, seq: u64) -> Result<(String, Bytes), String> {
        let message = self.encoder.data(record, seq, &*self.clock);
        let payload = compress(self.settings.compression, message.payload).map_err(|error| chain(&error))?;
        Ok((message.topic, payload))
    }

    /// Submits what the format sends at this point beside records. Returns false if something of it must wait.
    fn send_control(&mut self, point: Point<'_>) -> bool {
        while let Some(message) = self.encoder.control(point, &*self.clock) {
            let token = self.tokens.next();
            match self.link.try_publish(token, &message.topic, message.payload.into(), false) {
                Ok(()) => self.encoder.submitted(),
                Err(SubmitError::WindowFull | SubmitError::NotConnected) => return false,
                Err(error) => {
                    tracing::warn!(topic = message.topic, "not sent: {error}");
                    self.encoder.skipped();
                }
            }
        }
        true
    }

    /// The entry to send next: the oldest alert, or the oldest aggregate once the format's control messages are sent.
    async fn next_entry(&mut self, room: usize) -> Result<Option<Stored>, OutboxError> {
        if let Some(alert) = self.alerts.next(&self.outbox, room).await? {
            return Ok(Some(alert));
        }
        if !self.send_control(Point::BeforeAggregates) {
            return Ok(None);
        }
        let aggregate = self.aggregates.next(&self.outbox, room).await?;
        if aggregate.is_none() {
            self.send_control(Point::Idle);
        }
        Ok(aggregate)
    }

    fn put_back(&mut self, entry: Stored) {
        let line = if entry.lane == Lane::Alerts { &mut self.alerts } else { &mut self.aggregates };
        line.fetched.push_front(entry);
    }

    async fn discard(&mut self, lane: Lane, seq: u64, reason: &str) {
        tracing::error!(
            seq,
            "the cloud broker will never take this message; it is dropped and counted: {reason}"
        );
        let now = self.clock.now().as_millis();
        self.log_failure(self.outbox.discard(lane, vec![seq], DropReason::Refused, now).await);
    }

    /// The outbox closes after the sink. If it is gone in any case, entries not deleted are sent again next time.
    fn log_failure(&self, result: Result<(), OutboxError>) {
        if let Err(error) = result {
            tracing::error!("{error}");
        }
    }

    fn add_status(&mut self) {
        let payload = self.status.borrow_and_update().clone();
        if let Some(payload) = payload {
            let topic = self.settings.status_topic.clone();
            self.add_unqueued(UnqueuedMessage { topic, payload, retain: true });
        }
    }

    /// Drops the message while there is no connection, and the oldest one if the broker is too slow.
    fn add_unqueued(&mut self, message: UnqueuedMessage) {
        if !self.connected {
            return;
        }
        if self.waiting.len() >= MAX_UNQUEUED {
            self.waiting.pop_front();
        }
        self.waiting.push_back(message);
    }

    /// Returns whether all of them are submitted.
    fn send_unqueued(&mut self) -> bool {
        while let Some(message) = self.waiting.front() {
            let token = self.tokens.next();
            let payload = message.payload.clone();
            match self.link.try_publish(token, &message.topic, payload, message.retain) {
                Ok(()) => {}
                Err(SubmitError::WindowFull | SubmitError::NotConnected) => return false,
                Err(error) => tracing::warn!(topic = message.topic, "not sent: {error}"),
            }
            self.waiting.pop_front();
        }
        true
    }

    /// Waits for messages in flight, publishes `offline`, disconnects. If `offline` cannot be published, it cuts the
    /// connection, so that the broker publishes the last will.
    async fn shut_down(mut self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        self.drain(deadline).await;
        let last_status = self.last_status.get().cloned();
        self.add_unqueued(UnqueuedMessage {
            topic: self.settings.status_topic.clone(),
            payload: last_status.unwrap_or_else(|| self.settings.offline.clone()),
            retain: true,
        });
        if let Some(message) = self.encoder.farewell(&*self.clock) {
            let Outgoing { topic, payload } = message;
            self.add_unqueued(UnqueuedMessage { topic, payload: payload.into(), retain: false });
        }
        let sent = self.send_unqueued();
        self.drain(deadline + Duration::from_secs(1)).await;
        if sent && self.connected && self.link.in_flight() == 0 {
            self.link.disconnect().await;
        }
    }

    async fn drain(&mut self, deadline: Instant) {
        while self.connected && self.link.in_flight() > 0 {
            match timeout(deadline.saturating_duration_since(Instant::now()), self.link.next()).await {
                Ok(Some(event)) => self.handle_event(event).await,
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// Of the format, and the cloud's commands.
fn subscriptions(encoder: &dyn Encoder, settings: &Settings) -> Vec<(String, Qos)> {
    let mut subscriptions = encoder.subscriptions();
    let commands = settings.commands.as_ref().map(|commands| format!("{}+", commands.base));
    subscriptions.extend(commands.map(|filter| (filter, Qos::AtLeastOnce)));
    subscriptions
}

async fn at(instant: Option<Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}
