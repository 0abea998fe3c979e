//! A received message and its acknowledgement.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::Qos;
use crate::link::{Client, RawMessage};

/// A topic name: UTF-8, not empty. It shares the buffer it was received in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Topic(Bytes);

impl Topic {
    /// `None` if the bytes are empty or not UTF-8 (section 1.5.4 forbids both).
    pub(crate) fn new(bytes: Bytes) -> Option<Self> {
        (!bytes.is_empty() && std::str::from_utf8(&bytes).is_ok()).then_some(Self(bytes))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        // `new` has checked it. Checking again costs a few nanoseconds.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Deref for Topic {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message from the broker.
#[derive(Debug)]
pub struct Message {
    pub topic: Topic,
    pub payload: Bytes,
    pub qos: Qos,
    /// The broker has sent it before in this session and received no acknowledgement.
    pub dup: bool,
    /// It was published before we subscribed.
    pub retain: bool,
    /// 0 at QoS 0.
    pub packet_id: u16,
    /// To be sent after the message is stored; empty at QoS 0.
    pub ack: MessageAck,
}

impl Message {
    pub(crate) fn new(raw: RawMessage, client: &Arc<Client>) -> Option<Self> {
        let ack = match raw.qos {
            Qos::AtMostOnce => MessageAck(None),
            qos => MessageAck(Some(PendingAck { client: Arc::clone(client), packet_id: raw.pkid, qos })),
        };
        let Some(topic) = Topic::new(raw.topic) else {
            tracing::warn!(
                "a message whose topic is empty or not text was dropped; the broker should not send such"
            );
            ack.send();
            return None;
        };
        Some(Self {
            topic,
            payload: raw.payload,
            qos: raw.qos,
            dup: raw.dup,
            retain: raw.retain,
            packet_id: raw.pkid,
            ack,
        })
    }
}

/// The acknowledgement (PUBACK or PUBREC) of a message. If it is dropped, the broker keeps the message and sends it again
/// when a persistent session is resumed.
#[derive(Default)]
pub struct MessageAck(Option<PendingAck>);

struct PendingAck {
    client: Arc<Client>,
    packet_id: u16,
    qos: Qos,
}

impl MessageAck {
    /// Acknowledges on the connection that delivered the message. Does nothing if that has ended. Never blocks.
    pub fn send(self) {
        if let Some(pending) = self.0 {
            pending.client.ack(pending.packet_id, pending.qos);
        }
    }

    /// Whether the broker expects an acknowledgement.
    #[must_use]
    pub const fn is_expected(&self) -> bool {
        self.0.is_some()
    }
}

impl fmt::Debug for MessageAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "MessageAck(expected)" } else { "MessageAck(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_text_and_not_empty() {
        assert_eq!(&*Topic::new(Bytes::from_static(b"a/b")).unwrap(), "a/b");
        assert!(Topic::new(Bytes::from_static(b"a/\xff")).is_none());
        assert!(Topic::new(Bytes::new()).is_none());
    }
}
