//! Messages out, at least once: a pipe from the caller's durable store to the broker.
//!
//! The caller gives each message a token. [`PublisherEvent::Acked`] says that the broker has it; only then may it be
//! deleted. [`PublisherEvent::Lost`] says that everything not yet acknowledged is forgotten here: the caller submits it
//! again, from its store, after the next [`PublisherEvent::Connected`]. The broker may then have it twice.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::Options;
use crate::link::{Client, Connected, Refusal};
use crate::session::{Running, Signal};

/// What a publisher hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublisherEvent {
    /// From now on messages are taken.
    Connected,
    /// The broker has the message.
    Acked(u64),
    /// The broker will not take the message (MQTT 5 only). Drop it where the refusal is permanent; else submit it again
    /// after a while, and others meanwhile.
    Refused {
        /// Which.
        token: u64,
        /// Why.
        refusal: Refusal,
    },
    /// The connection is gone, or an attempt to connect failed; it is tried again. Whatever was not acknowledged is
    /// forgotten.
    Lost {
        /// Why and what to do, for people.
        reason: String,
    },
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Between [`PublisherEvent::Lost`] and [`PublisherEvent::Connected`]. Wait for the latter.
    #[error("not connected to the broker")]
    NotConnected,
    /// As many as may be are waiting for acknowledgement. Wait for the oldest.
    #[error("the broker has not yet acknowledged earlier messages")]
    WindowFull,
    /// The broker takes no packet so large (MQTT 5 tells). This message can never be sent there.
    #[error("the message makes a packet of {bytes} bytes, and the broker takes {limit} at most")]
    TooLarge {
        /// The packet's size.
        bytes: usize,
        /// What the broker said when we connected.
        limit: u32,
    },
    /// Empty, too long, or with a wildcard. This message can never be sent.
    #[error("`{topic}` is not a topic that can be published to")]
    BadTopic {
        /// What was given, shortened.
        topic: String,
    },
}

impl SubmitError {
    /// Whether the same message will always be refused.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::BadTopic { .. })
    }
}

/// A connection that publishes. Dropped, it vanishes without a DISCONNECT, and the broker publishes the will.
#[derive(Debug)]
pub struct Publisher {
    running: Running,
    live: Option<Live>,
}

/// What belongs to one connection and goes with it.
#[derive(Debug)]
struct Live {
    client: Arc<Client>,
    connected: Connected,
    window: VecDeque<Slot>,
}

/// A message under way. Slots stand in the order of submission, which is the order of packet ids; so as long as there
/// are fewer slots than packet ids, counted from the oldest unacknowledged, no id is given twice.
#[derive(Debug)]
struct Slot {
    token: u64,
    /// 0 until it is sent.
    pkid: u16,
    done: bool,
}

impl Publisher {
    /// Messages between the oldest unacknowledged and the newest, at most; fewer where the broker takes fewer.
    pub const WINDOW: u16 = 64;

    /// Starts to connect, and keeps connected.
    #[must_use]
    pub fn start(options: Options) -> Self {
        Self { running: Running::start(options, Vec::new()), live: None }
    }

    /// Sends a message at QoS 1. `token` comes back in [`PublisherEvent::Acked`] or [`PublisherEvent::Refused`], unless
    /// [`PublisherEvent::Lost`] comes before.
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
        // The client refuses when its connection has gone; that we learn from `Lost`, which is on its way.
        live.client.publish(topic, payload, retain).map_err(|_| SubmitError::NotConnected)?;
        live.window.push_back(Slot { token, pkid: 0, done: false });
        Ok(())
    }

    /// The next event; `None` never comes before [`Self::disconnect`]. May be cancelled without loss.
    pub async fn next(&mut self) -> Option<PublisherEvent> {
        loop {
            let signal = self.running.signals.recv().await?;
            if let Some(event) = self.take(signal) {
                return Some(event);
            }
        }
    }

    /// How many messages the broker has not acknowledged yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.live.as_ref().map_or(0, |live| live.window.iter().filter(|slot| !slot.done).count())
    }

    /// Sends DISCONNECT, so that the will is not published; takes a second at most. Whoever wants to know what has
    /// arrived waits for [`Self::in_flight`] to come down to 0 before.
    pub async fn disconnect(mut self) {
        self.running.disconnect().await;
    }

    fn take(&mut self, signal: Signal) -> Option<PublisherEvent> {
        match signal {
            Signal::Up { client, connected, .. } => {
                self.live = Some(Live { client, connected, window: VecDeque::new() });
                Some(PublisherEvent::Connected)
            }
            Signal::Sent(pkid) => {
                let next = self.live.as_mut()?.window.iter_mut().find(|slot| slot.pkid == 0)?;
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

impl Live {
    fn acked(&mut self, pkid: u16) -> Option<u64> {
        // 0 is no packet id, and marks what is not sent yet.
        let slot = self.window.iter_mut().find(|slot| pkid != 0 && slot.pkid == pkid && !slot.done)?;
        slot.done = true;
        let token = slot.token;
        while self.window.front().is_some_and(|slot| slot.done) {
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
