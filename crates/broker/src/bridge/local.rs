//! The bridge as a client of this broker, within the process.
//!
//! Guarantee: a message waits in its session, on the disk, until [`LocalSide::done`].

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use broker_engine::{Closed, ConnectionKey, InternalClient, InternalOutput, InternalPublish};

use super::Trouble;
use super::settings::BridgeSettings;
use crate::hub::Hub;

/// QoS 1 messages on their way to the other broker, at most.
pub(crate) const WINDOW: u16 = mqtt_link::Publisher::WINDOW;

/// An open connection; it is closed when it is dropped, and the session stays.
pub(crate) struct LocalSide {
    hub: Arc<Hub>,
    key: ConnectionKey,
}

impl LocalSide {
    /// Connects. What is not done yet comes again; with `wants_all_retained`, all retained messages, too.
    pub(crate) fn open(
        hub: &Arc<Hub>,
        settings: &BridgeSettings,
        wants_all_retained: bool,
    ) -> Result<Self, Trouble> {
        let (id, filters) = (settings.local_client(), settings.topics.local_filters());
        let client = InternalClient {
            id: &id,
            queue_bytes: settings.queue_bytes,
            window: WINDOW,
            filters: &filters,
            wants_all_retained,
        };
        let opened = hub.with(|engine, now| engine.connect_internal(client, now));
        let key =
            opened.map_err(|_| Trouble("the disk, or max_subscriptions, leaves no room for its session"))?;
        Ok(Self { hub: Arc::clone(hub), key })
    }

    /// What comes next; without `wants_messages`, messages wait. Cancel safe.
    pub(crate) async fn next(&self, wants_messages: bool) -> InternalOutput {
        poll_fn(|context| {
            let output = self.hub.internal_output(self.key, wants_messages, context.waker());
            output.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The other broker has the message; or, with `taken` false, will never take it.
    pub(crate) fn done(&self, packet_id: u16, taken: bool) {
        self.hub.with(|engine, now| engine.internal_done(self.key, packet_id, taken, now));
    }

    /// Publishes what the other broker sent. Its acknowledgement comes by [`Self::next`].
    pub(crate) async fn publish(&self, publish: InternalPublish<'_>) -> Result<(), Trouble> {
        let local = self.hub.with(|engine, now| engine.internal_publish(self.key, publish, now));
        let Some(mut local) = local else { return Ok(()) };
        let tap = &self.hub.tap;
        if tap.deliver_now(&self.hub, &mut local) || tap.deliver(&self.hub, vec![local]).await {
            return Ok(());
        }
        Err(Trouble("an adapter did not take a message"))
    }
}

impl Drop for LocalSide {
    fn drop(&mut self) {
        self.hub.forget_task(self.key);
        self.hub.with(|engine, now| engine.close(self.key, Closed::ByClient, now));
    }
}
