//! The outputs of a server or client: datagrams, plaintext, and the start and end of sessions with reasons.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::dtls::KeyError;
use crate::{Identity, Peer};

/// Read the outputs with `poll` after every call until there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Send {
        address: SocketAddr,
        bytes: Vec<u8>,
    },
    /// Plaintext from an authenticated peer.
    Plain {
        peer: Peer,
        /// The content of one record.
        bytes: Vec<u8>,
    },
    /// A session is established; the peer has proven its identity. An existing session of the peer is closed first.
    Opened {
        peer: Peer,
    },
    /// An established session has ended.
    Closed {
        peer: Peer,
        reason: CloseReason,
    },
    /// A handshake has failed.
    Refused {
        address: SocketAddr,
        /// The identity shown, if any. It is not proven. Truncated to 256 bytes.
        identity: Option<Identity>,
        reason: HandshakeFailure,
    },
}

/// Why an established session has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    #[error("the peer has closed it")]
    ByPeer,
    #[error("closed here")]
    Here,
    #[error("nothing was received from the peer for too long")]
    Idle,
    #[error("the peer has begun a new session")]
    Replaced,
    #[error("it was the longest idle one when room was needed")]
    Evicted,
    #[error("the peer broke it off: {what}")]
    Broken {
        /// The text of `dimpl`'s error.
        what: String,
    },
    #[error("the DTLS library panicked on it: a bug, please report it")]
    Panicked,
}

impl CloseReason {
    /// A short name for counters.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::ByPeer => "by_peer",
            Self::Here => "here",
            Self::Idle => "idle",
            Self::Replaced => "replaced",
            Self::Evicted => "evicted",
            Self::Broken { .. } => "broken",
            Self::Panicked => "panicked",
        }
    }
}

/// Why a handshake has failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeFailure {
    /// The identity has no key here. To the peer it looks like a wrong key (RFC 4279, 2).
    #[error("the identity is not known here")]
    UnknownIdentity,
    #[error("the key is not the one of this identity")]
    WrongKey,
    #[error("no common cipher suite; the peer must offer TLS_PSK_WITH_AES_128_CCM_8")]
    NoCommonSuite,
    #[error("the peer does not offer the extended master secret (RFC 7627)")]
    NoExtendedMasterSecret,
    #[error("the peer refused with alert {description}")]
    Alert {
        /// RFC 5246, 7.2: 40 handshake_failure, 51 decrypt_error, 115 unknown_psk_identity.
        description: u8,
    },
    /// The time limit has passed. A libcoap server does not answer a wrong key.
    #[error("the handshake did not finish in time; a server that has another key may just stay silent")]
    Timeout,
    /// It was the oldest unfinished one when there were too many.
    #[error("too many unfinished handshakes")]
    Crowded,
    /// All sessions belong to peers that are not idle.
    #[error("all sessions are taken")]
    Full,
    #[error("the handshake broke the protocol: {what}")]
    Broken {
        /// The text of `dimpl`'s error.
        what: String,
    },
    #[error("the DTLS library panicked on it: a bug, please report it")]
    Panicked,
}

impl HandshakeFailure {
    /// A short name for counters.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::UnknownIdentity => "unknown_identity",
            Self::WrongKey => "wrong_key",
            Self::NoCommonSuite => "no_common_suite",
            Self::NoExtendedMasterSecret => "no_extended_master_secret",
            Self::Alert { .. } => "alert",
            Self::Timeout => "timeout",
            Self::Crowded => "crowded",
            Self::Full => "full",
            Self::Broken { .. } => "broken",
            Self::Panicked => "panicked",
        }
    }
}

/// Counters since the start. The set of names is fixed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    pub opened: u64,
    /// Clients that were asked for a cookie.
    pub verified: u64,
    /// Ended sessions by [`CloseReason::label`].
    pub closed: BTreeMap<&'static str, u64>,
    /// Failed handshakes by [`HandshakeFailure::label`].
    pub refused: BTreeMap<&'static str, u64>,
    /// Dropped datagrams and records: `not_dtls`, `bad_hello` (malformed or fragmented), `no_session`, `too_long` (for a
    /// handshake), `backlog` (the owner does not poll).
    pub dropped: BTreeMap<&'static str, u64>,
}

pub(super) fn count(counts: &mut BTreeMap<&'static str, u64>, label: &'static str) {
    let count = counts.entry(label).or_default();
    *count = count.saturating_add(1);
}

/// Why plaintext cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("there is no DTLS session with {peer}; wait until it opens one")]
    NoSession { peer: Peer },
    #[error("{length} bytes are more than the {most} that one DTLS record holds; send less at once")]
    TooLong { length: usize, most: usize },
    #[error("the DTLS session with {peer} broke while sending")]
    Broken { peer: Peer },
}

/// Why a server or a client cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the DTLS library refuses its settings")]
    Library(#[source] dimpl::Error),
}
