//! What is stored: each change of a kept session and of the retained messages is a record. Reading them all, in order,
//! gives the state back.
//!
//! Records of one turn are one batch, so that many changes cost one write. A batch has a position; the positions of
//! later batches are larger. The encoding is postcard's, after the length of each record as `u32` (little-endian).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::connection::ConnectionKey;
use super::{Engine, Now};
use crate::packet::{QoS, RetainHandling, SubscribeFilter};

/// A change. `session` is the number that [`Record::Session`] gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record<'a> {
    /// A kept session begins, or its owner or expiry changes.
    Session {
        session: u64,
        client: &'a str,
        user: Option<&'a str>,
        expiry: u32,
    },
    SessionEnded {
        session: u64,
    },
    Subscribed {
        session: u64,
        filter: &'a str,
        options: u8,
        identifier: Option<u32>,
    },
    Unsubscribed {
        session: u64,
        filter: &'a str,
    },
    /// A message that is retained, or waits for sessions.
    Message(#[serde(borrow)] StoredMessage<'a>),
    RetainedCleared {
        topic: &'a str,
    },
    /// The client has acknowledged the message, or it was dropped.
    Finished {
        session: u64,
        sequence: u64,
    },
    /// The message was sent to the client with this packet identifier.
    Sent {
        session: u64,
        sequence: u64,
        packet_id: u16,
    },
    /// The client has received that message.
    PubrecReceived {
        session: u64,
        sequence: u64,
    },
    /// A QoS 2 message of the client was accepted, and is not to be accepted again.
    Inbound {
        session: u64,
        packet_id: u16,
    },
    InboundReleased {
        session: u64,
        packet_id: u16,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredMessage<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) properties: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// It is the topic's retained message.
    pub(crate) is_retained: bool,
    /// Seconds since the Unix epoch.
    pub(crate) expires: Option<u64>,
    /// The publisher's user and client id.
    pub(crate) publisher: Option<(Option<&'a str>, &'a str)>,
    pub(crate) recipients: Vec<Recipient>,
}

/// One session that a message waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recipient {
    pub(crate) session: u64,
    pub(crate) sequence: u64,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: Vec<u32>,
}

/// The options of a subscription as one byte, as SUBSCRIBE of MQTT 5 has them.
pub(crate) fn options_byte(filter: &SubscribeFilter<'_>) -> u8 {
    let handling = match filter.retain_handling {
        RetainHandling::Always => 0,
        RetainHandling::IfNew => 1,
        RetainHandling::Never => 2,
    };
    filter.qos.bits()
        | u8::from(filter.no_local) << 2
        | u8::from(filter.retain_as_published) << 3
        | handling << 4
}

pub(crate) fn qos(bits: u8) -> QoS {
    QoS::from_bits(bits & 3).unwrap_or(QoS::ExactlyOnce)
}

/// A batch of this size is not added to.
const LARGE_BATCH: usize = 1 << 20;

/// The records that are not stored yet.
#[derive(Debug, Default)]
pub(crate) struct Log {
    batch: Vec<u8>,
    /// Batches that are complete, before `batch`.
    complete: VecDeque<(u64, Vec<u8>)>,
    /// Position of `batch`.
    next: u64,
    stored: u64,
    /// Connections with an acknowledgement that waits for a record.
    waiting: Vec<ConnectionKey>,
    /// The disk takes nothing more.
    is_full: bool,
    /// Bytes of all records so far.
    bytes: u64,
}

impl Log {
    /// Adds a record, and returns the position that must be stored for it.
    pub(crate) fn append(&mut self, record: &Record<'_>) -> u64 {
        self.bytes += u64::from(encode(&mut self.batch, record));
        self.next
    }

    /// Begins another batch if this one is large, or would be with about `bytes` more. Called before a change, never between
    /// its records: they share a position.
    pub(crate) fn begin_change(&mut self, bytes: usize) {
        if !self.batch.is_empty() && self.batch.len() + bytes > LARGE_BATCH {
            self.complete.push_back((self.next, std::mem::take(&mut self.batch)));
            self.next += 1;
        }
    }

    /// What reading records back would record again.
    pub(crate) fn forget_batch(&mut self) {
        self.batch.clear();
    }

    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    pub(crate) const fn stored(&self) -> u64 {
        self.stored
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    pub(crate) fn set_stored(&mut self, position: u64) -> bool {
        let grew = position > self.stored;
        self.stored = self.stored.max(position);
        grew
    }

    pub(crate) fn wait(&mut self, connection: ConnectionKey) {
        if self.waiting.last() != Some(&connection) {
            self.waiting.push(connection);
        }
    }

    pub(crate) fn take_waiting(&mut self) -> Vec<ConnectionKey> {
        std::mem::take(&mut self.waiting)
    }
}

/// Adds a record to a batch; returns its length.
pub(crate) fn encode(batch: &mut Vec<u8>, record: &Record<'_>) -> u32 {
    let start = batch.len();
    batch.extend_from_slice(&[0; 4]);
    // Cannot fail: the writer is a Vec, and no record has a map or a sequence of unknown length.
    if let Ok(extended) = postcard::to_extend(record, std::mem::take(batch)) {
        *batch = extended;
    }
    let length = u32::try_from(batch.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = batch.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    length
}

/// The records of a batch; ends at the first that cannot be read.
pub(crate) fn each_record(mut batch: &[u8]) -> impl Iterator<Item = Result<Record<'_>, postcard::Error>> {
    std::iter::from_fn(move || {
        let (length, rest) = batch.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let Some((record, rest)) = rest.split_at_checked(length) else {
            batch = &[];
            return Some(Err(postcard::Error::DeserializeUnexpectedEnd));
        };
        batch = rest;
        Some(postcard::from_bytes(record))
    })
}

impl Engine {
    /// The records since the last call, as one batch with its position; `None` without any. They belong on the disk before
    /// anything of [`Engine::output`] is sent.
    pub fn take_records(&mut self) -> Option<(u64, Vec<u8>)> {
        if let Some(complete) = self.log.complete.pop_front() {
            return Some(complete);
        }
        if self.log.batch.is_empty() {
            return None;
        }
        let batch = std::mem::take(&mut self.log.batch);
        let position = self.log.next;
        self.log.next += 1;
        Some((position, batch))
    }

    /// Sets the position of the next batch: that which the caller's store will give it.
    pub fn set_next_position(&mut self, position: u64) {
        self.log.next = position;
        self.log.stored = position.saturating_sub(1);
    }

    /// The disk takes nothing more, or takes records again. While it is full, messages that need a record are refused.
    pub fn set_store_full(&mut self, is_full: bool) {
        self.log.is_full = is_full;
    }

    /// Adds a record for a session that is kept; `None` for others.
    pub(crate) fn record<'a>(
        &mut self,
        session: usize,
        record: impl FnOnce(u64) -> Record<'a>,
    ) -> Option<u64> {
        let session = self.sessions.get(session).filter(|session| session.is_kept())?;
        Some(self.log.append(&record(session.number)))
    }

    pub(crate) fn wall_expiry(expires: Option<u64>, now: Now) -> Option<u64> {
        expires.map(|at| now.wall + at.saturating_sub(now.monotonic).div_ceil(1000))
    }
}
