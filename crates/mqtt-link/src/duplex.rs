//! Duplex: publishes at QoS 1 and subscribes on one connection, so that the broker can tell our own messages from others'.

use bytes::Bytes;

use crate::publisher::{Publisher, PublisherEvent, SubmitError};
use crate::session::Signal;
use crate::{Message, Options, Qos, Refusal, RefusedFilter};

#[derive(Debug)]
pub enum DuplexEvent {
    /// Connected, and every subscription is answered: messages can be published. Messages of a resumed session may arrive
    /// earlier.
    Up {
        /// Filters that the broker rejected.
        refused: Vec<RefusedFilter>,
        /// The number of the attempt that succeeded: the first is 0. See [`Options::will_source`].
        attempt: u64,
    },
    /// To be acknowledged, as with a [`crate::Subscriber`].
    Message(Message),
    /// As [`PublisherEvent::Acked`].
    Acked(u64),
    /// As [`PublisherEvent::Refused`].
    Refused { token: u64, refusal: Refusal },
    /// The connection ended or an attempt failed; the next attempt follows. Messages that were published and not
    /// acknowledged are forgotten.
    Down {
        /// What happened and what to do.
        reason: String,
    },
}

/// A connection in both directions. The promises of [`Publisher`] and [`crate::Subscriber`] hold.
#[derive(Debug)]
pub struct Duplex(Publisher);

impl Duplex {
    /// Starts connecting, and reconnects until dropped.
    #[must_use]
    pub fn start(options: Options, filters: Vec<(String, Qos)>) -> Self {
        Self(Publisher::subscribing(options, filters))
    }

    /// As [`Publisher::try_publish`].
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn try_publish(
        &mut self,
        token: u64,
        topic: &str,
        payload: Bytes,
        retain: bool,
    ) -> Result<(), SubmitError> {
        self.0.try_publish(token, topic, payload, retain)
    }

    /// The number of messages that are published and not acknowledged.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.0.in_flight()
    }

    /// The next event. It is `None` only after [`Self::disconnect`]. Cancel safe.
    pub async fn next(&mut self) -> Option<DuplexEvent> {
        loop {
            let (refused, attempt) = match self.0.next_signal().await? {
                Signal::Message(message) => return Some(DuplexEvent::Message(message)),
                Signal::Up { client, connected, refused, attempt } => {
                    self.0.handle(Signal::Up { client, connected, refused: Vec::new(), attempt });
                    (refused, attempt)
                }
                other => match self.0.handle(other) {
                    Some(PublisherEvent::Acked(token)) => return Some(DuplexEvent::Acked(token)),
                    Some(PublisherEvent::Refused { token, refusal }) => {
                        return Some(DuplexEvent::Refused { token, refusal });
                    }
                    Some(PublisherEvent::Lost { reason }) => return Some(DuplexEvent::Down { reason }),
                    Some(PublisherEvent::Connected) | None => continue,
                },
            };
            return Some(DuplexEvent::Up { refused, attempt });
        }
    }

    /// Sends pending acknowledgements and DISCONNECT, within one second. A persistent session stays.
    pub async fn disconnect(self) {
        self.0.disconnect().await;
    }
}
