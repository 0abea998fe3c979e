//! Looks up keys for `dimpl` and records the identity that was asked for, which `dimpl` does not report.

use std::sync::{Mutex, PoisonError};

use dimpl::PskResolver;

use super::handshakes::ClaimedIdentity;
use super::keys::{Keys, MAX_IDENTITY};
use crate::Identity;

pub(super) struct ServerKeyResolver {
    keys: Keys,
    /// The last identity asked for; taken after each call of the session that asked.
    claim: Mutex<Option<ClaimedIdentity>>,
}

impl ServerKeyResolver {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, claim: Mutex::default() }
    }

    /// The identity asked for since the last call.
    pub(super) fn take_claim(&self) -> Option<ClaimedIdentity> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PskResolver for ServerKeyResolver {
    /// With `None` `dimpl` continues with a random key.
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let found = self.keys.find(identity);
        let shown = match found {
            Some((identity, _)) => identity.clone(),
            None => Identity::from(identity.get(..MAX_IDENTITY).unwrap_or(identity)),
        };
        let claim = ClaimedIdentity { identity: shown, known: found.is_some() };
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
        found.map(|(_, key)| key.expose().to_vec())
    }
}

impl std::fmt::Debug for ServerKeyResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").field("keys", &self.keys).finish_non_exhaustive()
    }
}
