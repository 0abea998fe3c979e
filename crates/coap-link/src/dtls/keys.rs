//! Pre-shared keys: which identity has which. A key cannot be printed and is wiped from memory when it goes.
//!
//! `dimpl` holds a copy of the key for as long as a session lasts and does not wipe it.

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::Identity;

/// The longest key taken, in bytes. RFC 4279, 5.3, asks for 64.
const LONGEST_KEY: usize = 512;
/// The longest identity taken, in bytes. RFC 4279, 5.3, asks for 128.
pub(super) const LONGEST_IDENTITY: usize = 256;

/// A pre-shared key.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Takes a key of 1 to 512 bytes over.
    ///
    /// # Errors
    /// The key is empty or too long.
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            0 => Err(KeyError::EmptyKey),
            1..=LONGEST_KEY => Ok(Self(bytes)),
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

/// The keys a server accepts, each under the identity that its owner shows.
#[derive(Debug, Clone, Default)]
pub struct Keys(HashMap<Identity, Key, foldhash::fast::RandomState>);

impl Keys {
    /// No keys: nobody is let in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `identity` in with `key`.
    ///
    /// # Errors
    /// The identity is empty, longer than 256 bytes, or has a key already.
    pub fn insert(&mut self, identity: Identity, key: Key) -> Result<(), KeyError> {
        check(&identity)?;
        if self.0.contains_key(&identity) {
            return Err(KeyError::Twice { identity });
        }
        self.0.insert(identity, key);
        Ok(())
    }

    /// The identity as it is kept here and its key.
    pub(super) fn find(&self, identity: &[u8]) -> Option<(&Identity, &Key)> {
        self.0.get_key_value(&Identity::from(identity))
    }
}

/// Whether an identity may go over the wire.
pub(super) fn check(identity: &Identity) -> Result<(), KeyError> {
    match identity.as_bytes().len() {
        0 => Err(KeyError::EmptyIdentity),
        1..=LONGEST_IDENTITY => Ok(()),
        length => Err(KeyError::LongIdentity { length }),
    }
}

/// Why a key or its identity is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No bytes at all.
    #[error("a DTLS key is empty; give 1 to {LONGEST_KEY} bytes, 16 or more random ones")]
    EmptyKey,
    /// More than anybody uses.
    #[error("a DTLS key has {length} bytes; give 1 to {LONGEST_KEY}")]
    LongKey {
        /// Its length in bytes.
        length: usize,
    },
    /// No bytes at all.
    #[error("a DTLS identity is empty; name it as the device does")]
    EmptyIdentity,
    /// More than anybody uses.
    #[error("a DTLS identity has {length} bytes; give 1 to {LONGEST_IDENTITY}")]
    LongIdentity {
        /// Its length in bytes.
        length: usize,
    },
    /// One identity, two keys.
    #[error("the DTLS identity {identity} has two keys; leave one out")]
    Twice {
        /// The identity.
        identity: Identity,
    },
}
