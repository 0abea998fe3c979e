//! Publisher: sends messages at least once, from the caller's durable store to the broker.
//!
//! The caller gives each message a token. After [`PublisherEvent::Acked`] the broker has the message, and the caller may
//! delete it. After [`PublisherEvent::Lost`] all messages in flight are forgotten: the caller publishes them again after the
//! next [`PublisherEvent::Connected`]. The broker may then receive a message twice.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::link::{Client, Connected, Refusal};
use crate::session::{ConnectionTask, Signal};
use crate::{Options, Qos};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublisherEvent {
    /// Messages can be published.
    Connected,
    /// The broker has acknowledged the message.
    Acked(u64),
    /// The broker rejected the message (MQTT 5 only). If the refusal is permanent, drop the message; otherwise publish it
    /// again later, and other messages meanwhile.
    Refused { token: u64, refusal: Refusal },
    /// The connection ended or an attempt failed; the next attempt follows. Unacknowledged messages are forgotten.
    Lost {
        /// What happened and what to do.
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Wait for [`PublisherEvent::Connected`].
    #[error("not connected to the broker")]
    NotConnected,
    /// The maximum number of messages is in flight. Wait for an acknowledgement.
    #[error("the broker has not yet acknowledged earlier messages")]
    WindowFull,
    /// The packet exceeds the broker's limit (MQTT 5 only). The message can never be sent there.
    #[error("the message makes a packet of {bytes} bytes, and the broker takes {limit} at most")]
    TooLarge {
        bytes: usize,
        /// The Maximum Packet Size of the CONNACK.
        limit: u32,
    },
    /// Empty, too long, or with a wildcard. The message can never be sent.
    #[error("`{topic}` is not a topic that can be published to")]
    BadTopic { topic: String },
}

impl SubmitError {
    /// Whether the same message would always be rejected.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::BadTopic { .. })
    }
}

/// A publishing connection. Dropping it closes the connection without a DISCONNECT, so the broker publishes the will.
#[derive(Debug)]
pub struct Publisher {
    connection: ConnectionTask,
    live: Option<LiveConnection>,
}

/// The state of one connection; dropped with it.
#[derive(Debug)]
struct LiveConnection {
    client: Arc<Client>,
    connected: Connected,
    window: VecDeque<InFlight>,
}

/// A message in flight. The window holds them in the order of publishing, which is the order of packet ids. As long as it is
/// shorter than the number of packet ids, no id is used twice.
#[derive(Debug)]
struct InFlight {
    token: u64,
    /// 0 until it is sent.
    pkid: u16,
    acknowledged: bool,
}

impl Publisher {
    /// The most messages in flight, counted from the oldest unacknowledged one. The broker may allow fewer.
    pub const WINDOW: u16 = 64;

    /// Starts connecting, and reconnects until dropped.
    #[must_use]
    pub fn start(options: Options) -> Self {
        Self::subscribing(options, Vec::new())
    }

    /// As [`Self::start`], and subscribes: for [`crate::Duplex`].
    pub(crate) fn subscribing(options: Options, filters: Vec<(String, Qos)>) -> Self {
        Self { connection: ConnectionTask::start(options, filters), live: None }
    }

    pub(crate) async fn next_signal(&mut self) -> Option<Signal> {
        self.connection.signals.recv().await
    }

    /// Publishes at QoS 1. `token` returns in [`PublisherEvent::Acked`] or [`PublisherEvent::Refused`], unless
    /// [`PublisherEvent::Lost`] comes first.
    pub fn try_publish(
        &mut self,
        token: u64,
        topic: &str,
        payload: Bytes,
        retain: bool,
    ) -> Result<(), SubmitError> {
        let live = self.live.as_mut().ok_or(SubmitError::NotConnected)?;
        check_topic(topic)?;
        live.check_size(topic, &payload)?;
        if live.window.len() >= usize::from(Self::WINDOW.min(live.connected.receive_maximum)) {
            return Err(SubmitError::WindowFull);
        }
        // The client fails if its connection has ended; the `Lost` event is then on its way.
        live.client.publish(topic, payload, retain).map_err(|_| SubmitError::NotConnected)?;
        live.window.push_back(InFlight { token, pkid: 0, acknowledged: false });
        Ok(())
    }

    /// The next event. It is `None` only after [`Self::disconnect`]. Cancel safe.
    pub async fn next(&mut self) -> Option<PublisherEvent> {
        loop {
            let signal = self.next_signal().await?;
            if let Some(event) = self.handle(signal) {
                return Some(event);
            }
        }
    }

    /// The number of unacknowledged messages.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.live
            .as_ref()
            .map_or(0, |live| live.window.iter().filter(|message| !message.acknowledged).count())
    }

    /// Sends DISCONNECT within one second, so that the will is not published. To be sure that everything has arrived, wait
    /// until [`Self::in_flight`] is 0 first.
    pub async fn disconnect(mut self) {
        self.connection.disconnect().await;
    }

    pub(crate) fn handle(&mut self, signal: Signal) -> Option<PublisherEvent> {
        match signal {
            Signal::Up { client, connected, .. } => {
                self.live = Some(LiveConnection { client, connected, window: VecDeque::new() });
                Some(PublisherEvent::Connected)
            }
            Signal::Sent(pkid) => {
                let next = self.live.as_mut()?.window.iter_mut().find(|message| message.pkid == 0)?;
                next.pkid = pkid;
                None
            }
            Signal::Acked { pkid, refusal } => {
                let token = self.live.as_mut()?.acked(pkid)?;
                Some(match refusal {
                    None => PublisherEvent::Acked(token),
                    Some(refusal) => PublisherEvent::Refused { token, refusal },
                })
            }
            Signal::Down { reason } => {
                self.live = None;
                Some(PublisherEvent::Lost { reason })
            }
            Signal::Message(_) => None,
        }
    }
}

impl LiveConnection {
    fn acked(&mut self, pkid: u16) -> Option<u64> {
        // Packet id 0 does not exist; it marks messages not sent yet.
        let message = self
            .window
            .iter_mut()
            .find(|message| pkid != 0 && message.pkid == pkid && !message.acknowledged)?;
        message.acknowledged = true;
        let token = message.token;
        while self.window.front().is_some_and(|message| message.acknowledged) {
            self.window.pop_front();
        }
        Some(token)
    }

    /// MQTT 5, section 3.3: fixed header (5 bytes at most), topic with its length, packet id, no properties (1 byte).
    fn check_size(&self, topic: &str, payload: &Bytes) -> Result<(), SubmitError> {
        let bytes = topic.len().saturating_add(payload.len()).saturating_add(5 + 2 + 2 + 1);
        let limit = self.connected.max_packet_size;
        if usize::try_from(limit).is_ok_and(|limit| bytes > limit) {
            return Err(SubmitError::TooLarge { bytes, limit });
        }
        Ok(())
    }
}

/// MQTT 5, section 4.7.3.
fn check_topic(topic: &str) -> Result<(), SubmitError> {
    let bad = topic.is_empty() || topic.len() > usize::from(u16::MAX) || topic.contains(['+', '#', '\0']);
    if bad {
        return Err(SubmitError::BadTopic { topic: topic.chars().take(64).collect() });
    }
    Ok(())
}
