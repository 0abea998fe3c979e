//! The limits of an engine in time, memory and traffic. The defaults are those of RFC 7252, if it has any.

use std::time::Duration;

use crate::block::BlockSize;

/// The time in which a message id must not be reused between two endpoints (RFC 7252, 4.8.2).
pub const EXCHANGE_LIFETIME: Duration = Duration::from_secs(247);

/// What to do with a large response to an unverified address. The address may be spoofed, to amplify an attack on its owner
/// (RFC 9175, 2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unverified {
    /// Send it in small blocks with an Echo option for the client to return. Works with every client.
    SmallBlocks,
    /// Reject reads with 4.01 and an Echo option, as the RFC recommends; the client repeats the request with it. Fails with
    /// clients that do not know Echo, such as aiocoap 0.4. Other methods as with `SmallBlocks`.
    Challenge,
    /// Send it: for networks in which addresses cannot be spoofed.
    Trusted,
}

/// The settings of an engine. A limit applies to the whole engine unless it says "per peer".
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The seed of tokens, message ids and time-outs. Use the system's randomness, because outsiders must not guess them; a
    /// constant in tests.
    pub seed: u64,

    /// ACK_TIMEOUT: the shortest time before a CON is retransmitted.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR: the first time-out is longer by up to this factor.
    pub ack_random_factor: f64,
    /// MAX_RETRANSMIT: the number of retransmissions, each after twice the time.
    pub max_retransmit: u32,
    /// Per peer: CONs waiting behind the one in flight (NSTART is 1), reserved answers to acknowledged requests included.
    pub queue_per_peer: usize,

    /// Peers whose recent messages are remembered. Beyond that the peers silent for longest are forgotten.
    pub peers: usize,
    /// Per peer: remembered messages, so that a duplicate is answered again and not executed again. Also the most requests
    /// that wait for the owner; further ones get 5.03.
    pub remembered_per_peer: usize,
    /// Bytes of remembered answers.
    pub remembered_bytes: usize,

    /// The time after which an unanswered CON is acknowledged; its response then follows separately.
    pub acknowledge_after: Duration,
    /// The time within which the owner must answer.
    pub answer_within: Duration,
    /// Requests that wait for the owner; further ones get 5.03.
    pub open_requests: usize,
    /// Leisure (RFC 7252, 8.2): responses to multicast requests are sent at a random time within it.
    pub leisure: Duration,

    /// The largest block in both directions.
    pub block_size: BlockSize,
    /// The largest request body in bytes; a larger one gets 4.13.
    pub request_body: usize,
    /// Request bodies being reassembled.
    pub assemblies: usize,
    /// Per peer: request bodies being reassembled; a further one replaces the oldest.
    pub assemblies_per_peer: usize,
    /// Bytes of all request bodies being reassembled.
    pub assembly_bytes: usize,
    /// How long an incomplete request body is kept after its last block.
    pub assembly_idle: Duration,
    /// Response bodies kept for requests of further blocks.
    pub kept_bodies: usize,
    /// Per peer: kept response bodies; a further one replaces the oldest.
    pub kept_bodies_per_peer: usize,
    /// Bytes of all kept response bodies.
    pub kept_bytes: usize,
    /// How long a response body is kept after the last request for a block of it.
    pub kept_for: Duration,

    /// Observers. Beyond that a request is answered without an observation (RFC 7641, 4.1).
    pub observers: usize,
    /// Per peer: observations.
    pub observers_per_peer: usize,
    /// One notification in this many is a CON, to check that the observer is alive.
    pub confirm_every: u32,
    /// The next notification after this time without a CON is a CON; at most 24 h (RFC 7641, 4.5).
    pub confirm_after: Duration,

    /// What to do with large responses to unverified addresses.
    pub unverified: Unverified,
    /// Responses up to this size in bytes, or three times the request, may go to unverified addresses.
    pub unverified_bytes: usize,
    /// How long an address stays verified, and an Echo value fresh.
    pub verified_for: Duration,
    /// Verified addresses that are remembered.
    pub verified: usize,

    /// Requests in progress, observations included.
    pub exchanges: usize,
    /// How long to wait for a response, or its next block, after the request was acknowledged.
    pub response_within: Duration,
    /// The largest response body in bytes.
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
