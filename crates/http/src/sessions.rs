//! Who is logged in: a random token in a cookie, of which only the hash is kept. In memory alone: a restart logs all out.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::BoundedMap;
use sha2::{Digest as _, Sha256};

use crate::config::Role;

/// The cookie's name.
pub(crate) const COOKIE: &str = "riser_session";

/// Sessions at once; a login too many ends the oldest.
const MOST: usize = 1024;

type Hash = [u8; 32];

#[derive(Debug)]
struct Session {
    role: Role,
    used: Instant,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_hash: BoundedMap<Hash, Session>,
    lasts: Duration,
}

impl Sessions {
    /// Each ends when it was not used for so long.
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { by_hash: BoundedMap::new(MOST), lasts }
    }

    /// A new session's token.
    pub(crate) fn begin(&mut self, role: Role, now: Instant) -> String {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        self.by_hash.insert(hash(&token), Session { role, used: now });
        token
    }

    /// The role of the session with this token.
    pub(crate) fn role(&mut self, token: &str, now: Instant) -> Option<Role> {
        let hash = hash(token);
        let session = self.by_hash.get_mut(&hash)?;
        if now.duration_since(session.used) > self.lasts {
            self.by_hash.remove(&hash);
            return None;
        }
        session.used = now;
        Some(session.role)
    }

    pub(crate) fn end(&mut self, token: &str) {
        self.by_hash.remove(&hash(token));
    }
}

/// A search by hash shows nothing of other tokens by the time it takes.
fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use pipeline::clock::monotonic;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_ends_when_it_is_ended_or_not_used_for_long() {
        let now = monotonic();
        let mut sessions = Sessions::new(HOUR);
        let one = sessions.begin(Role::View, now);
        let two = sessions.begin(Role::Operate, now);
        assert_eq!(sessions.role(&one, now), Some(Role::View));
        sessions.end(&one);
        assert_eq!(sessions.role(&one, now), None);
        assert_eq!(sessions.role(&two, now + HOUR), Some(Role::Operate));
        assert_eq!(sessions.role(&two, now + 2 * HOUR), Some(Role::Operate));
        assert_eq!(sessions.role(&two, now + 4 * HOUR), None);
        assert_eq!(sessions.role("made up", now), None);
    }

    #[test]
    fn the_oldest_session_ends_when_there_are_too_many() {
        let now = monotonic();
        let mut sessions = Sessions::new(HOUR);
        let first = sessions.begin(Role::View, now);
        let second = sessions.begin(Role::View, now);
        for _ in 2..=MOST {
            sessions.begin(Role::View, now);
        }
        assert_eq!(sessions.role(&first, now), None);
        assert_eq!(sessions.role(&second, now), Some(Role::View));
    }
}
