//! What the broker counts, and what it tells the log.

use std::sync::Arc;

use crate::reason::Reason;

/// Messages that were dropped, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drops {
    /// The queue of a slow or absent client was full.
    pub queue_full: u64,
    /// All queues together were full.
    pub memory_full: u64,
    /// Its time was over before the client took it.
    pub expired: u64,
    /// Larger than the client takes, or than a payload may be.
    pub too_large: u64,
    /// Retained, and the store is full.
    pub retained_full: u64,
    /// Its publisher may not publish there.
    pub not_permitted: u64,
    /// Its client's session ended before it took it: by time, or because the client began a new one.
    pub session_ended: u64,
    /// The broker at the other end of a bridge does not take it.
    pub bridge_refused: u64,
    /// The disk takes nothing more, and it had to be written.
    pub disk_full: u64,
}

/// Counters since the start, and the present state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub messages_received: u64,
    pub messages_sent: u64,
    pub publish_received: u64,
    pub publish_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub publish_bytes_received: u64,
    pub publish_bytes_sent: u64,
    /// CONNECTs whose password was right.
    pub connects: u64,
    pub most_connected: usize,
    pub expired_sessions: u64,
    pub dropped: Drops,
    pub connected: usize,
    pub sessions: usize,
    pub retained: usize,
    pub retained_bytes: usize,
    pub subscriptions: usize,
    pub queued_bytes: usize,
}

impl Drops {
    /// Each cause with its number.
    #[must_use]
    pub const fn by_cause(&self) -> [(&'static str, u64); 9] {
        [
            ("queue_full", self.queue_full),
            ("memory_full", self.memory_full),
            ("expired", self.expired),
            ("too_large", self.too_large),
            ("retained_full", self.retained_full),
            ("not_permitted", self.not_permitted),
            ("session_ended", self.session_ended),
            ("bridge_refused", self.bridge_refused),
            ("disk_full", self.disk_full),
        ]
    }

    /// All causes but the client's own faults and expiry, which the publisher asked for.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.queue_full
            + self.memory_full
            + self.too_large
            + self.retained_full
            + self.session_ended
            + self.bridge_refused
            + self.disk_full
    }
}

/// Something that an operator may want to know. At most [`MOST_EVENTS`] wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The connection was closed for a fault of the client or a limit.
    Closed { client: Arc<str>, reason: Reason, why: &'static str },
    /// Messages for this client are dropped from now on: its queue is full. Told once until it has room again.
    QueueFull { client: Arc<str> },
    /// Messages for this client are dropped, because those of all clients together fill the memory.
    MemoryFull { client: Arc<str> },
    /// A message is larger than the client takes.
    TooLarge { client: Arc<str>, topic: Arc<str> },
    /// The retained store has no room for this topic.
    RetainedFull { client: Arc<str>, topic: Arc<str> },
    /// The client may not publish there.
    PublishRefused { client: Arc<str>, user: Option<Arc<str>>, topic: Arc<str> },
    /// The client may not read this.
    SubscribeRefused { client: Arc<str>, user: Option<Arc<str>>, filter: Arc<str> },
    /// The client has too many subscriptions.
    TooManySubscriptions { client: Arc<str> },
    /// The session of a client that is away was ended, because there are too many, and its user has the most.
    TooManySessions { client: Arc<str>, user: Option<Arc<str>> },
    /// A client was refused, because there is no memory for its will.
    NoMemory { client: Arc<str> },
    /// A client of version 3 was refused: it cannot be told the longest keep-alive, in seconds.
    KeepAliveTooLong { client: Arc<str>, most: u16 },
    /// A message was refused, because its payload is larger than it may be.
    PayloadTooLarge { client: Arc<str>, topic: Arc<str> },
    /// A session has ended, by time or as its client wanted; messages that waited for it are lost.
    SessionEnded { client: Arc<str>, lost: usize },
}

const MOST_EVENTS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Events {
    waiting: Vec<Event>,
}

impl Events {
    /// Beyond [`MOST_EVENTS`] they are left out: they are counted in [`Stats`] all the same.
    pub(crate) fn tell(&mut self, event: impl FnOnce() -> Event) {
        if self.waiting.len() < MOST_EVENTS {
            self.waiting.push(event());
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.waiting)
    }
}
