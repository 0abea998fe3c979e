//! What a client leaves behind when its connection ends: subscriptions, messages that wait, messages on their way.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::connection::ConnectionKey;
use super::message::Message;
use super::scans::Scans;
use super::wills::Will;
use crate::packet::QoS;

/// A message that waits for a client.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    /// Grows by one each message of the session.
    pub(crate) sequence: u64,
    pub(crate) message: Arc<Message>,
    /// What was granted; never 0.
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: SmallVec<[u32; 2]>,
}

impl Queued {
    /// Bytes in memory, about.
    pub(crate) fn cost(message: &Message, subscription_ids: &[u32]) -> usize {
        message.cost() + size_of_val(subscription_ids)
    }
}

/// A message that was sent and is not acknowledged.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) packet_id: u16,
    /// On the present connection. If not, it goes before what waits, as far as the client takes it at once.
    pub(crate) is_sent: bool,
    /// A PUBREC came: only the PUBREL is sent again.
    pub(crate) is_received: bool,
    pub(crate) queued: Queued,
}

/// A QoS 2 message from the client between PUBLISH and PUBREL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// Routed, but the PUBREC waits for adapters or the disk.
    Waiting,
    Acknowledged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// As [`super::records::options_byte`] has them.
    pub(crate) options: u8,
    pub(crate) identifier: Option<u32>,
    /// The record that holds it.
    pub(crate) position: u64,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: Arc<str>,
    pub(crate) user: Option<Arc<str>>,
    /// Its number in the records; 0 while it has none.
    pub(crate) number: u64,
    /// Seconds that it outlives its connection; `u32::MAX` is forever.
    pub(crate) expiry: u32,
    /// The record of these four.
    pub(crate) position: u64,
    pub(crate) connection: Option<ConnectionKey>,
    /// Monotonic milliseconds; set while there is no connection.
    pub(crate) ends_at: Option<u64>,
    pub(crate) subscriptions: HashMap<Arc<str>, Subscription, RandomState>,
    pub(crate) queue: VecDeque<Queued>,
    /// Bytes that may wait in `queue` and `in_flight`.
    pub(crate) queue_limit: usize,
    pub(crate) in_flight: VecDeque<InFlight>,
    /// Whether there may be some in `in_flight` that are not sent on the present connection.
    pub(crate) has_unsent: bool,
    /// Bytes of `queue` and `in_flight`.
    pub(crate) queue_bytes: usize,
    /// What it holds besides messages; see [`super::Engine::hold`].
    pub(crate) held_bytes: usize,
    /// Of a client within the process: permissions are not for it.
    pub(crate) is_internal: bool,
    /// Whether the log has been told that the queue is full.
    pub(crate) reported_full: bool,
    pub(crate) next_packet_id: u16,
    pub(crate) next_sequence: u64,
    pub(crate) inbound: BTreeMap<u16, Inbound>,
    /// Subscriptions whose retained messages are still to be sent.
    pub(crate) scans: Scans,
    pub(crate) will: Option<Box<Will>>,
    /// The last message that was routed to it, and its place there.
    pub(crate) matched: (u64, u32),
}

impl Session {
    pub(crate) fn new(
        client: Arc<str>,
        user: Option<Arc<str>>,
        number: u64,
        expiry: u32,
        queue_limit: usize,
    ) -> Self {
        Self {
            client,
            user,
            number,
            expiry,
            position: 0,
            connection: None,
            ends_at: None,
            subscriptions: HashMap::default(),
            queue: VecDeque::new(),
            queue_limit,
            in_flight: VecDeque::new(),
            has_unsent: false,
            queue_bytes: 0,
            held_bytes: 0,
            is_internal: false,
            reported_full: false,
            next_packet_id: 1,
            next_sequence: 1,
            inbound: BTreeMap::new(),
            scans: Scans::default(),
            will: None,
            matched: (0, 0),
        }
    }

    /// Whether it is stored.
    pub(crate) const fn is_kept(&self) -> bool {
        self.expiry > 0
    }

    /// A packet identifier that no message on its way has.
    pub(crate) fn new_packet_id(&mut self) -> u16 {
        loop {
            let id = self.next_packet_id;
            self.next_packet_id = id.checked_add(1).unwrap_or(1);
            // Ends: fewer messages are on their way than there are identifiers.
            if !self.in_flight.iter().any(|one| one.packet_id == id) {
                return id;
            }
        }
    }

    pub(crate) fn sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        sequence
    }

    /// Whether a message with this number still waits for the client.
    pub(crate) fn waits_for(&self, sequence: u64) -> bool {
        let queued = self.queue.binary_search_by_key(&sequence, |one| one.sequence).is_ok();
        queued || self.in_flight.iter().any(|one| one.queued.sequence == sequence)
    }
}
