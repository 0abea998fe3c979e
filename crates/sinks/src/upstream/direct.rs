//! Messages beside the outbox: the status and health. They are not stored, and their tokens are told from the outbox's
//! sequence numbers by the highest bit.

use bytes::Bytes;

/// One message, QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

const DIRECT: u64 = 1 << 63;

/// Numbers for messages beside the outbox.
#[derive(Debug, Default)]
pub(super) struct Tokens(u64);

impl Tokens {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0 | DIRECT
    }
}

/// Whether a token belongs to a message beside the outbox.
pub(super) const fn is_direct(token: u64) -> bool {
    token & DIRECT != 0
}
