//! One client's connection, as mqtt5 tells of it: each message to the tap, and no acknowledgement for what was not taken.

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
use crate::resent::Resent;
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

/// Told by mqtt5 of one connection's events. While a publish is being answered, mqtt5 does nothing else for this
/// client, and everything for the others.
pub(crate) struct Client {
    shared: Arc<Shared>,
    /// The broker stops: nothing is waited for.
    stop: CancellationToken,
    /// Asks mqtt5 to end this connection.
    goodbye: broadcast::Sender<()>,
    /// What it says it sent before.
    resent: Resent,
    /// A message was not acknowledged: those behind it must not overtake it.
    refused: AtomicBool,
    /// mqtt5 publishes the last will past [`BrokerEventHandler::on_client_publish`].
    will: Mutex<Option<(Arc<str>, Bytes)>>,
}

impl Client {
    pub(crate) fn new(
        shared: Arc<Shared>,
        stop: CancellationToken,
        goodbye: broadcast::Sender<()>,
        resent: Resent,
    ) -> Self {
        Self { shared, stop, goodbye, resent, refused: AtomicBool::new(false), will: Mutex::new(None) }
    }

    async fn take(
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
            again: self.resent.says(packet_id),
        });
        match self.stop.run_until_cancelled(tap.take(Arc::clone(&topic), payload, origin)).await {
            Some(Ok(())) => return PublishAction::Continue,
            Some(Err(why)) => {
                if let Some(left_out) = self.shared.refusals.allow(Instant::now().into_std()) {
                    warn!(client = %client_id, %topic, left_out, "broker: a message was not taken: {why}");
                }
            }
            None => {}
        }
        self.refuse(qos)
    }

    /// Ends the connection and routes nothing to nobody instead of the message: mqtt5 has no other way to leave a
    /// PUBLISH unacknowledged, which makes the client send it again (MQTT 5 and 3.1.1, section 4.4).
    fn refuse(&self, qos: QoS) -> PublishAction {
        if qos == QoS::AtMostOnce {
            return PublishAction::Continue;
        }
        self.refused.store(true, Ordering::Relaxed);
        // The connection may have ended by itself.
        let _ = self.goodbye.send(());
        PublishAction::Transform(PublishPacket::new("$riser/not-taken", Bytes::new(), QoS::AtMostOnce))
    }
}

impl BrokerEventHandler for Client {
    fn on_client_connect<'a>(&'a self, event: ClientConnectEvent) -> Hook<'a, ()> {
        let will = event.will_topic.zip(event.will_payload).filter(|(topic, _)| self.shared.tap.wants(topic));
        *self.will.lock().unwrap_or_else(PoisonError::into_inner) = will;
        Box::pin(ready(()))
    }

    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Hook<'a, PublishAction> {
        if !self.shared.tap.wants(&event.topic) {
            return Box::pin(ready(PublishAction::Continue));
        }
        Box::pin(self.take(event))
    }

    /// A will is nobody's to acknowledge, and is taken like a message of QoS 0.
    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Hook<'a, ()> {
        let will = self.will.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((topic, payload)) = will.filter(|_| event.unexpected) else { return Box::pin(ready(())) };
        Box::pin(async move {
            let taking = self.shared.tap.take(topic, payload, None);
            if let Some(Err(why)) = self.stop.run_until_cancelled(taking).await {
                warn!(client = %event.client_id, "broker: a last will was not taken: {why}");
            }
        })
    }
}
