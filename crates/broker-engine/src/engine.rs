//! The state of the broker, and the entrances to it.

mod accounts;
mod acks;
mod cleaning;
mod client_ids;
mod compacting;
mod connect;
mod connection;
mod deliver;
mod internal;
mod load;
mod matching;
mod memory;
mod message;
mod output;
mod policy;
mod publish;
mod receive;
mod records;
mod restore;
mod retained;
mod scans;
mod session;
mod subscribe;
mod subscriptions;
mod system_topics;
mod timers;
mod wills;

use std::sync::Arc;

use slab::Slab;

pub use accounts::{Drops, Event, Stats};
pub use acks::AckToken;
pub use cleaning::Cleaning;
pub use connect::{Internal, Peer, Refused, refused};
pub use connection::ConnectionKey;
pub use internal::{InternalClient, InternalDelivery, InternalOutput, InternalPublish};
pub use message::Message;
pub use output::{Output, Rest};
pub use policy::Policy;
pub use publish::{LocalPublish, Received};
pub use receive::Step;
pub use restore::{RestoreError, Restoring};
pub use wills::Closed;

use connection::Connection;
use memory::Memory;
use records::Log;
use retained::RetainedStore;
use session::Session;
use subscriptions::Subscriptions;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds of a clock that never goes back.
    pub monotonic: u64,
    /// Seconds since the Unix epoch.
    pub wall: u64,
}

/// Bounds on what clients can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest packet, either way.
    pub packet_bytes: u32,
    /// Bytes of the largest payload.
    pub payload_bytes: usize,
    /// QoS 1 and 2 messages on their way from or to one client.
    pub in_flight: u16,
    /// Bytes of the messages that wait for one client. One message always may.
    pub queue_bytes: usize,
    /// Bytes of the messages, subscriptions and wills of all clients.
    pub memory_bytes: usize,
    /// Bytes of all retained messages.
    pub retained_bytes: usize,
    /// Sessions of clients that are away.
    pub sessions: usize,
    /// Subscriptions of one client.
    pub subscriptions: usize,
    /// Seconds that a session outlives its connection, at most.
    pub session_expiry: u32,
    /// Seconds of keep-alive, at most; `None`: as the client wants it.
    pub keep_alive: Option<u16>,
    /// Topic aliases of one client, either way.
    pub topic_aliases: u16,
    /// Whether retained messages are kept.
    pub retain: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet_bytes: 8 << 20,
            payload_bytes: usize::MAX,
            in_flight: 64,
            queue_bytes: 4 << 20,
            memory_bytes: 64 << 20,
            retained_bytes: 64 << 20,
            sessions: 5_000,
            subscriptions: 10_000,
            session_expiry: 7 * 24 * 3600,
            keep_alive: None,
            topic_aliases: 16,
            retain: true,
        }
    }
}

pub(crate) type SessionKey = usize;

/// The broker.
pub struct Engine {
    limits: Limits,
    policy: Arc<dyn Policy>,
    sessions: Slab<Session>,
    by_client_id: client_ids::ClientIds,
    connections: Slab<Connection>,
    next_generation: u32,
    subscriptions: Subscriptions,
    retained: RetainedStore,
    memory: Memory,
    log: Log,
    /// Connections that have something to send, or must close.
    woken: Vec<ConnectionKey>,
    stats: Stats,
    events: accounts::Events,
    /// The number of the next session in the records.
    next_session: u64,
    /// Grows by each message that is routed.
    route: u64,
    system: system_topics::SystemTopics,
    adapter_filters: Vec<(u16, Box<str>)>,
    /// See [`Self::work`].
    work: u64,
    /// Messages for adapters that no packet caused.
    locals: Vec<LocalPublish>,
}

impl Engine {
    /// A broker without clients.
    #[must_use]
    pub fn new(limits: Limits, policy: Arc<dyn Policy>, now: Now) -> Self {
        Self {
            limits,
            policy,
            sessions: Slab::new(),
            by_client_id: client_ids::ClientIds::default(),
            connections: Slab::new(),
            next_generation: 0,
            subscriptions: Subscriptions::default(),
            retained: RetainedStore::default(),
            memory: Memory::default(),
            log: Log::default(),
            woken: Vec::new(),
            stats: Stats::default(),
            events: accounts::Events::default(),
            next_session: 1,
            route: 0,
            system: system_topics::SystemTopics::new(now),
            adapter_filters: Vec::new(),
            work: 0,
            locals: Vec::new(),
        }
    }

    /// What was counted since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            connected: self.connections.len(),
            sessions: self.sessions.len(),
            retained: self.retained.len(),
            retained_bytes: self.retained.bytes(),
            subscriptions: self.subscriptions.len(),
            queued_bytes: self.memory.used(),
            ..self.stats
        }
    }

    /// Retained messages that clients have published: what comes back after a restart.
    #[must_use]
    pub fn stored_retained(&self) -> usize {
        self.retained.len_of_stored()
    }

    /// Grows with what was done: packets, recipients, filters, topics that were looked at. A unit takes about a microsecond.
    #[must_use]
    pub const fn work(&self) -> u64 {
        self.work
    }

    /// What happened since the last call and belongs in a log.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.take()
    }

    /// The connections to call [`Self::output`] for since the last call.
    pub fn take_woken(&mut self, into: &mut Vec<ConnectionKey>) {
        into.append(&mut self.woken);
    }

    fn wake(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connection_mut(key)
            && !connection.woken
        {
            connection.woken = true;
            self.woken.push(key);
        }
    }

    fn connection(&self, key: ConnectionKey) -> Option<&Connection> {
        self.connections.get(key.index as usize).filter(|one| one.generation == key.generation)
    }

    fn connection_mut(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        self.connections.get_mut(key.index as usize).filter(|one| one.generation == key.generation)
    }
}
