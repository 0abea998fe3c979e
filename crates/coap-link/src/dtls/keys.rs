//! Pre-shared keys by identity. A key cannot be printed and is wiped from memory when it is dropped.
//!
//! `dimpl` keeps a copy of the key for the lifetime of a session and does not wipe it.

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::Identity;

/// In bytes. RFC 4279, 5.3, demands at least 64.
const MAX_KEY: usize = 512;
/// In bytes. RFC 4279, 5.3, demands at least 128.
pub(super) const MAX_IDENTITY: usize = 256;

/// A pre-shared key.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Takes ownership of a key of 1 to 512 bytes.
    ///
    /// # Errors
    /// If the key is empty or too long.
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            0 => Err(KeyError::EmptyKey),
            1..=MAX_KEY => Ok(Self(bytes)),
            length => Err(KeyError::LongKey { length }),
        }
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The keys that a server accepts, by identity.
#[derive(Debug, Clone, Default)]
pub struct Keys(HashMap<Identity, Key, foldhash::fast::RandomState>);

impl Keys {
    /// Without keys every client is refused.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts `identity` with `key`.
    ///
    /// # Errors
    /// If the identity is empty, longer than 256 bytes, or has a key already.
    pub fn insert(&mut self, identity: Identity, key: Key) -> Result<(), KeyError> {
        check(&identity)?;
        if self.0.contains_key(&identity) {
            return Err(KeyError::Twice { identity });
        }
        self.0.insert(identity, key);
        Ok(())
    }

    pub(super) fn find(&self, identity: &[u8]) -> Option<(&Identity, &Key)> {
        self.0.get_key_value(&Identity::from(identity))
    }
}

/// Checks the length of an identity.
pub(super) fn check(identity: &Identity) -> Result<(), KeyError> {
    match identity.as_bytes().len() {
        0 => Err(KeyError::EmptyIdentity),
        1..=MAX_IDENTITY => Ok(()),
        length => Err(KeyError::LongIdentity { length }),
    }
}

/// Why a key or an identity is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a DTLS key is empty; give 1 to {MAX_KEY} bytes, 16 or more random ones")]
    EmptyKey,
    #[error("a DTLS key has {length} bytes; give 1 to {MAX_KEY}")]
    LongKey { length: usize },
    #[error("a DTLS identity is empty; name it as the device does")]
    EmptyIdentity,
    #[error("a DTLS identity has {length} bytes; give 1 to {MAX_IDENTITY}")]
    LongIdentity { length: usize },
    #[error("the DTLS identity {identity} has two keys; leave one out")]
    Twice { identity: Identity },
}
