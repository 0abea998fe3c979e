//! What the engine tells, as lines of the log: of each kind at most one in [`LOG_PERIOD`], so that no client can fill the log.

use broker_engine::Event;
use gateway_core::Throttle;
use tokio::time::Instant;
use tracing::warn;

use crate::LOG_PERIOD;

#[derive(Debug)]
pub(crate) struct EventLog {
    throttles: [Throttle; 13],
}

impl Default for EventLog {
    fn default() -> Self {
        Self { throttles: std::array::from_fn(|_| Throttle::new(LOG_PERIOD)) }
    }
}

impl EventLog {
    /// How many of this kind were left out, if one is to be written now.
    fn allow(&self, kind: usize) -> Option<u64> {
        self.throttles.get(kind)?.allow(Instant::now().into_std())
    }

    pub(crate) fn write(&self, event: &Event) {
        let kind = kind(event);
        let Some(left_out) = self.allow(kind) else { return };
        match event {
            Event::Closed { client, reason, why } => {
                warn!(%client, code = reason.code(), left_out, "broker: closed a connection: {why}");
            }
            Event::QueueFull { client } => warn!(
                %client,
                left_out,
                "broker: the client does not read what it subscribes to: its oldest messages are dropped (max_queue_size)"
            ),
            Event::MemoryFull { client } => warn!(
                %client,
                left_out,
                "broker: messages that wait for clients fill the memory: the longest queue gives way (max_memory)"
            ),
            Event::TooLarge { client, topic } => {
                warn!(%client, %topic, left_out, "broker: a message is larger than the client takes: it was left out");
            }
            Event::RetainedFull { client, topic } => warn!(
                %client,
                %topic,
                left_out,
                "broker: no room for another retained message: it was delivered, and not kept (max_retained_size)"
            ),
            Event::PublishRefused { client, user, topic } => warn!(
                %client,
                user = user.as_deref().unwrap_or("anonymous"),
                %topic,
                left_out,
                "broker: client may not publish to this topic; see its user in [broker]"
            ),
            Event::SubscribeRefused { client, user, filter } => warn!(
                %client,
                user = user.as_deref().unwrap_or("anonymous"),
                topic = %filter,
                left_out,
                "broker: client may not subscribe to this topic; see its user in [broker]"
            ),
            Event::TooManySubscriptions { client } => {
                warn!(%client, left_out, "broker: a subscription was refused (max_subscriptions, max_memory)");
            }
            Event::TooManySessions { client, user } => warn!(
                %client,
                user = user.as_deref().unwrap_or("anonymous"),
                left_out,
                "broker: the session of a client that is away was ended: there are too many, most of them of this user (max_sessions)"
            ),
            Event::NoMemory { client } => {
                warn!(%client, left_out, "broker: a client was refused: no memory for its will (max_memory)");
            }
            Event::KeepAliveTooLong { client, most } => warn!(
                %client,
                left_out,
                "broker: a client was refused: its keep-alive must be 1 to {most} s (max_keep_alive), and only MQTT 5 lets us tell it"
            ),
            Event::PayloadTooLarge { client, topic } => {
                warn!(%client, %topic, left_out, "broker: a message was refused: its payload is too large (max_payload_size)");
            }
            Event::SessionEnded { client, lost } => warn!(
                %client,
                lost,
                left_out,
                "broker: a session has ended, by time (session_expiry) or as its client wanted: the messages that waited were dropped"
            ),
        }
    }
}

const fn kind(event: &Event) -> usize {
    match event {
        Event::Closed { .. } => 0,
        Event::QueueFull { .. } => 1,
        Event::MemoryFull { .. } => 2,
        Event::TooLarge { .. } => 3,
        Event::RetainedFull { .. } => 4,
        Event::PublishRefused { .. } => 5,
        Event::SubscribeRefused { .. } => 6,
        Event::TooManySubscriptions { .. } => 7,
        Event::TooManySessions { .. } => 8,
        Event::SessionEnded { .. } => 9,
        Event::NoMemory { .. } => 10,
        Event::KeepAliveTooLong { .. } => 11,
        Event::PayloadTooLarge { .. } => 12,
    }
}
