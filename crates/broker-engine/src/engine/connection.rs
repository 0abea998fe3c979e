//! One network connection: what its client can take, what waits to be sent, what waits to be acknowledged.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use super::acks::PendingAcks;
use super::message::Message;
use super::{Now, SessionKey};
use crate::packet::{QoS, Version};
use crate::reason::Reason;

/// Names a connection; of a closed one, no later connection has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl ConnectionKey {
    /// A small number that no other open connection has.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// Something to send.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A packet that is encoded already.
    Encoded(SmallVec<[u8; 16]>),
    Publish(OutgoingPublish),
    /// PUBACK for a client within the process.
    Acked {
        packet_id: u16,
        reason: Reason,
    },
}

#[derive(Debug)]
pub(crate) struct OutgoingPublish {
    pub(crate) message: Arc<Message>,
    /// 0 at QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) subscription_ids: SmallVec<[u32; 2]>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) generation: u32,
    pub(crate) session: SessionKey,
    pub(crate) version: Version,
    pub(crate) is_bridge: bool,
    pub(crate) wants_problem_information: bool,
    /// A client within the process: it takes messages, not bytes.
    pub(crate) is_internal: bool,
    /// Seconds; 0 is none.
    pub(crate) keep_alive: u16,
    pub(crate) last_received: Now,
    /// Bytes.
    pub(crate) maximum_packet_size: u32,
    /// QoS 1 and 2 messages that may be on their way to the client.
    pub(crate) window: u16,
    /// Topics of the aliases that the client has set; index 0 is alias 1.
    pub(crate) aliases_in: Vec<Option<Arc<str>>>,
    /// Bytes that the client holds for them.
    pub(crate) alias_bytes: usize,
    /// Aliases that the client may be sent, and those it knows.
    pub(crate) alias_maximum: u16,
    pub(crate) aliases_out: HashMap<Arc<str>, u16, foldhash::fast::RandomState>,
    pub(crate) outgoing: VecDeque<Outgoing>,
    /// Bytes of the QoS 0 messages in `outgoing`.
    pub(crate) outgoing_bytes: usize,
    /// Bytes of the answers in `outgoing`.
    pub(crate) answer_bytes: usize,
    pub(crate) acks: PendingAcks,
    /// QoS 1 and 2 messages from the client that are not finished.
    pub(crate) unfinished: u16,
    /// Set when the connection shall end: everything in `outgoing` is sent before.
    pub(crate) closing: Option<Reason>,
    /// Already in [`super::Engine::take_woken`].
    pub(crate) woken: bool,
}

impl Connection {
    /// `index` is its place in the table.
    pub(crate) fn key(&self, index: usize) -> ConnectionKey {
        ConnectionKey { index: u32::try_from(index).unwrap_or(u32::MAX), generation: self.generation }
    }

    pub(crate) fn send_encoded(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        self.answer_bytes += bytes.len();
        self.outgoing.push_back(Outgoing::Encoded(SmallVec::from_slice(&bytes)));
    }
}
