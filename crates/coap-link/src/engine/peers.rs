//! What is known of each peer for as long as the exchange lifetime: its last messages, the message ids it was given,
//! and the CONs on their way to it. Bounded: those are forgotten first that were silent the longest.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::dedup::{Arrival, Recent};
use super::retransmit::Line;
use crate::Peer;
use crate::message::{Frame, Message};
use crate::settings::{EXCHANGE_LIFETIME, Settings};

/// How many peers are looked at, at most, to find one to forget.
const STEPS: usize = 64;

#[derive(Debug)]
pub(super) struct PeerState {
    last_active: Instant,
    next_id: u16,
    recent: Recent,
    pub(super) line: Line,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    states: HashMap<Peer, PeerState>,
    /// Every peer once, with a time at which it was active; those at the front were so the longest ago, or have to
    /// be asked again.
    turns: VecDeque<(Instant, Peer)>,
    /// Of all remembered answers.
    bytes: usize,
}

impl Peers {
    /// The state of `peer`, made where there is none; `None` where there is no room.
    ///
    /// `first_id` is the first message id that a new peer is given.
    pub(super) fn touch(
        &mut self,
        peer: &Peer,
        first_id: u16,
        settings: &Settings,
        now: Instant,
    ) -> Option<&mut PeerState> {
        if !self.states.contains_key(peer) {
            if self.states.len() >= settings.peers.max(1) && !self.forget_one() {
                return None;
            }
            self.turns.push_back((now, peer.clone()));
            let state = PeerState {
                last_active: now,
                next_id: first_id,
                recent: Recent::default(),
                line: Line::default(),
            };
            self.states.insert(peer.clone(), state);
        }
        let state = self.states.get_mut(peer)?;
        state.last_active = now;
        Some(state)
    }

    pub(super) fn get_mut(&mut self, peer: &Peer) -> Option<&mut PeerState> {
        self.states.get_mut(peer)
    }

    /// Remembers that `message` came from `peer`.
    pub(super) fn remember(
        &mut self,
        peer: &Peer,
        message: &Message,
        first_id: u16,
        settings: &Settings,
        now: Instant,
    ) -> Arrival {
        let Some(state) = self.touch(peer, first_id, settings, now) else { return Arrival::NoRoom };
        let before = state.recent.bytes();
        let most = settings.remembered_per_peer;
        let arrival = state.recent.remember(message.id, message.fingerprint, most, now);
        let after = state.recent.bytes();
        self.bytes = self.bytes.saturating_sub(before.saturating_sub(after));
        arrival
    }

    /// The message `id` of `peer` waits for its owner, or no longer. Meanwhile it is not forgotten.
    pub(super) fn set_waits(&mut self, peer: &Peer, id: u16, fingerprint: u64, waits: bool) {
        if let Some(state) = self.states.get_mut(peer) {
            state.recent.set_waits(id, fingerprint, waits);
        }
    }

    /// Keeps the answer to the message `id` of `peer`.
    pub(super) fn answered(&mut self, peer: &Peer, id: u16, frame: Frame, settings: &Settings) {
        let Some(state) = self.states.get_mut(peer) else { return };
        let before = state.recent.bytes();
        state.recent.answered(id, frame);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(state.recent.bytes());
        self.shed(settings.remembered_bytes);
    }

    /// Forgets answers, of those first that were silent the longest as far as a few steps tell, until at most `most`
    /// bytes are left.
    fn shed(&mut self, most: usize) {
        for step in 0..self.turns.len().saturating_add(STEPS) {
            if self.bytes <= most {
                return;
            }
            let Some((at, peer)) = self.turns.pop_front() else { return };
            let Some(state) = self.states.get_mut(&peer) else { continue };
            if state.last_active > at && step < STEPS {
                let at = state.last_active;
                self.turns.push_back((at, peer));
                continue;
            }
            let before = state.recent.bytes();
            state.recent.forget_done();
            self.bytes = self.bytes.saturating_sub(before.saturating_sub(state.recent.bytes()));
            if state.is_needed() {
                self.turns.push_back((at, peer));
            } else {
                self.states.remove(&peer);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    /// Of all remembered answers.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.turns.front().map(|(at, _)| *at + EXCHANGE_LIFETIME)
    }

    /// Forgets who was silent for the exchange lifetime.
    pub(super) fn timeout(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            let Some((_, peer)) = self.turns.pop_front() else { return };
            let Some(state) = self.states.get(&peer) else { continue };
            if state.is_needed() {
                self.turns.push_back((now, peer));
            } else if state.last_active + EXCHANGE_LIFETIME > now {
                let at = state.last_active;
                self.turns.push_back((at, peer));
            } else {
                self.forget(&peer);
            }
        }
    }

    /// Forgets the peer that was silent the longest, as far as a few steps tell.
    fn forget_one(&mut self) -> bool {
        for step in 1..=STEPS {
            let Some((at, peer)) = self.turns.pop_front() else { return false };
            let Some(state) = self.states.get(&peer) else { continue };
            let active_since = state.last_active > at && step < STEPS;
            if state.is_needed() || active_since {
                let at = state.last_active;
                self.turns.push_back((at, peer));
            } else {
                self.forget(&peer);
                return true;
            }
        }
        false
    }

    fn forget(&mut self, peer: &Peer) {
        if let Some(state) = self.states.remove(peer) {
            self.bytes = self.bytes.saturating_sub(state.recent.bytes());
        }
    }
}

impl PeerState {
    /// Something is on its way to it, or a request of it waits: it is not forgotten.
    fn is_needed(&self) -> bool {
        self.line.is_busy() || self.recent.is_waiting()
    }

    /// A message id that this peer was not given before within the exchange lifetime, up to 65,536 of them.
    pub(super) fn next_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }
}
