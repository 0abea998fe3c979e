//! Sends confirmable messages (RFC 7252, 4.2 and 4.7): retransmitted with growing time-outs until acknowledged, one at a time per
//! peer (NSTART), the others in a bounded queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::observe::ObserverId;
use super::{Engine, ExchangeId};
use crate::Peer;
use crate::message::{Frame, Kind};
use crate::settings::Settings;

/// What a confirmable message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A separate response.
    Response,
    Notification(ObserverId),
    Request(ExchangeId),
}

/// A message in the send queue.
#[derive(Debug)]
pub(super) enum QueuedMessage {
    /// A finished message; it gets its message id when it is sent.
    Message(Frame, Purpose),
    /// A notification with the state at the time of sending.
    Notification(ObserverId),
}

#[derive(Debug)]
struct Transmission {
    serial: u64,
    frame: Frame,
    purpose: Purpose,
    /// The number of retransmissions.
    repeated: u32,
    timeout: Duration,
    due: Instant,
}

/// The confirmable messages to one peer.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    in_flight: Option<Box<Transmission>>,
    waiting: VecDeque<QueuedMessage>,
    /// Places reserved for the separate responses to acknowledged requests.
    reserved_answers: usize,
}

/// The message was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SendQueueFull;

/// How a confirmable message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Acknowledged,
    Reset,
    /// Not acknowledged after all retransmissions.
    TimedOut,
}

impl SendQueue {
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.is_some() || !self.waiting.is_empty()
    }

    /// Whether one more message fits beside the reserved places.
    fn has_room(&self, settings: &Settings) -> bool {
        self.waiting.len().saturating_add(self.reserved_answers) < settings.queue_per_peer.max(1)
    }
}

impl Engine {
    /// Sends a confirmable message, or queues it behind others to the same peer.
    pub(super) fn confirm(
        &mut self,
        peer: &Peer,
        message: QueuedMessage,
        now: Instant,
    ) -> Result<(), SendQueueFull> {
        let first_id = self.rng.random();
        let state = self.peers.touch(peer, first_id, &self.settings, now).ok_or(SendQueueFull)?;
        if !state.send_queue.has_room(&self.settings) {
            return Err(SendQueueFull);
        }
        if state.send_queue.is_busy() {
            state.send_queue.waiting.push_back(message);
        } else {
            self.start(peer, message, now);
        }
        Ok(())
    }

    /// Reserves a place for the separate response to a request; returns whether there was one.
    pub(super) fn reserve_answer(&mut self, peer: &Peer) -> bool {
        let Some(state) = self.peers.get_mut(peer) else { return false };
        let has_room = state.send_queue.has_room(&self.settings);
        state.send_queue.reserved_answers =
            state.send_queue.reserved_answers.saturating_add(usize::from(has_room));
        has_room
    }

    /// Releases a reserved place.
    pub(super) fn release_answer(&mut self, peer: &Peer) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.send_queue.reserved_answers = state.send_queue.reserved_answers.saturating_sub(1);
        }
    }

    /// Sends the first queued message, if nothing is in flight.
    fn start_next(&mut self, peer: &Peer, now: Instant) {
        loop {
            let Some(state) = self.peers.get_mut(peer) else { return };
            if state.send_queue.in_flight.is_some() {
                return;
            }
            let Some(waiting) = state.send_queue.waiting.pop_front() else { return };
            if self.start(peer, waiting, now) {
                return;
            }
        }
    }

    /// Sends a message, unless it is the notification of a former observer.
    fn start(&mut self, peer: &Peer, waiting: QueuedMessage, now: Instant) -> bool {
        let (frame, purpose) = match waiting {
            QueuedMessage::Message(frame, purpose) => (frame, purpose),
            QueuedMessage::Notification(observer) => {
                match self.observers.frame(observer, Kind::Confirmable, now) {
                    Some(frame) => (frame, Purpose::Notification(observer)),
                    None => return false,
                }
            }
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
        state.send_queue.in_flight = Some(Box::new(transmission));
        self.retransmissions.set(due, (serial, peer.clone()));
        self.send(peer, frame);
    }

    /// Retransmits what was not acknowledged in time, or drops it after the last attempt.
    pub(super) fn retransmit(&mut self, now: Instant) {
        while let Some((serial, peer)) = self.retransmissions.due(now) {
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            let Some(transmission) = state.send_queue.in_flight.as_mut().filter(|sent| sent.serial == serial)
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
                self.replace_notification(&peer, newer);
            }
            self.retransmissions.set(due, (serial, peer.clone()));
            self.counters.retransmitted += 1;
            let Some(state) = self.peers.get_mut(&peer) else { continue };
            if let Some(transmission) = &state.send_queue.in_flight {
                let frame = transmission.frame.clone();
                self.send(&peer, frame);
            }
        }
    }

    /// Replaces a notification to be retransmitted by a newer state, with a new message id and unchanged time-outs (RFC 7641,
    /// 4.5.2).
    fn replace_notification(&mut self, peer: &Peer, mut newer: Frame) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        newer.id = state.next_id();
        if let Some(transmission) = &mut state.send_queue.in_flight {
            transmission.frame = newer;
        }
    }

    /// Message `id` to `peer` was acknowledged or reset. Returns whether it is in flight.
    pub(super) fn confirmed(&mut self, peer: &Peer, id: u16, outcome: Outcome, now: Instant) -> bool {
        let Some(state) = self.peers.get_mut(peer) else { return false };
        if state.send_queue.in_flight.as_ref().is_none_or(|sent| sent.frame.id != id) {
            return false;
        }
        // An acknowledgement proves the address; a reset does not, because any endpoint sends one.
        if outcome == Outcome::Acknowledged {
            self.echo.verified(peer, &self.settings, now);
        }
        self.finish(peer, outcome, now);
        true
    }

    /// The response has arrived, so the request has too, although its acknowledgement has not.
    pub(super) fn confirmed_by_response(&mut self, peer: &Peer, exchange: ExchangeId, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let purpose = Purpose::Request(exchange);
        if state.send_queue.in_flight.as_ref().is_some_and(|sent| sent.purpose == purpose) {
            self.finish(peer, Outcome::Acknowledged, now);
        }
    }

    /// Removes the messages of an ended exchange from the queue.
    pub(super) fn withdraw(&mut self, peer: &Peer, exchange: ExchangeId, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let purpose = Purpose::Request(exchange);
        state
            .send_queue
            .waiting
            .retain(|waiting| !matches!(waiting, QueuedMessage::Message(_, other) if *other == purpose));
        if let Some(sent) = state.send_queue.in_flight.take_if(|sent| sent.purpose == purpose) {
            self.retransmissions.cancel(sent.due, (sent.serial, peer.clone()));
            self.start_next(peer, now);
        }
    }

    fn finish(&mut self, peer: &Peer, outcome: Outcome, now: Instant) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let Some(sent) = state.send_queue.in_flight.take() else { return };
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
