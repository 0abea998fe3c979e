//! Messages that do not go through the outbox: status and health. They are not stored. The highest bit of their tokens
//! distinguishes them from the outbox's sequence numbers.

use bytes::Bytes;

/// One message, QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnqueuedMessage {
    pub topic: String,
    pub payload: Bytes,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

const UNQUEUED: u64 = 1 << 63;

/// Tokens for messages that do not go through the outbox.
#[derive(Debug, Default)]
pub(super) struct Tokens(u64);

impl Tokens {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0 | UNQUEUED
    }
}

/// Whether a token belongs to a message that did not go through the outbox.
pub(super) const fn is_unqueued(token: u64) -> bool {
    token & UNQUEUED != 0
}
