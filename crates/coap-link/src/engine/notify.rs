//! Sends notifications to observers (RFC 7641, 4): mostly NON, sometimes CON to check that the observer is alive.

use std::time::Instant;

use super::Engine;
use super::observe::{NotifyMethod, ObserverId};
use super::retransmit::{Outcome, QueuedMessage};
use super::{Output, Peer};
use crate::message::{Kind, Token};
use crate::response::Response;

impl Engine {
    /// Sends the new state of `resource` to all its observers; returns their number.
    ///
    /// An observer with a CON in flight is sent the newest state after that has been acknowledged. A response with an error
    /// code ends the observations.
    pub fn notify(&mut self, resource: &str, response: Response, now: Instant) -> usize {
        let observers = self.observers.set_state(resource, response);
        for id in &observers {
            self.notify_one(*id, now);
        }
        observers.len()
    }

    /// The number of observers of `resource`.
    #[must_use]
    pub fn observers(&self, resource: &str) -> usize {
        self.observers.count(resource)
    }

    fn notify_one(&mut self, id: ObserverId, now: Instant) {
        match self.observers.choose_method(id, &self.settings, now) {
            NotifyMethod::Deferred => {}
            NotifyMethod::NonConfirmable(peer) => self.notify_non_confirmable(&peer, id, now),
            NotifyMethod::Confirmable(peer) => {
                if self.confirm(&peer, QueuedMessage::Notification(id), now).is_err() {
                    // The send queue of the peer is full: better a NON than none.
                    self.observers.send_failed(id);
                    self.notify_non_confirmable(&peer, id, now);
                    if self.observers.is_over(id) {
                        self.observer_gone(&peer, id);
                    }
                }
            }
        }
    }

    fn notify_non_confirmable(&mut self, peer: &Peer, id: ObserverId, now: Instant) {
        let first_id = self.random_id();
        let Some(state) = self.peers.touch(peer, first_id, &self.settings, now) else {
            self.counters.dropped += 1;
            return;
        };
        let message = state.next_id();
        if let Some(mut frame) = self.observers.frame(id, Kind::NonConfirmable, now) {
            frame.id = message;
            self.observers.notified(id, message);
            self.send(peer, frame);
        }
    }

    /// The CON to an observer was acknowledged, reset, or has timed out.
    pub(super) fn notification_confirmed(
        &mut self,
        peer: &Peer,
        id: ObserverId,
        outcome: Outcome,
        now: Instant,
    ) {
        match outcome {
            Outcome::Acknowledged => {
                if self.observers.confirmed(id) {
                    self.notify_one(id, now);
                } else if self.observers.is_over(id) {
                    self.observer_gone(peer, id);
                }
            }
            Outcome::Reset => self.observer_gone(peer, id),
            // The peer is gone: its other observations would time out too, minutes later.
            Outcome::TimedOut => {
                for id in self.observers.of_peer(peer) {
                    self.observer_gone(peer, id);
                }
            }
        }
    }

    pub(super) fn forget_observer(&mut self, peer: &Peer, token: Token) {
        if let Some(id) = self.observers.by_token(peer, token) {
            self.observer_gone(peer, id);
        }
    }

    pub(super) fn observer_gone(&mut self, peer: &Peer, id: ObserverId) {
        if let Some(resource) = self.observers.remove(id) {
            self.emit(Output::ObserverGone { peer: peer.clone(), resource: resource.to_string() });
        }
    }
}
