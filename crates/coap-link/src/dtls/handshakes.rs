//! Unfinished handshakes: bounded in total and per network, with a rule which one is evicted.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use foldhash::fast::RandomState;

use super::hello::Random;
use super::limits::Limits;
use super::session::Session;
use crate::Identity;
use crate::deadlines::Deadlines;

/// An unfinished handshake.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) session: Session,
    pub(super) random: Random,
    /// The identity that the client has shown.
    pub(super) claim: Option<ClaimedIdentity>,
    started: Instant,
    timer_at: Instant,
}

/// An identity shown by a client that has not proven it.
#[derive(Debug, Clone)]
pub(super) struct ClaimedIdentity {
    pub(super) identity: Identity,
    pub(super) known: bool,
}

/// Unfinished handshakes by client address.
#[derive(Debug, Default)]
pub(super) struct HandshakeTable {
    handshakes: HashMap<SocketAddr, Handshake, RandomState>,
    timers: Deadlines<SocketAddr>,
}

/// An IPv4 address or an IPv6 /64, in which a host may choose any address.
#[derive(PartialEq, Eq)]
enum NetworkPrefix {
    V4(Ipv4Addr),
    V6(u128),
}

impl NetworkPrefix {
    fn of(address: SocketAddr) -> Self {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip.to_bits() >> 64),
        }
    }
}

impl HandshakeTable {
    /// Adds a handshake at an address that has none. If there are too many, it evicts and returns the oldest of the same
    /// network, or else the oldest of all.
    pub(super) fn insert(
        &mut self,
        address: SocketAddr,
        session: Session,
        random: Random,
        limits: &Limits,
        now: Instant,
    ) -> Option<(SocketAddr, Handshake)> {
        let evicted = self
            .find_surplus(&NetworkPrefix::of(address), limits)
            .and_then(|evicted| Some((evicted, self.remove(evicted)?)));
        let timer_at = session.next_timeout();
        self.timers.set(timer_at, address);
        self.handshakes.insert(address, Handshake { session, random, claim: None, started: now, timer_at });
        evicted
    }

    fn find_surplus(&self, place: &NetworkPrefix, limits: &Limits) -> Option<SocketAddr> {
        let neighbours =
            || self.handshakes.iter().filter(|&(&address, _)| NetworkPrefix::of(address) == *place);
        let oldest = if neighbours().count() >= limits.half_open_per_source {
            neighbours().min_by_key(|(_, handshake)| handshake.started)
        } else if self.handshakes.len() >= limits.half_open {
            self.handshakes.iter().min_by_key(|(_, handshake)| handshake.started)
        } else {
            None
        };
        oldest.map(|(&address, _)| address)
    }

    pub(super) fn get(&self, address: SocketAddr) -> Option<&Handshake> {
        self.handshakes.get(&address)
    }

    pub(super) fn get_mut(&mut self, address: SocketAddr) -> Option<&mut Handshake> {
        self.handshakes.get_mut(&address)
    }

    pub(super) fn remove(&mut self, address: SocketAddr) -> Option<Handshake> {
        let handshake = self.handshakes.remove(&address)?;
        self.timers.cancel(handshake.timer_at, address);
        Some(handshake)
    }

    /// Sets the timer to the session's time-out.
    pub(super) fn set_timer(&mut self, address: SocketAddr) {
        if let Some(handshake) = self.handshakes.get_mut(&address) {
            let next_timeout = handshake.session.next_timeout();
            self.timers.change(&mut handshake.timer_at, next_timeout, address);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.handshakes.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.timers.all_due(now)
    }
}
