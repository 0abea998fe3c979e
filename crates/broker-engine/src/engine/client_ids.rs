//! Which session a client goes on with.
//!
//! A session belongs to a user and a client id: each user has client ids of his own. So a client id, which is no secret, gives
//! nobody another user's messages, ends nobody's connection, and cannot be taken away from anybody (MQTT 5, section 5.4.2).

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{Engine, SessionKey};

/// The sessions of each client id: mostly one, at most one of each user.
#[derive(Debug, Default)]
pub(crate) struct ClientIds {
    sessions: HashMap<Arc<str>, SmallVec<[SessionKey; 1]>, RandomState>,
}

impl ClientIds {
    pub(crate) fn of(&self, client: &str) -> &[SessionKey] {
        self.sessions.get(client).map_or(&[], |sessions| sessions.as_slice())
    }

    /// Adding a session again changes nothing.
    pub(crate) fn insert(&mut self, client: Arc<str>, key: SessionKey) {
        let sessions = self.sessions.entry(client).or_default();
        if !sessions.contains(&key) {
            sessions.push(key);
        }
    }

    pub(crate) fn remove(&mut self, client: &str, key: SessionKey) {
        let Some(sessions) = self.sessions.get_mut(client) else { return };
        sessions.retain(|one| *one != key);
        if sessions.is_empty() {
            self.sessions.remove(client);
        }
    }
}

impl Engine {
    /// The user's session with this client id. If there is none: that of nobody, or of a user that is no longer configured, which
    /// goes to whoever asks, so that a device keeps its session when it gets a user name.
    pub(crate) fn session_of(&self, client: &str, user: Option<&Arc<str>>) -> Option<SessionKey> {
        let sessions = self.by_client_id.of(client);
        let owner = |key: &SessionKey| self.sessions.get(*key).map(|session| session.user.as_ref());
        let own = sessions.iter().find(|key| owner(key) == Some(user));
        let has_no_owner = |key: &&SessionKey| {
            owner(key).is_some_and(|owner| owner.is_none_or(|one| !self.policy.admits(Some(one))))
        };
        own.or_else(|| sessions.iter().find(has_no_owner)).copied()
    }

    /// Whether a client with this id is connected, whoever its user is.
    #[must_use]
    pub fn is_connected(&self, client: &str) -> bool {
        let sessions = self.by_client_id.of(client).iter().filter_map(|key| self.sessions.get(*key));
        sessions.into_iter().any(|session| session.connection.is_some())
    }
}
