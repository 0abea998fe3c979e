//! Against amplification (RFC 9175, 2.4): a large response is sent only to a verified address.
//!
//! An address is verified by a returned Echo value, by an acknowledgement of one of our messages (not by a reset, which any
//! CoAP endpoint sends), or by DTLS. An Echo value contains its own time and a keyed hash over it and the address, so no state is
//! kept for clients that do not return.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::Peer;
use crate::settings::{Settings, Unverified};

pub(super) type EchoValue = [u8; 12];

#[derive(Debug)]
pub(super) struct Echo {
    /// SipHash with a key from the system's randomness: outsiders cannot forge a value.
    key: RandomState,
    /// The epoch of the times in Echo values.
    began: Option<Instant>,
    proven: HashMap<IpAddr, Instant>,
    /// Each verified address once, oldest first.
    order: VecDeque<IpAddr>,
}

impl Echo {
    pub(super) fn new() -> Self {
        Self { key: RandomState::new(), began: None, proven: HashMap::new(), order: VecDeque::new() }
    }

    /// An Echo value for `peer`.
    pub(super) fn value(&mut self, peer: &Peer, now: Instant) -> EchoValue {
        let began = *self.began.get_or_insert(now);
        let seconds = now.saturating_duration_since(began).as_secs();
        self.sign(peer, u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Whether `value` was issued to `peer` recently.
    pub(super) fn is_fresh(&self, peer: &Peer, value: &[u8], settings: &Settings, now: Instant) -> bool {
        let Some(began) = self.began else { return false };
        let Some(seconds) = value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else { return false };
        let age = now.saturating_duration_since(began).checked_sub(Duration::from_secs(seconds.into()));
        age.is_some_and(|age| age <= settings.verified_for) && self.sign(peer, seconds) == value
    }

    fn sign(&self, peer: &Peer, seconds: u32) -> EchoValue {
        let mut value = [0; 12];
        let (time, hash) = value.split_at_mut(4);
        time.copy_from_slice(&seconds.to_be_bytes());
        hash.copy_from_slice(&self.key.hash_one((peer.address.ip(), seconds)).to_be_bytes());
        value
    }

    /// Marks the address of `peer` as verified for a while. The oldest are dropped if there are too many.
    pub(super) fn verified(&mut self, peer: &Peer, settings: &Settings, now: Instant) {
        if peer.is_secured() || settings.unverified == Unverified::Trusted {
            return;
        }
        let address = peer.address.ip();
        if self.proven.insert(address, now).is_some() {
            return;
        }
        self.order.push_back(address);
        while self.order.len() > settings.verified.max(1) {
            if let Some(oldest) = self.order.pop_front() {
                self.proven.remove(&oldest);
            }
        }
    }

    /// Whether large responses may be sent to `peer`.
    pub(super) fn is_verified(&self, peer: &Peer, settings: &Settings, now: Instant) -> bool {
        let address = peer.address.ip();
        settings.unverified == Unverified::Trusted
            || peer.is_secured()
            || address.to_canonical().is_loopback()
            || self
                .proven
                .get(&address)
                .is_some_and(|at| now.saturating_duration_since(*at) <= settings.verified_for)
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
