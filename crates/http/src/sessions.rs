//! Who is logged in: a random token in a cookie, of which only the hash is kept. In memory alone: a restart logs all out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway_core::network;
use sha2::{Digest as _, Sha256};

use crate::config::Role;

/// The cookie's name.
pub(crate) const COOKIE: &str = "riser_session";

/// Sessions at once; a login too many ends the oldest one of the address that has most, so that who logs in again and again
/// ends sessions of its own.
const MOST: usize = 1024;

type Hash = [u8; 32];

#[derive(Debug)]
struct Session {
    role: Role,
    used: Instant,
    /// Of its login.
    peer: IpAddr,
    /// Grows with each login.
    number: u64,
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_hash: HashMap<Hash, Session>,
    next: u64,
    lasts: Duration,
}

impl Sessions {
    /// Each ends when it was not used for so long.
    pub(crate) fn new(lasts: Duration) -> Self {
        Self { by_hash: HashMap::new(), next: 0, lasts }
    }

    /// A new session's token.
    pub(crate) fn begin(&mut self, role: Role, peer: IpAddr, now: Instant) -> String {
        if self.by_hash.len() >= MOST {
            self.make_room(now);
        }
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let number = self.next;
        self.next += 1;
        self.by_hash.insert(hash(&token), Session { role, used: now, peer: network(peer), number });
        token
    }

    /// Ends what has run out; if nothing has, one session.
    fn make_room(&mut self, now: Instant) {
        let lasts = self.lasts;
        self.by_hash.retain(|_, session| now.duration_since(session.used) <= lasts);
        if self.by_hash.len() < MOST {
            return;
        }
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for session in self.by_hash.values() {
            *counts.entry(session.peer).or_default() += 1;
        }
        let most = |session: &Session| counts.get(&session.peer).copied().unwrap_or(0);
        let given_up = self.by_hash.iter().max_by_key(|(_, one)| (most(one), Reverse(one.number)));
        if let Some(hash) = given_up.map(|(hash, _)| *hash) {
            self.by_hash.remove(&hash);
        }
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

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_ends_when_it_is_ended_or_not_used_for_long() {
        let now = monotonic();
        let mut sessions = Sessions::new(HOUR);
        let one = sessions.begin(Role::View, PEER, now);
        let two = sessions.begin(Role::Operate, PEER, now);
        assert_eq!(sessions.role(&one, now), Some(Role::View));
        sessions.end(&one);
        assert_eq!(sessions.role(&one, now), None);
        assert_eq!(sessions.role(&two, now + HOUR), Some(Role::Operate));
        assert_eq!(sessions.role(&two, now + 2 * HOUR), Some(Role::Operate));
        assert_eq!(sessions.role(&two, now + 4 * HOUR), None);
        assert_eq!(sessions.role("made up", now), None);
    }

    #[test]
    fn where_there_are_too_many_the_oldest_of_who_has_most_ends() {
        let now = monotonic();
        let mut sessions = Sessions::new(HOUR);
        let other = sessions.begin(Role::Operate, [192, 0, 2, 1].into(), now);
        let first = sessions.begin(Role::View, PEER, now);
        let second = sessions.begin(Role::View, PEER, now);
        for _ in 3..=MOST {
            sessions.begin(Role::View, PEER, now);
        }
        assert_eq!(sessions.role(&first, now), None);
        assert_eq!(sessions.role(&second, now), Some(Role::View));
        assert_eq!(sessions.role(&other, now), Some(Role::Operate));
        assert_eq!(sessions.by_hash.len(), MOST);
        let later = now + 2 * HOUR;
        sessions.begin(Role::View, PEER, later);
        assert_eq!(sessions.by_hash.len(), 1, "those that have run out go first");
    }
}
