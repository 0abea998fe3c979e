//! Confirmable messages on their way out (RFC 7252, 4.2 and 4.7): sent again with growing pauses until acknowledged,
//! one at a time to each peer (NSTART), the others waiting in a bounded line.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::observe::ObserverId;
use super::{Engine, ExchangeId};
use crate::Peer;
use crate::message::{Frame, Kind};
use crate::settings::Settings;

/// What a confirmable message is for: who wants to know how it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A response that follows its acknowledgement: nobody.
    Response,
    Notification(ObserverId),
    Request(ExchangeId),
}

/// A message that waits for its turn.
#[derive(Debug)]
pub(super) enum Waiting {
    /// This one; it gets its message id when its turn comes.
    Message(Frame, Purpose),
    /// Whatever is news then.
    Notification(ObserverId),
}

#[derive(Debug)]
struct Transmission {
    serial: u64,
    frame: Frame,
    purpose: Purpose,
    /// How often it was sent again.
    repeated: u32,
    timeout: Duration,
    due: Instant,
}

/// The confirmable messages to one peer.
#[derive(Debug, Default)]
pub(super) struct Line {
    in_flight: Option<Box<Transmission>>,
    waiting: VecDeque<Waiting>,
    /// Answers that will have to wait here: their requests were acknowledged without them.
    promised: usize,
}

/// No room in the line: the message is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineFull;

/// How the other side took a confirmable message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Acknowledged,
    Reset,
    /// It was not answered, however often it was sent.
    TimedOut,
}

impl Line {
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.is_some() || !self.waiting.is_empty()
    }

    /// Whether one more may wait, and all that is promised still has its place.
    fn has_room(&self, settings: &Settings) -> bool {
        self.waiting.len().saturating_add(self.promised) < settings.queue_per_peer.max(1)
    }
}

impl Engine {
    /// Sends a confirmable message, or lines it up behind those to the same peer.
    pub(super) fn confirm(&mut self, peer: &Peer, message: Waiting, now: Instant) -> Result<(), LineFull> {
        let first_id = self.rng.random();
        let state = self.peers.touch(peer, first_id, &self.settings, now).ok_or(LineFull)?;
        if !state.line.has_room(&self.settings) {
            return Err(LineFull);
        }
        if state.line.is_busy() {
            state.line.waiting.push_back(message);
        } else {
            self.start(peer, message, now);
        }
        Ok(())
    }

    /// Keeps a place in the line for the answer to a request that is acknowledged without it; whether there is one.
    pub(super) fn promise_answer(&mut self, peer: &Peer) -> bool {
        let Some(state) = self.peers.get_mut(peer) else { return false };
        let has_room = state.line.has_room(&self.settings);
        state.line.promised = state.line.promised.saturating_add(usize::from(has_room));
        has_room
    }

    /// The place is used now, or no longer needed.
    pub(super) fn end_promise(&mut self, peer: &Peer) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.line.promised = state.line.promised.saturating_sub(1);
        }
    }

    /// Sends what is first in line, if nothing is in flight.
    fn start_next(&mut self, peer: &Peer, now: Instant) {
        loop {
            let Some(state) = self.peers.get_mut(peer) else { return };
            if state.line.in_flight.is_some() {
                return;
            }
            let Some(waiting) = state.line.waiting.pop_front() else { return };
            if self.start(peer, waiting, now) {
                return;
            }
        }
    }

    /// Sends a message, unless it is the notification of an observer that is gone.
    fn start(&mut self, peer: &Peer, waiting: Waiting, now: Instant) -> bool {
        let (frame, purpose) = match waiting {
            Waiting::Message(frame, purpose) => (frame, purpose),
            Waiting::Notification(observer) => match self.observers.frame(observer, Kind::Confirmable, now) {
                Some(frame) => (frame, Purpose::Notification(observer)),
                None => return false,
            },
        };
        self.transmit(peer, frame, purpose, now);
        true
    }

    fn transmit(&mut self, peer: &Peer, mut frame: Frame, purpose: Purpose, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        frame.id = state.next_id();
        let stretch = 1.0 + self.rng.random::<f64>() * (self.settings.ack_random_factor - 1.0).max(0.0);
        let timeout = self.settings.ack_timeout.mul_f64(stretch);
        let due = now + timeout;
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let transmission = Transmission { serial, frame: frame.clone(), purpose, repeated: 0, timeout, due };
        state.line.in_flight = Some(Box::new(transmission));
        self.retransmissions.set(due, (serial, peer.clone()));
        self.send(peer, frame);
    }

    /// Sends again what was not acknowledged in time, or gives it up.
    pub(super) fn retransmit(&mut self, now: Instant) {
        while let Some((serial, peer)) = self.retransmissions.due(now) {
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            let Some(transmission) = state.line.in_flight.as_mut().filter(|sent| sent.serial == serial)
            else {
                continue;
            };
            if transmission.repeated >= self.settings.max_retransmit {
                self.finish(&peer, Outcome::TimedOut, now);
                continue;
            }
            transmission.repeated += 1;
            transmission.timeout = transmission.timeout.saturating_mul(2);
            transmission.due = now + transmission.timeout;
            let (due, purpose) = (transmission.due, transmission.purpose);
            if let Purpose::Notification(observer) = purpose
                && let Some(newer) = self.observers.newer_frame(observer, now)
            {
                self.supersede(&peer, newer);
            }
            self.retransmissions.set(due, (serial, peer.clone()));
            self.counters.retransmitted += 1;
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            if let Some(transmission) = &state.line.in_flight {
                let frame = transmission.frame.clone();
                self.send(&peer, frame);
            }
        }
    }

    /// Puts newer state in the place of a notification that is sent again: another message, so another id, but the
    /// pauses go on (RFC 7641, 4.5.2).
    fn supersede(&mut self, peer: &Peer, mut newer: Frame) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        newer.id = state.next_id();
        if let Some(transmission) = &mut state.line.in_flight {
            transmission.frame = newer;
        }
    }

    /// The message `id` to `peer` was acknowledged or reset. Whether it was one that is in flight.
    pub(super) fn confirmed(&mut self, peer: &Peer, id: u16, outcome: Outcome, now: Instant) -> bool {
        let Some(state) = self.peers.get_mut(peer) else { return false };
        if state.line.in_flight.as_ref().is_none_or(|sent| sent.frame.id != id) {
            return false;
        }
        // Whoever acknowledges has asked; a reset would also come from someone whose address another has written.
        if outcome == Outcome::Acknowledged {
            self.echo.verified(peer, &self.settings, now);
        }
        self.finish(peer, outcome, now);
        true
    }

    /// The response is here, so the request has arrived, although its acknowledgement has not.
    pub(super) fn confirmed_by_response(&mut self, peer: &Peer, exchange: ExchangeId, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let purpose = Purpose::Request(exchange);
        if state.line.in_flight.as_ref().is_some_and(|sent| sent.purpose == purpose) {
            self.finish(peer, Outcome::Acknowledged, now);
        }
    }

    /// Takes what belongs to an exchange that is over out of the line.
    pub(super) fn withdraw(&mut self, peer: &Peer, exchange: ExchangeId, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let purpose = Purpose::Request(exchange);
        state
            .line
            .waiting
            .retain(|waiting| !matches!(waiting, Waiting::Message(_, other) if *other == purpose));
        if let Some(sent) = state.line.in_flight.take_if(|sent| sent.purpose == purpose) {
            self.retransmissions.cancel(sent.due, (sent.serial, peer.clone()));
            self.start_next(peer, now);
        }
    }

    fn finish(&mut self, peer: &Peer, outcome: Outcome, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let Some(sent) = state.line.in_flight.take() else { return };
        self.retransmissions.cancel(sent.due, (sent.serial, peer.clone()));
        if outcome == Outcome::TimedOut {
            self.counters.timed_out += 1;
        }
        match sent.purpose {
            Purpose::Response => {}
            Purpose::Notification(observer) => self.notification_confirmed(peer, observer, outcome, now),
            Purpose::Request(exchange) => self.request_confirmed(exchange, outcome, now),
        }
        self.start_next(peer, now);
    }
}
