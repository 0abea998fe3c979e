//! What an engine may use of time, memory and its peers' patience. The defaults are RFC 7252's where it has any.

use std::time::Duration;

use crate::block::BlockSize;

/// How long a message id must not be used again between two peers (RFC 7252, 4.8.2).
pub const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

/// What becomes of a large answer to an address that has not shown that it hears us: somebody may have written
/// another's there, to have us send much to it for little (RFC 9175, 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// It goes out in blocks that are small enough, with an Echo for the client to send back. Works with every client.
    SmallBlocks,
    /// Reading is refused with 4.01 and an Echo, as the RFC recommends; the client asks again with that. Fails with
    /// clients that do not know Echo, of which aiocoap 0.4 is one. Other methods as with `SmallBlocks`.
    Challenge,
    /// It goes out: for networks in which nobody can pretend to have another's address.
    Trusted,
}

/// An engine's settings. Every bound holds for the whole engine unless it says "a peer".
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where tokens, message ids and time-outs start from: the same in a test; in earnest from the operating system's
    /// randomness, since nobody outside should be able to guess them.
    pub seed: u64,

    /// ACK_TIMEOUT: how long at least until a CON without an answer is sent again.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR: the first time-out is up to this many times as long.
    pub ack_random_factor: f64,
    /// MAX_RETRANSMIT: how often a CON is sent again, each time after twice the time.
    pub max_retransmit: u32,
    /// How many CONs may wait for a peer behind the one that is not acknowledged yet (NSTART is 1), answers counted that
    /// its requests were acknowledged without.
    pub queue_per_peer: usize,

    /// Peers whose last messages are remembered; beyond, those are forgotten that were silent the longest.
    pub peers: usize,
    /// Messages of a peer that are remembered, so that a repeated one is answered again and not done again. No more
    /// requests of a peer wait for the owner; beyond, they get 5.03.
    pub remembered_per_peer: usize,
    /// Bytes of answers that are remembered.
    pub remembered_bytes: usize,

    /// How long the owner may take until a CON is acknowledged without an answer, which then follows separately.
    pub acknowledge_after: Duration,
    /// How long the owner may take until its answer is no longer waited for.
    pub answer_within: Duration,
    /// Requests that wait for the owner's answer; beyond, they get 5.03.
    pub open_requests: usize,
    /// Answers to multicast requests leave at a random time within this (RFC 7252, 8.2: leisure).
    pub leisure: Duration,

    /// The largest block, in both directions.
    pub block_size: BlockSize,
    /// The largest body of a request in bytes; a larger one gets 4.13.
    pub request_body: usize,
    /// Bodies of requests that are being put together.
    pub assemblies: usize,
    /// Those of a peer; a further one takes the place of its oldest.
    pub assemblies_per_peer: usize,
    /// Bytes in all that bodies of requests may take while they are put together.
    pub assembly_bytes: usize,
    /// How long a body of a request may stay without a further block.
    pub assembly_idle: Duration,
    /// Bodies of responses that are kept for the blocks behind the first.
    pub kept_bodies: usize,
    /// Those of a peer; a further one takes the place of its oldest.
    pub kept_bodies_per_peer: usize,
    /// Bytes in all of bodies that are kept.
    pub kept_bytes: usize,
    /// How long a body is kept after its last block was asked for.
    pub kept_for: Duration,

    /// Observers; beyond, a request is answered as if it had not asked to observe (RFC 7641, 4.1).
    pub observers: usize,
    /// Observations of a peer.
    pub observers_per_peer: usize,
    /// Every how many notifications one is a CON, which shows whether the observer is still there.
    pub confirm_every: u32,
    /// After how long without a CON the next notification is one; at most 24 h (RFC 7641, 4.5).
    pub confirm_after: Duration,

    /// What becomes of large answers to peers of which only the address is known.
    pub unverified: Unverified,
    /// Answers up to this many bytes, or three times the request, need none.
    pub unverified_bytes: usize,
    /// How long an address counts as verified after the last proof, and an Echo value as fresh.
    pub verified_for: Duration,
    /// Addresses that are remembered as verified.
    pub verified: usize,

    /// Requests of our own that are under way, observations included.
    pub exchanges: usize,
    /// How long a response may take after the other side has acknowledged the request, for each block.
    pub response_within: Duration,
    /// The largest body of a response in bytes that is put together.
    pub response_body: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            ack_timeout: Duration::from_secs(2),
            ack_random_factor: 1.5,
            max_retransmit: 4,
            queue_per_peer: 16,
            peers: 20_000,
            remembered_per_peer: 64,
            remembered_bytes: 8 << 20,
            acknowledge_after: Duration::from_secs(1),
            answer_within: Duration::from_secs(30),
            open_requests: 1_024,
            leisure: Duration::from_secs(5),
            block_size: BlockSize::LARGEST,
            request_body: 1 << 20,
            assemblies: 256,
            assemblies_per_peer: 4,
            assembly_bytes: 16 << 20,
            assembly_idle: Duration::from_secs(60),
            kept_bodies: 256,
            kept_bodies_per_peer: 4,
            kept_bytes: 8 << 20,
            kept_for: Duration::from_secs(60),
            observers: 20_000,
            observers_per_peer: 256,
            confirm_every: 10,
            confirm_after: Duration::from_secs(60),
            unverified: Unverified::SmallBlocks,
            unverified_bytes: 136,
            verified_for: Duration::from_secs(3_600),
            verified: 20_000,
            exchanges: 1_024,
            response_within: Duration::from_secs(60),
            response_body: 1 << 20,
        }
    }
}
