//! The adapter: messages in, uplinks out, acknowledgements back.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use async_trait::async_trait;
use foldhash::fast::FixedState;
use gateway_core::ports::{Adapter, AdapterContext, AdapterError, AdapterState, Clock};
use gateway_core::{Ack, AdapterId, Delivery, LinkQuality, Timestamp, Uplink};
use mqtt_link::{Event, Message, Options, Qos, RefusedFilter, Subscriber};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::commands;
use super::routes::{Route, Routes};

/// Uplinks handed over in one go, at most.
const BATCH: usize = 256;
/// How long the pipeline has at the stop to tell the outcome of what it was given.
const LAST_OUTCOMES: Duration = Duration::from_secs(2);
/// The same at every start, so that a message is known again that was first sent before a restart.
const KEYS: FixedState = FixedState::with_seed(0x5249_5345_5220_6d71);

/// One broker's devices: `[adapters.mqtt.<name>]`.
#[derive(Debug)]
pub struct MqttAdapter {
    id: AdapterId,
    link: Options,
    routes: Vec<Route>,
}

impl MqttAdapter {
    /// `link` says where the broker is. Give it a persistent session, so that QoS 1 messages survive a pause, and a
    /// `max_packet_size` somewhat above the largest payload that the pipeline takes: larger ones then arrive, and are
    /// counted; what is larger still costs the connection.
    #[must_use]
    pub const fn new(id: AdapterId, link: Options, routes: Vec<Route>) -> Self {
        Self { id, link, routes }
    }
}

#[async_trait]
impl Adapter for MqttAdapter {
    fn id(&self) -> &AdapterId {
        &self.id
    }

    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError> {
        let AdapterContext { uplinks, commands, state, clock, stop } = context;
        let routes = Routes::new(self.routes.clone());
        let filters = routes.subscriptions().into_iter().map(|filter| (filter, Qos::AtLeastOnce)).collect();
        // A child: where the pipeline is gone, the commands end too.
        let stop = stop.child_token();
        let (outstanding, all_told) = mpsc::channel(1);
        let intake = Intake { id: &self.id, routes, clock: &**clock, state, outstanding };
        let messages = async {
            let taken =
                intake.run(Subscriber::start(self.link.clone(), filters), uplinks, all_told, &stop).await;
            stop.cancel();
            taken
        };
        let (taken, ()) = tokio::join!(messages, commands::run(&self.id, &self.link, commands, &stop));
        taken
    }
}

/// The way of the messages.
struct Intake<'a> {
    id: &'a AdapterId,
    routes: Routes,
    clock: &'a dyn Clock,
    state: &'a watch::Sender<AdapterState>,
    /// Each acknowledgement under way holds one.
    outstanding: mpsc::Sender<Infallible>,
}

impl Intake<'_> {
    async fn run(
        mut self,
        mut subscriber: Subscriber,
        uplinks: &mpsc::Sender<Vec<Uplink>>,
        mut all_told: mpsc::Receiver<Infallible>,
        stop: &CancellationToken,
    ) -> Result<(), AdapterError> {
        let mut events = Vec::with_capacity(BATCH);
        while stop.run_until_cancelled(subscriber.recv_many(&mut events, BATCH)).await.is_some() {
            self.hand_over(&mut events, uplinks).await?;
        }
        // What has come already is handed over; what comes from now on stays with the broker.
        if tokio::time::timeout(Duration::ZERO, subscriber.recv_many(&mut events, BATCH)).await.is_ok() {
            self.hand_over(&mut events, uplinks).await?;
        }
        drop(self);
        if tokio::time::timeout(LAST_OUTCOMES, all_told.recv()).await.is_err() {
            info!(
                "mqtt: some messages were not acknowledged before the stop; the broker will send them again"
            );
        }
        subscriber.disconnect().await;
        Ok(())
    }

    async fn hand_over(
        &mut self,
        events: &mut Vec<Event>,
        uplinks: &mpsc::Sender<Vec<Uplink>>,
    ) -> Result<(), AdapterError> {
        let now = self.clock.now();
        let mut batch = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            match event {
                Event::Message(message) => batch.extend(self.uplink(message, now)),
                Event::Up { refused, .. } => self.up(&refused),
                Event::Down { reason } => self.down(reason),
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let gone = |_| AdapterError { adapter: self.id.clone(), reason: "the pipeline has ended".to_owned() };
        uplinks.send(batch).await.map_err(gone)
    }

    /// `None` where nobody wants the message; it is then acknowledged at once.
    fn uplink(&mut self, message: Message, now: Timestamp) -> Option<Uplink> {
        let Some(known) = self.routes.find(&message.topic) else {
            message.ack.send();
            return None;
        };
        let payload_hash = KEYS.hash_one(&message.payload[..]);
        if message.retain && known.last_payload == Some(payload_hash) {
            message.ack.send();
            return None;
        }
        known.last_payload = Some(payload_hash);
        let delivery = match message.qos {
            Qos::AtMostOnce => Delivery::AtMostOnce,
            Qos::AtLeastOnce | Qos::ExactlyOnce => {
                Delivery::AtLeastOnce { key: key(&message, payload_hash), again: message.dup }
            }
        };
        let ack = if message.ack.is_expected() {
            let (ack, outstanding) = (message.ack, self.outstanding.clone());
            Ack::new(move |_outcome| {
                ack.send();
                drop(outstanding);
            })
        } else {
            Ack::none()
        };
        Some(Uplink {
            adapter: self.id.clone(),
            device: known.device.clone(),
            metric: known.metric.clone(),
            codec: known.codec,
            topic: known.topic.clone(),
            received_at: now,
            port: None,
            link: LinkQuality::default(),
            payload: message.payload,
            delivery,
            ack,
        })
    }

    fn up(&self, refused: &[RefusedFilter]) {
        if refused.is_empty() {
            info!(adapter = %self.id, "mqtt: connected and subscribed");
            self.state.send_replace(AdapterState::Up);
            return;
        }
        let refused: Vec<_> =
            refused.iter().map(|RefusedFilter { filter, reason }| format!("`{filter}`: {reason}")).collect();
        self.down(format!("the broker refused a subscription: {}", refused.join("; ")));
    }

    fn down(&self, reason: String) {
        warn!(adapter = %self.id, "mqtt: {reason}");
        self.state.send_replace(AdapterState::Down { reason });
    }
}

/// The same whenever the broker sends a message again on one session (MQTT 5, section 4.4: with its packet id).
fn key(message: &Message, payload_hash: u64) -> u64 {
    let mut hasher = KEYS.build_hasher();
    hasher.write_u16(message.packet_id);
    hasher.write(message.topic.as_bytes());
    hasher.write_u64(payload_hash);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use testkit::clock::ManualClock;

    use super::*;

    #[test]
    fn a_refused_subscription_is_said_in_the_state() {
        let (state, told) = watch::channel(AdapterState::Starting);
        let id = AdapterId::new("mqtt", "floor");
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let (outstanding, _) = mpsc::channel(1);
        let intake =
            Intake { id: &id, routes: Routes::new(Vec::new()), clock: &*clock, state: &state, outstanding };
        intake.up(&[RefusedFilter { filter: "a/#".to_owned(), reason: "the broker does not allow it" }]);
        let reason = "the broker refused a subscription: `a/#`: the broker does not allow it".to_owned();
        assert_eq!(*told.borrow(), AdapterState::Down { reason });
        intake.up(&[]);
        assert_eq!(*told.borrow(), AdapterState::Up);
    }
}
