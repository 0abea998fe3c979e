//! Receives messages of a remote broker, and acknowledges them by their outcome.

use std::convert::Infallible;
use std::time::Duration;

use gateway_core::ports::AdapterError;
use gateway_core::{
    Ack, AdapterId, Condition, Delivery, MemoryBudget, MemoryPermit, Timestamp, Uplink, memory,
};
use mqtt_link::{Event, Message, MessageAck, Qos, RefusedFilter, Subscriber};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::intake::{BATCH, Intake, delivery_key, payload_hash, uplink};

/// How long the stop waits for the outcomes of messages in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Passes a subscriber's messages to the pipeline.
pub(super) struct Remote<'a> {
    intake: Intake<'a>,
    budget: MemoryBudget,
    link: Link<'a>,
}

/// Acknowledges messages, and reports the connection's state.
struct Link<'a> {
    id: &'a AdapterId,
    condition: &'a Condition,
    /// Each pending acknowledgement holds a clone.
    outstanding: mpsc::Sender<Infallible>,
}

impl<'a> Remote<'a> {
    /// Each pending acknowledgement holds a clone of `outstanding`.
    pub(super) fn new(
        intake: Intake<'a>,
        condition: &'a Condition,
        outstanding: mpsc::Sender<Infallible>,
    ) -> Self {
        let id = intake.id;
        Self {
            intake,
            budget: MemoryBudget::new(memory::ADAPTER.bytes),
            link: Link { id, condition, outstanding },
        }
    }

    /// Runs until stopped.
    pub(super) async fn run(
        mut self,
        mut subscriber: Subscriber,
        mut all_acknowledged: mpsc::Receiver<Infallible>,
    ) -> Result<(), AdapterError> {
        let mut events = Vec::with_capacity(BATCH);
        let stop = self.intake.stop;
        while stop.run_until_cancelled(subscriber.recv_many(&mut events, BATCH)).await.is_some() {
            self.submit(&mut events).await?;
        }
        // Messages already received are passed on; later ones stay with the broker.
        if tokio::time::timeout(Duration::ZERO, subscriber.recv_many(&mut events, BATCH)).await.is_ok() {
            self.submit(&mut events).await?;
        }
        drop(self);
        if tokio::time::timeout(DRAIN_TIMEOUT, all_acknowledged.recv()).await.is_err() {
            info!(
                "mqtt: some messages were not acknowledged before the stop; the broker will send them again"
            );
        }
        subscriber.disconnect().await;
        Ok(())
    }

    async fn submit(&mut self, events: &mut Vec<Event>) -> Result<bool, AdapterError> {
        let now = self.intake.clock.now();
        let mut batch = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            match event {
                Event::Message(message) => {
                    let bytes = message.payload.len();
                    let memory = match self.budget.try_acquire(bytes) {
                        Some(memory) => memory,
                        None => {
                            // The batch holds memory itself, so waiting without this could block for ever.
                            if !self.intake.submit(std::mem::take(&mut batch)).await? {
                                return Ok(false);
                            }
                            let memory = self.budget.acquire(bytes);
                            let Some(memory) = self.intake.stop.run_until_cancelled(memory).await else {
                                return Ok(false);
                            };
                            memory
                        }
                    };
                    batch.extend(self.uplink(message, now, memory));
                }
                Event::Up { refused, .. } => self.link.up(&refused),
                Event::Down { reason } => self.link.down(reason),
            }
        }
        self.intake.submit(batch).await
    }

    /// `None` if no route matches the message; it is then acknowledged at once.
    fn uplink(&mut self, message: Message, now: Timestamp, memory: MemoryPermit) -> Option<Uplink> {
        let Some(known) = self.intake.routes.find(&message.topic) else {
            message.ack.send();
            return None;
        };
        self.intake.addresses.learn(&mut known.new_address, &message.payload);
        let payload_hash = payload_hash(&message.payload);
        if message.retain && known.last_payload == Some(payload_hash) {
            message.ack.send();
            return None;
        }
        known.last_payload = Some(payload_hash);
        let delivery = match message.qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce | Qos::ExactlyOnce => {
                let key = delivery_key([None, None], message.packet_id, &message.topic, payload_hash);
                Delivery::AtLeastOnce { key, again: message.dup }
            }
        };
        let ack = self.link.acknowledgement(message.ack);
        Some(uplink(self.link.id, known, now, message.payload, delivery, ack, memory))
    }
}

impl Link<'_> {
    fn acknowledgement(&self, ack: MessageAck) -> Ack {
        if !ack.is_expected() {
            return Ack::none();
        }
        let outstanding = self.outstanding.clone();
        Ack::new(move |_outcome| {
            ack.send();
            drop(outstanding);
        })
    }

    fn up(&self, refused: &[RefusedFilter]) {
        if refused.is_empty() {
            info!(adapter = %self.id, "mqtt: connected and subscribed");
            self.condition.up();
            return;
        }
        let refused: Vec<_> =
            refused.iter().map(|RefusedFilter { filter, reason }| format!("`{filter}`: {reason}")).collect();
        self.down(format!("the broker refused a subscription: {}", refused.join("; ")));
    }

    fn down(&self, reason: String) {
        warn!(adapter = %self.id, "mqtt: {reason}");
        self.condition.down(reason);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gateway_core::ports::AdapterState;
    use testkit::clock::ManualClock;

    use super::*;

    #[test]
    fn a_refused_subscription_is_reported_in_the_state() {
        let condition = Condition::new(Arc::new(ManualClock::new(Timestamp::EPOCH)));
        let id = AdapterId::new("mqtt", "floor");
        let (outstanding, _) = mpsc::channel(1);
        let link = Link { id: &id, condition: &condition, outstanding };
        link.up(&[RefusedFilter { filter: "a/#".to_owned(), reason: "the broker does not allow it" }]);
        let reason = "the broker refused a subscription: `a/#`: the broker does not allow it".to_owned();
        let health = condition.watch();
        assert_eq!(health.borrow().state, AdapterState::Down { reason });
        link.up(&[]);
        assert_eq!(health.borrow().state, AdapterState::Up);
    }
}
