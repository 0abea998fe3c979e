//! Holds devices back while the gateway itself is behind.
//!
//! mqtt5 acknowledges a device's QoS 1 message when it stands in the subscriber's queue, and drops the oldest one when
//! that is full: a burst that comes faster than the gateway journals would be lost in part, and nobody told. So a
//! device's next message waits, unacknowledged, until the gateway's queue is short again.

use std::collections::HashMap;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mqtt5::QoS;
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::{
    BrokerEventHandler, ClientConnectEvent, ClientDisconnectEvent, ClientPublishEvent, PublishAction,
};
use tokio::time::{Instant, sleep};

use crate::auth::INTERNAL_USER;

/// How often a message that waits asks again.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long one message may wait: while it does, its sender gets no answer to its pings.
const PATIENCE: Duration = Duration::from_secs(5);

type Hook<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows the gateway's connections and the length of their queues.
pub(crate) struct Backpressure {
    router: Arc<MessageRouter>,
    /// Client ids of the gateway, and how many connections each has: two for a moment when one takes over.
    gateway: RwLock<HashMap<Arc<str>, u32>>,
    /// Messages that may wait for the gateway before devices are held back.
    limit: usize,
}

impl Backpressure {
    pub(crate) fn new(router: Arc<MessageRouter>, limit: usize) -> Self {
        Self { router, gateway: RwLock::default(), limit }
    }

    fn is_behind(&self) -> bool {
        let gateway = self.gateway.read().unwrap_or_else(PoisonError::into_inner);
        gateway.keys().any(|client| self.router.queue_handle(client).count() >= self.limit)
    }

    async fn wait(&self) -> PublishAction {
        let give_up = Instant::now() + PATIENCE;
        while self.is_behind() && Instant::now() < give_up {
            sleep(ASK_EVERY).await;
        }
        PublishAction::Continue
    }
}

impl BrokerEventHandler for Backpressure {
    fn on_client_connect<'a>(&'a self, event: ClientConnectEvent) -> Hook<'a, ()> {
        if event.user_id.as_deref() == Some(INTERNAL_USER) {
            let mut gateway = self.gateway.write().unwrap_or_else(PoisonError::into_inner);
            let connections = gateway.entry(event.client_id).or_default();
            *connections = connections.saturating_add(1);
        }
        Box::pin(ready(()))
    }

    fn on_client_disconnect<'a>(&'a self, event: ClientDisconnectEvent) -> Hook<'a, ()> {
        if event.user_id.as_deref() == Some(INTERNAL_USER) {
            let mut gateway = self.gateway.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(connections) = gateway.get_mut(&event.client_id) {
                *connections = connections.saturating_sub(1);
                if *connections == 0 {
                    gateway.remove(&event.client_id);
                }
            }
        }
        Box::pin(ready(()))
    }

    fn on_client_publish<'a>(&'a self, event: ClientPublishEvent) -> Hook<'a, PublishAction> {
        let may_go = event.qos == QoS::AtMostOnce || event.user_id.as_deref() == Some(INTERNAL_USER);
        if may_go || !self.is_behind() {
            return Box::pin(ready(PublishAction::Continue));
        }
        Box::pin(self.wait())
    }
}
