//! The state of each peer within the exchange lifetime: recent messages, message ids, and CONs in flight. Bounded: the peers
//! silent for longest are forgotten first.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::dedup::{Arrival, MessageHistory};
use super::retransmit::SendQueue;
use crate::Peer;
use crate::message::{Frame, Message};
use crate::settings::{EXCHANGE_LIFETIME, Settings};

/// The most peers examined to find one to forget.
const EVICTION_STEPS: usize = 64;

#[derive(Debug)]
pub(super) struct PeerState {
    last_active: Instant,
    next_id: u16,
    history: MessageHistory,
    pub(super) send_queue: SendQueue,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    states: HashMap<Peer, PeerState>,
    /// Each peer once, with a time of activity. Those at the front were active longest ago, or must be examined again.
    turns: VecDeque<(Instant, Peer)>,
    /// Of all remembered answers.
    bytes: usize,
}

impl Peers {
    /// The state of `peer`, created if necessary; `None` if there is no space.
    ///
    /// `first_id` is the first message id of a new peer.
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
                history: MessageHistory::default(),
                send_queue: SendQueue::default(),
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

    /// Records that `message` came from `peer`.
    pub(super) fn remember(
        &mut self,
        peer: &Peer,
        message: &Message,
        first_id: u16,
        settings: &Settings,
        now: Instant,
    ) -> Arrival {
        let Some(state) = self.touch(peer, first_id, settings, now) else { return Arrival::Full };
        let before = state.history.bytes();
        let most = settings.remembered_per_peer;
        let arrival = state.history.remember(message.id, message.fingerprint, most, now);
        let after = state.history.bytes();
        self.bytes = self.bytes.saturating_sub(before.saturating_sub(after));
        arrival
    }

    /// Sets whether message `id` of `peer` waits for the owner. Until it is answered, it is not forgotten.
    pub(super) fn set_pending(&mut self, peer: &Peer, id: u16, fingerprint: u64, is_pending: bool) {
        if let Some(state) = self.states.get_mut(peer) {
            state.history.set_pending(id, fingerprint, is_pending);
        }
    }

    /// Stores the answer to message `id` of `peer`.
    pub(super) fn answered(&mut self, peer: &Peer, id: u16, frame: Frame, settings: &Settings) {
        let Some(state) = self.states.get_mut(peer) else { return };
        let before = state.history.bytes();
        state.history.answered(id, frame);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(state.history.bytes());
        self.evict_answers(settings.remembered_bytes);
    }

    /// Drops stored answers until at most `most` bytes are left, approximately those of the longest silent peers first.
    fn evict_answers(&mut self, most: usize) {
        for step in 0..self.turns.len().saturating_add(EVICTION_STEPS) {
            if self.bytes <= most {
                return;
            }
            let Some((at, peer)) = self.turns.pop_front() else { return };
            let Some(state) = self.states.get_mut(&peer) else { continue };
            if state.last_active > at && step < EVICTION_STEPS {
                let at = state.last_active;
                self.turns.push_back((at, peer));
                continue;
            }
            let before = state.history.bytes();
            state.history.forget_answered();
            self.bytes = self.bytes.saturating_sub(before.saturating_sub(state.history.bytes()));
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

    /// Forgets the peers that were silent for the exchange lifetime.
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

    /// Forgets approximately the peer that was silent for longest.
    fn forget_one(&mut self) -> bool {
        for step in 1..=EVICTION_STEPS {
            let Some((at, peer)) = self.turns.pop_front() else { return false };
            let Some(state) = self.states.get(&peer) else { continue };
            let active_since = state.last_active > at && step < EVICTION_STEPS;
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
            self.bytes = self.bytes.saturating_sub(state.history.bytes());
        }
    }
}

impl PeerState {
    /// A CON is in flight or a request waits for the owner: it must not be forgotten.
    fn is_needed(&self) -> bool {
        self.send_queue.is_busy() || self.history.is_waiting()
    }

    /// A message id that was not used for this peer within the exchange lifetime, up to 65,536 of them.
    pub(super) fn next_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }
}
