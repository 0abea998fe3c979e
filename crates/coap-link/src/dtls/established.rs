//! Sessions that stand: one an address, so many in all and of one identity, and which goes when a peer needs room.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::alarms::Alarms;
use super::hello::Random;
use super::limits::Limits;
use super::session::Session;
use crate::{Identity, Peer};

/// A session that stands.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) identity: Identity,
    pub(super) random: Random,
    /// When the peer was last heard: a datagram that its keys have opened.
    heard: Instant,
    alarm: Instant,
}

/// Sessions by the peer's address.
#[derive(Debug, Default)]
pub(super) struct Established {
    sessions: HashMap<SocketAddr, Open, RandomState>,
    of_identity: HashMap<Identity, usize, RandomState>,
    alarms: Alarms,
}

/// What a new session of an identity costs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Nothing.
    Free,
    /// The session at this address.
    Instead(SocketAddr),
    /// There is none.
    None,
}

impl Established {
    /// Whether a peer of `identity` can have a session at `address`. One identity alone can never fill the table.
    pub(super) fn room(
        &self,
        address: SocketAddr,
        identity: Option<&Identity>,
        limits: &Limits,
        now: Instant,
    ) -> Room {
        if self.sessions.contains_key(&address) {
            return Room::Free;
        }
        if let Some(identity) = identity
            && self.of_identity.get(identity).copied().unwrap_or(0) >= limits.sessions_per_identity
        {
            let its = self.sessions.iter().filter(|(_, open)| open.identity == *identity);
            return its
                .min_by_key(|(_, open)| open.heard)
                .map_or(Room::None, |(&address, _)| Room::Instead(address));
        }
        if self.sessions.len() < limits.sessions {
            return Room::Free;
        }
        self.sessions
            .iter()
            .min_by_key(|(_, open)| open.heard)
            .filter(|(_, open)| now.saturating_duration_since(open.heard) >= limits.evict_after)
            .map_or(Room::None, |(&address, _)| Room::Instead(address))
    }

    /// Puts a session at an address that has none.
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
        self.sessions.insert(address, Open { session, identity, random, heard: now, alarm: now });
    }

    pub(super) fn get(&self, address: SocketAddr) -> Option<&Open> {
        self.sessions.get(&address)
    }

    pub(super) fn get_mut(&mut self, address: SocketAddr) -> Option<&mut Open> {
        self.sessions.get_mut(&address)
    }

    /// The session with `peer`, as far as it is the one meant.
    pub(super) fn of_peer(&mut self, peer: &Peer) -> Option<&mut Open> {
        self.sessions.get_mut(&peer.address).filter(|open| Some(&open.identity) == peer.identity.as_ref())
    }

    /// Takes the session at `address` out.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<Open> {
        let open = self.sessions.remove(&address)?;
        self.alarms.clear(address, open.alarm);
        if let Some(count) = self.of_identity.get_mut(&open.identity) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_identity.remove(&open.identity);
            }
        }
        Some(open)
    }

    /// Sets the alarm: the session's own or the end of its patience, whichever is first.
    pub(super) fn wind(&mut self, address: SocketAddr, limits: &Limits) {
        if let Some(open) = self.sessions.get_mut(&address) {
            let wake = open.session.wake();
            let at = open.heard.checked_add(limits.idle).map_or(wake, |idle| idle.min(wake));
            self.alarms.set(address, &mut open.alarm, at);
        }
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sessions.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.alarms.first()
    }

    pub(super) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.alarms.due(now)
    }
}

impl Open {
    /// The peer was heard.
    pub(super) const fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Whether nothing was heard for as long as we wait.
    pub(super) fn is_idle(&self, limits: &Limits, now: Instant) -> bool {
        now.saturating_duration_since(self.heard) >= limits.idle
    }
}
