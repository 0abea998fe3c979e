//! Telling observers (RFC 7641, 4): each NON after NON, now and then a CON that shows whether it is still there.

use std::time::Instant;

use super::Engine;
use super::observe::{How, ObserverId};
use super::retransmit::{Outcome, Waiting};
use super::{Output, Peer};
use crate::message::{Kind, Token};
use crate::response::Response;

impl Engine {
    /// Tells all observers of `resource` its new state; how many there are.
    ///
    /// An observer that a CON is under way to is told when that has arrived, of the newest state then. A response
    /// with an error code is the last that they hear: they are observers no longer once it has arrived.
    pub fn notify(&mut self, resource: &str, response: Response, now: Instant) -> usize {
        let observers = self.observers.news(resource, response);
        for id in &observers {
            self.notify_one(*id, now);
        }
        observers.len()
    }

    /// How many observe `resource`.
    #[must_use]
    pub fn observers(&self, resource: &str) -> usize {
        self.observers.count(resource)
    }

    fn notify_one(&mut self, id: ObserverId, now: Instant) {
        match self.observers.how(id, &self.settings, now) {
            How::Later => {}
            How::Plainly(peer) => self.notify_plainly(&peer, id, now),
            How::Confirmed(peer) => {
                if self.confirm(&peer, Waiting::Notification(id), now).is_err() {
                    // Too much waits for this peer already: better told without a receipt than not at all.
                    self.observers.unsent(id);
                    self.notify_plainly(&peer, id, now);
                    if self.observers.is_over(id) {
                        self.observer_gone(&peer, id);
                    }
                }
            }
        }
    }

    fn notify_plainly(&mut self, peer: &Peer, id: ObserverId, now: Instant) {
        let first_id = self.random_id();
        let Some(state) = self.peers.touch(peer, first_id, &self.settings, now) else {
            self.counters.dropped += 1;
            return;
        };
        let message = state.next_id();
        if let Some(mut frame) = self.observers.frame(id, Kind::NonConfirmable, now) {
            frame.id = message;
            self.observers.told(id, message);
            self.send(peer, frame);
        }
    }

    /// The CON to an observer has arrived, or not.
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
            // Nobody is there: what else it observes would only end the same way, minutes later each.
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
            self.tell(Output::ObserverGone { peer: peer.clone(), resource: resource.to_string() });
        }
    }
}
