//! The established sessions: one per address, bounded in total and per identity, with a rule which one is evicted.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::hello::Random;
use super::limits::Limits;
use super::session::Session;
use crate::deadlines::Deadlines;
use crate::{Identity, Peer};

#[derive(Debug)]
pub(super) struct OpenSession {
    pub(super) session: Session,
    pub(super) identity: Identity,
    pub(super) random: Random,
    /// When the last datagram arrived that decrypted correctly.
    last_seen: Instant,
    timer_at: Instant,
}

/// The established sessions by peer address.
#[derive(Debug, Default)]
pub(super) struct SessionTable {
    sessions: HashMap<SocketAddr, OpenSession, RandomState>,
    of_identity: HashMap<Identity, usize, RandomState>,
    timers: Deadlines<SocketAddr>,
}

/// Whether a new session of an identity fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Capacity {
    /// It fits.
    Free,
    /// It fits if the session at this address is closed.
    Evict(SocketAddr),
    /// It does not fit.
    None,
}

impl SessionTable {
    /// Whether a peer with `identity` can have a session at `address`. One identity alone cannot fill the table.
    pub(super) fn capacity(
        &self,
        address: SocketAddr,
        identity: Option<&Identity>,
        limits: &Limits,
        now: Instant,
    ) -> Capacity {
        if self.sessions.contains_key(&address) {
            return Capacity::Free;
        }
        if let Some(identity) = identity
            && self.of_identity.get(identity).copied().unwrap_or(0) >= limits.sessions_per_identity
        {
            let its = self.sessions.iter().filter(|(_, open)| open.identity == *identity);
            return its
                .min_by_key(|(_, open)| open.last_seen)
                .map_or(Capacity::None, |(&address, _)| Capacity::Evict(address));
        }
        if self.sessions.len() < limits.sessions {
            return Capacity::Free;
        }
        self.sessions
            .iter()
            .min_by_key(|(_, open)| open.last_seen)
            .filter(|(_, open)| now.saturating_duration_since(open.last_seen) >= limits.evict_after)
            .map_or(Capacity::None, |(&address, _)| Capacity::Evict(address))
    }

    /// Adds a session at an address that has none.
    pub(super) fn insert(
        &mut self,
        address: SocketAddr,
        session: Session,
        identity: Identity,
        random: Random,
        now: Instant,
    ) {
        let count = self.of_identity.entry(identity.clone()).or_default();
        *count = count.saturating_add(1);
        self.sessions
            .insert(address, OpenSession { session, identity, random, last_seen: now, timer_at: now });
    }

    pub(super) fn get(&self, address: SocketAddr) -> Option<&OpenSession> {
        self.sessions.get(&address)
    }

    pub(super) fn get_mut(&mut self, address: SocketAddr) -> Option<&mut OpenSession> {
        self.sessions.get_mut(&address)
    }

    /// The session with `peer`, if address and identity match.
    pub(super) fn of_peer(&mut self, peer: &Peer) -> Option<&mut OpenSession> {
        self.sessions.get_mut(&peer.address).filter(|open| Some(&open.identity) == peer.identity.as_ref())
    }

    pub(super) fn remove(&mut self, address: SocketAddr) -> Option<OpenSession> {
        let open = self.sessions.remove(&address)?;
        self.timers.cancel(open.timer_at, address);
        if let Some(count) = self.of_identity.get_mut(&open.identity) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_identity.remove(&open.identity);
            }
        }
        Some(open)
    }

    /// Sets the timer to the session's own time-out or the idle limit, whichever is first.
    pub(super) fn set_timer(&mut self, address: SocketAddr, limits: &Limits) {
        if let Some(open) = self.sessions.get_mut(&address) {
            let next_timeout = open.session.next_timeout();
            let at =
                open.last_seen.checked_add(limits.idle).map_or(next_timeout, |idle| idle.min(next_timeout));
            self.timers.change(&mut open.timer_at, at, address);
        }
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sessions.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.timers.all_due(now)
    }
}

impl OpenSession {
    /// Records that the peer is alive.
    pub(super) const fn touch(&mut self, now: Instant) {
        self.last_seen = now;
    }

    /// Whether nothing was received within the idle limit.
    pub(super) fn is_idle(&self, limits: &Limits, now: Instant) -> bool {
        now.saturating_duration_since(self.last_seen) >= limits.idle
    }
}
