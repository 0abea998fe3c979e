//! Who is at the other end: an address and, where DTLS has proven one, an identity.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of an exchange.
///
/// Two peers are the same only if both address and identity are: what arrives in the clear from an address never
/// belongs to the DTLS session of that address (RFC 7252, 9.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Where datagrams come from and go to.
    pub address: SocketAddr,
    /// Whose key opened the DTLS session; `None` in the clear.
    pub identity: Option<Identity>,
}

impl Peer {
    /// A peer without DTLS: nothing but its address is known.
    #[must_use]
    pub const fn in_the_clear(address: SocketAddr) -> Self {
        Self { address, identity: None }
    }

    /// A peer behind a DTLS session that `identity`'s key has opened.
    #[must_use]
    pub const fn secured(address: SocketAddr, identity: Identity) -> Self {
        Self { address, identity: Some(identity) }
    }

    /// Whether a DTLS session protects what this peer says.
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

/// A PSK identity (RFC 4279, 5.1): bytes, by custom UTF-8 text. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<[u8]>);

impl Identity {
    /// The identity's bytes, as they go over the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The identity as text, where it is UTF-8.
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

/// Printable ASCII as it is, everything else escaped: an identity comes from outside and goes into logs.
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
