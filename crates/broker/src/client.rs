//! The events of one client's connection: each message goes to the tap, and is not acknowledged if delivery fails.

use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use gateway_core::Throttle;
use gateway_core::ports::Origin;
use mqtt5::QoS;
use mqtt5::broker::{
    BrokerEventHandler, ClientConnectEvent, ClientDisconnectEvent, ClientPublishEvent, PublishAction,
};
use mqtt5::packet::publish::PublishPacket;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::LOG_PERIOD;
use crate::dup_flags::DupFlags;
use crate::tap::Tap;

type Hook<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tap: Tap,
    refusals: Throttle,
}

impl Shared {
    pub(crate) fn new(tap: Tap) -> Self {
        Self { tap, refusals: Throttle::new(LOG_PERIOD) }
    }
}

/// Receives one connection's events from mqtt5. While it handles a publish, mqtt5 does nothing else for this client; other
/// clients do not wait.
pub(crate) struct Client {
    shared: Arc<Shared>,
    /// The broker stops: ends all waiting.
    stop: CancellationToken,
    /// Asks mqtt5 to end this connection.
    shutdown: broadcast::Sender<()>,
    /// The DUP flags that the client sent.
    dup_flags: DupFlags,
    /// A message was not acknowledged: later ones must not overtake it.
    refused: AtomicBool,
    /// mqtt5 publishes the last will past [`BrokerEventHandler::on_client_publish`].
    will: Mutex<Option<(Arc<str>, Bytes)>>,
}

impl Client {
    pub(crate) fn new(
        shared: Arc<Shared>,
        stop: CancellationToken,
        shutdown: broadcast::Sender<()>,
        dup_flags: DupFlags,
    ) -> Self {
        Self { shared, stop, shutdown, dup_flags, refused: AtomicBool::new(false), will: Mutex::new(None) }
    }

    async fn deliver(
        &self,
        ClientPublishEvent { client_id, topic, payload, qos, packet_id, .. }: ClientPublishEvent,
    ) -> PublishAction {
        if self.refused.load(Ordering::Relaxed) {
            return self.refuse(qos);
        }
        let tap = &self.shared.tap;
        let origin = packet_id.filter(|_| qos != QoS::AtMostOnce).map(|packet_id| Origin {
            client: Arc::clone(&client_id),
            packet_id,
            again: self.dup_flags.is_set(packet_id),
        });
        match self.stop.run_until_cancelled(tap.deliver(Arc::clone(&topic), payload, origin)).await {
            Some(Ok(())) => return PublishAction::Continue,
            Some(Err(why)) => {
                if let Some(left_out) = self.shared.refusals.allow(Instant::now().into_std()) {
                    warn!(client = %client_id, %topic, left_out, "broker: a message was not accepted: {why}");
                }
            }
            None => {}
        }
        self.refuse(qos)
    }

    /// Ends the connection, and replaces the message by an empty one on a topic without subscribers: mqtt5 has no other
    /// way to leave a PUBLISH unacknowledged, so that the client sends it again (MQTT 5 and 3.1.1, section 4.4).
    fn refuse(&self, qos: QoS) -> PublishAction {
        if qos == QoS::AtMostOnce {
            return PublishAction::Continue;
        }
        self.refused.store(true, Ordering::Relaxed);
        // The connection may have ended by itself.
        let _ = self.shutdown.send(());
        PublishAction::Transform(PublishPacket::new("$riser/not-taken", Bytes::new(), QoS::AtMostOnce))
    }
}

impl BrokerEventHandler for Client {
    fn on_client_connect<'a>(&'a self, event: ClientConnectEvent) -> Hook<'a, ()> {
        let will = event
            .will_topic
            .zip(event.will_payload)
            .filter(|(topic, _)| self.shared.tap.subscribes_to(topic));
        *self.will.lock().unwrap_or_else(PoisonError::into_inner) = will;
        Box::pin(ready(()))
    }

    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Hook<'a, PublishAction> {
        if !self.shared.tap.subscribes_to(&event.topic) {
            return Box::pin(ready(PublishAction::Continue));
        }
        Box::pin(self.deliver(event))
    }

    /// A will has no acknowledgement, and is delivered like a message of QoS 0.
    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Hook<'a, ()> {
        let will = self.will.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((topic, payload)) = will.filter(|_| event.unexpected) else { return Box::pin(ready(())) };
        Box::pin(async move {
            let delivery = self.shared.tap.deliver(topic, payload, None);
            if let Some(Err(why)) = self.stop.run_until_cancelled(delivery).await {
                warn!(client = %event.client_id, "broker: a last will was not accepted: {why}");
            }
        })
    }
}
