//! Keys for `dimpl`, and which identity a session has asked for: it tells nobody.

use std::sync::{Mutex, PoisonError};

use dimpl::PskResolver;

use super::half_open::Asked;
use super::keys::{Keys, LONGEST_IDENTITY};
use crate::Identity;

/// Looks keys up and remembers who was asked for.
pub(super) struct Resolver {
    keys: Keys,
    /// The last one asked for; taken after each call of the session that asked.
    asked: Mutex<Option<Asked>>,
}

impl Resolver {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, asked: Mutex::default() }
    }

    /// Who was asked for since the last call.
    pub(super) fn take_asked(&self) -> Option<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PskResolver for Resolver {
    /// `None` makes `dimpl` go on with a random key.
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let found = self.keys.find(identity);
        let shown = match found {
            Some((identity, _)) => identity.clone(),
            None => Identity::from(identity.get(..LONGEST_IDENTITY).unwrap_or(identity)),
        };
        let asked = Asked { identity: shown, known: found.is_some() };
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        found.map(|(_, key)| key.expose().to_vec())
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("keys", &self.keys).finish_non_exhaustive()
    }
}
