//! The other endpoint: its address and, with DTLS, its authenticated identity.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

///
/// Peers are equal only if both address and identity are: a datagram without DTLS from an address never belongs to the
/// DTLS session of that address (RFC 7252, 9.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    pub address: SocketAddr,
    /// The identity of the DTLS session; `None` without DTLS.
    pub identity: Option<Identity>,
}

impl Peer {
    /// A peer without DTLS (mode NoSec): only its address is known.
    #[must_use]
    pub const fn unsecured(address: SocketAddr) -> Self {
        Self { address, identity: None }
    }

    /// A peer in a DTLS session that was opened with the key of `identity`.
    #[must_use]
    pub const fn secured(address: SocketAddr, identity: Identity) -> Self {
        Self { address, identity: Some(identity) }
    }

    /// Whether a DTLS session protects its messages.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.identity.is_some()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{identity} at {}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

/// A PSK identity (RFC 4279, 5.1): bytes, usually UTF-8 text. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<[u8]>);

impl Identity {
    /// The bytes as sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&[u8]> for Identity {
    fn from(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl From<&str> for Identity {
    fn from(text: &str) -> Self {
        Self(Arc::from(text.as_bytes()))
    }
}

/// Escapes all but printable ASCII, because an identity comes from outside and is logged.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(\"{self}\")")
    }
}
