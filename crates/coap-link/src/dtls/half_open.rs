//! Handshakes that are not done: how many in all and from one place, and whose turn it is to go when they are too many.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use foldhash::fast::RandomState;

use super::alarms::Alarms;
use super::hello::Random;
use super::limits::Limits;
use super::session::Session;
use crate::Identity;

/// A handshake under way.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) session: Session,
    pub(super) random: Random,
    /// The identity the client showed, and whether it is known.
    pub(super) asked: Option<Asked>,
    began: Instant,
    alarm: Instant,
}

/// An identity shown by a client that has proven nothing yet.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) identity: Identity,
    pub(super) known: bool,
}

/// Handshakes by the client's address.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    handshakes: HashMap<SocketAddr, Handshake, RandomState>,
    alarms: Alarms,
}

/// What counts as one place: an IPv4 address, or the /64 that every IPv6 host may choose addresses from.
#[derive(PartialEq, Eq)]
enum Place {
    V4(Ipv4Addr),
    V6(u128),
}

impl Place {
    fn of(address: SocketAddr) -> Self {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip.to_bits() >> 64),
        }
    }
}

impl HalfOpen {
    /// Begins a handshake at an address that has none. Where there are too many, the oldest from the same place goes, or
    /// else the oldest of all; it is returned.
    pub(super) fn begin(
        &mut self,
        address: SocketAddr,
        session: Session,
        random: Random,
        limits: &Limits,
        now: Instant,
    ) -> Option<(SocketAddr, Handshake)> {
        let evicted = self
            .surplus(&Place::of(address), limits)
            .and_then(|evicted| Some((evicted, self.take(evicted)?)));
        let mut alarm = session.wake();
        self.alarms.set(address, &mut alarm, session.wake());
        self.handshakes.insert(address, Handshake { session, random, asked: None, began: now, alarm });
        evicted
    }

    fn surplus(&self, place: &Place, limits: &Limits) -> Option<SocketAddr> {
        let neighbours = || self.handshakes.iter().filter(|&(&address, _)| Place::of(address) == *place);
        let oldest = if neighbours().count() >= limits.half_open_per_source {
            neighbours().min_by_key(|(_, handshake)| handshake.began)
        } else if self.handshakes.len() >= limits.half_open {
            self.handshakes.iter().min_by_key(|(_, handshake)| handshake.began)
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

    /// Takes the handshake of `address` out: it is done, or has failed.
    pub(super) fn take(&mut self, address: SocketAddr) -> Option<Handshake> {
        let handshake = self.handshakes.remove(&address)?;
        self.alarms.clear(address, handshake.alarm);
        Some(handshake)
    }

    /// Sets the alarm by what the session says.
    pub(super) fn wind(&mut self, address: SocketAddr) {
        if let Some(handshake) = self.handshakes.get_mut(&address) {
            let wake = handshake.session.wake();
            self.alarms.set(address, &mut handshake.alarm, wake);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.handshakes.len()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.alarms.first()
    }

    pub(super) fn due(&self, now: Instant) -> Vec<SocketAddr> {
        self.alarms.due(now)
    }
}
