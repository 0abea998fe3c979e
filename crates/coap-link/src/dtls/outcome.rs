//! What comes out of a server or a client: datagrams, plaintext, sessions that open and end, and why.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::dtls::KeyError;
use crate::{Identity, Peer};

/// What the owner shall do or know. Poll until there is none after every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram.
    Send {
        /// To whom.
        address: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A peer has said this, and nobody else can have.
    Plain {
        /// Who.
        peer: Peer,
        /// What one record held.
        bytes: Vec<u8>,
    },
    /// A session stands; the peer has proven its identity. Where the peer has one already, that one is closed first.
    Opened {
        /// The peer.
        peer: Peer,
    },
    /// A session that stood is gone.
    Closed {
        /// The peer.
        peer: Peer,
        /// Why.
        reason: Closing,
    },
    /// A handshake came to nothing.
    Refused {
        /// Who tried.
        address: SocketAddr,
        /// The identity shown, if it came that far; nothing proves it. Cut after 256 bytes.
        identity: Option<Identity>,
        /// Why.
        reason: Refusal,
    },
}

/// Why a session that stood has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closing {
    /// The peer said good-bye.
    #[error("the peer has closed it")]
    ByPeer,
    /// The owner asked for it.
    #[error("closed here")]
    Here,
    /// Nothing was heard for too long.
    #[error("nothing was heard from the peer for too long")]
    Idle,
    /// The peer has a new session at the same address.
    #[error("the peer has begun a new session")]
    Replaced,
    /// The longest idle one had to make room for another peer, or for another of the same identity.
    #[error("it was the longest idle one when room was needed")]
    Evicted,
    /// The peer, which holds the keys, broke the protocol or reported a fatal alert.
    #[error("the peer broke it off: {what}")]
    Broken {
        /// In `dimpl`'s words.
        what: String,
    },
    /// `dimpl` panicked on the peer's bytes; only this session is lost.
    #[error("the DTLS library panicked on it: a bug, please report it")]
    Panicked,
}

impl Closing {
    /// A short name, for counting.
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

/// Why a handshake came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer shows an identity that has no key here. To the peer it looks like a wrong key (RFC 4279, 2).
    #[error("the identity is not known here")]
    UnknownIdentity,
    /// The peer's key is not the one kept for its identity.
    #[error("the key is not the one of this identity")]
    WrongKey,
    /// The peer offers no suite we have.
    #[error("no common cipher suite; the peer must offer TLS_PSK_WITH_AES_128_CCM_8")]
    NoCommonSuite,
    /// The peer does without the extended master secret.
    #[error("the peer does not offer the extended master secret (RFC 7627)")]
    NoExtendedMasterSecret,
    /// The peer gave up with an alert.
    #[error("the peer refused with alert {description}")]
    Alert {
        /// RFC 5246, 7.2: 40 handshake_failure, 51 decrypt_error, 115 unknown_psk_identity.
        description: u8,
    },
    /// It took too long, or the peer does not answer. libcoap's servers stay silent at a wrong key.
    #[error("the handshake did not finish in time; a server that has another key may just stay silent")]
    Timeout,
    /// It was the oldest unfinished one when there were too many.
    #[error("too many unfinished handshakes")]
    Crowded,
    /// All sessions are taken by peers that are not idle.
    #[error("all sessions are taken")]
    Full,
    /// The peer broke the protocol.
    #[error("the handshake broke the protocol: {what}")]
    Broken {
        /// In `dimpl`'s words.
        what: String,
    },
    /// `dimpl` panicked on the peer's bytes; only this handshake is lost.
    #[error("the DTLS library panicked on it: a bug, please report it")]
    Panicked,
}

impl Refusal {
    /// A short name, for counting.
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

/// How often what has happened. The names are few and fixed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that have opened.
    pub opened: u64,
    /// Clients asked to prove their address.
    pub verified: u64,
    /// Sessions that have ended, by [`Closing::label`].
    pub closed: BTreeMap<&'static str, u64>,
    /// Handshakes that came to nothing, by [`Refusal::label`].
    pub refused: BTreeMap<&'static str, u64>,
    /// Datagrams and records dropped without a look inside: `not_dtls`, `bad_hello` (unreadable or in fragments),
    /// `no_session`, `too_long` (for a handshake), `backlog` (the owner does not poll).
    pub dropped: BTreeMap<&'static str, u64>,
}

pub(super) fn count(counts: &mut BTreeMap<&'static str, u64>, label: &'static str) {
    let count = counts.entry(label).or_default();
    *count = count.saturating_add(1);
}

/// Why plaintext cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The session is gone, or never was.
    #[error("there is no DTLS session with {peer}; wait until it opens one")]
    NoSession {
        /// To whom it was to go.
        peer: Peer,
    },
    /// One record holds no more.
    #[error("{length} bytes are more than the {most} that one DTLS record holds; send less at once")]
    TooLong {
        /// How many bytes were to go.
        length: usize,
        /// How many can.
        most: usize,
    },
    /// The session broke while sending and is closed.
    #[error("the DTLS session with {peer} broke while sending")]
    Broken {
        /// To whom it was to go.
        peer: Peer,
    },
}

/// Why a server or a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The identity or the key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `dimpl` refuses the settings.
    #[error("the DTLS library refuses its settings")]
    Library(#[source] dimpl::Error),
}
