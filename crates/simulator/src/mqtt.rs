//! The building's devices on one real MQTT connection, at QoS 1.
//!
//! Every message is kept until the broker has acknowledged it, and sent again after a lost connection. [`Sent`] counts a
//! message as sent when it has arrived at least once. A slow broker (or gateway behind it) slows the sender down; a
//! backlog of more than a second is skipped.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::ports::Clock;
use mqtt_link::{Options, Publisher, PublisherEvent, SubmitError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::load::{DRAIN_TIMEOUT, Load, MAX_UNACKNOWLEDGED, Sent, SimulateError, Turns};
use crate::{Building, Message};

/// Sends until the time is up or `stop` is cancelled, then waits for the last acknowledgements. `clock` is the
/// devices' time of day.
///
/// # Errors
/// `load.rate` is not a number above 0, or the first connection fails.
pub async fn send(
    options: Options,
    building: Building,
    load: Load,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<Sent, SimulateError> {
    let load = load.check()?;
    let mut publisher = Publisher::start(options);
    tokio::select! {
        connected = first_connection(&mut publisher) => connected?,
        () = stop.cancelled() => return Ok(Sent::default()),
    }
    let mut sender = Sender { publisher, store: Store::default(), building, clock, next_device: 0 };
    sender.run(load, &stop).await;
    sender.finish().await;
    let Sender { publisher, store, .. } = sender;
    publisher.disconnect().await;
    Ok(store.report())
}

async fn first_connection(publisher: &mut Publisher) -> Result<(), SimulateError> {
    match publisher.next().await {
        Some(PublisherEvent::Lost { reason }) => Err(SimulateError::Unreachable { reason }),
        Some(_) => Ok(()),
        None => Err(SimulateError::Unreachable { reason: "the connection was closed".to_owned() }),
    }
}

struct Sender {
    publisher: Publisher,
    store: Store,
    building: Building,
    clock: Arc<dyn Clock>,
    next_device: usize,
}

impl Sender {
    async fn run(&mut self, load: Load, stop: &CancellationToken) {
        let mut turns = Turns::new(load);
        while !turns.over() {
            tokio::select! {
                () = stop.cancelled() => return,
                event = self.publisher.next() => self.store.handle(event.as_ref()),
                () = turns.tick() => self.release(turns.due(self.store.free())),
            }
            self.store.submit(&mut self.publisher);
        }
    }

    /// Lets the next `turns` devices send; a silent device sends nothing.
    fn release(&mut self, turns: usize) {
        let now = self.clock.now();
        for _ in 0..turns {
            if let Some(message) = self.building.message(self.next_device, now) {
                self.store.push(message);
            }
            self.next_device = (self.next_device + 1) % self.building.len().max(1);
        }
    }

    async fn finish(&mut self) {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while !self.store.unacknowledged.is_empty() {
            match tokio::time::timeout_at(deadline, self.publisher.next()).await {
                Ok(event) => self.store.handle(event.as_ref()),
                Err(_) => return,
            }
            self.store.submit(&mut self.publisher);
        }
    }
}

/// Unacknowledged messages, and the counts of the others.
#[derive(Default)]
struct Store {
    /// By token, which counts up.
    unacknowledged: BTreeMap<u64, Message>,
    next_token: u64,
    /// The first token not submitted on this connection.
    next_submitted: u64,
    /// The first token never submitted.
    first_fresh: u64,
    sent: Sent,
}

impl Store {
    fn free(&self) -> usize {
        MAX_UNACKNOWLEDGED.saturating_sub(self.unacknowledged.len())
    }

    fn push(&mut self, message: Message) {
        self.unacknowledged.insert(self.next_token, message);
        self.next_token += 1;
    }

    fn handle(&mut self, event: Option<&PublisherEvent>) {
        match event {
            Some(PublisherEvent::Acked(token)) => {
                if let Some(message) = self.unacknowledged.remove(token) {
                    self.sent.messages += 1;
                    self.sent.readings += u64::from(message.readings);
                }
            }
            Some(PublisherEvent::Refused { token, .. }) => self.refuse(*token),
            Some(PublisherEvent::Lost { .. }) => {
                self.next_submitted = self.unacknowledged.keys().next().copied().unwrap_or(self.next_token);
            }
            Some(PublisherEvent::Connected) | None => {}
        }
    }

    /// Submits messages until the publisher's window is full.
    fn submit(&mut self, publisher: &mut Publisher) {
        let mut refused = Vec::new();
        for (&token, message) in self.unacknowledged.range(self.next_submitted..) {
            match publisher.try_publish(token, &message.topic, message.payload.clone(), false) {
                Ok(()) if token < self.first_fresh => self.sent.repeated += 1,
                Ok(()) => self.first_fresh = token + 1,
                Err(SubmitError::NotConnected | SubmitError::WindowFull) => break,
                Err(SubmitError::TooLarge { .. } | SubmitError::BadTopic { .. }) => refused.push(token),
            }
            self.next_submitted = token + 1;
        }
        refused.into_iter().for_each(|token| self.refuse(token));
    }

    fn refuse(&mut self, token: u64) {
        if self.unacknowledged.remove(&token).is_some() {
            self.sent.refused += 1;
        }
    }

    fn report(&self) -> Sent {
        Sent { unacknowledged: self.unacknowledged.len() as u64, ..self.sent }
    }
}
