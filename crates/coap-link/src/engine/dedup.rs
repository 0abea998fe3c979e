//! A peer's last messages, so that one that comes again is answered again and not done again (RFC 7252, 4.5).
//!
//! A message comes again if its id and all its bytes are those of one before. The RFC looks at the id alone; but
//! devices that begin to count anew with each start exist, and what they report must not be taken for something old.

use std::collections::VecDeque;
use std::time::Instant;

use crate::message::Frame;
use crate::settings::EXCHANGE_LIFETIME;

/// What a message was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// With nothing: not yet, or never.
    None,
    /// With this.
    Frame(Frame),
}

/// What a message is to what is remembered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was not here before; it is remembered from now on.
    New,
    /// It was here before and was answered with this.
    Again(Answer),
    /// There is no room to remember it.
    NoRoom,
}

#[derive(Debug)]
struct Seen {
    id: u16,
    fingerprint: u64,
    at: Instant,
    answer: Answer,
    /// Its owner has not answered yet: were it forgotten, it would be done twice.
    waits: bool,
}

/// The messages of one peer within the exchange lifetime, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    seen: VecDeque<Seen>,
    /// Of all answers' options and payloads.
    bytes: usize,
}

impl Recent {
    /// Remembers the message `id` of these bytes, or tells how it was answered before.
    ///
    /// Beyond `most` messages the oldest is forgotten that does not wait for its owner; where all do, there is no room.
    pub(super) fn remember(&mut self, id: u16, fingerprint: u64, most: usize, now: Instant) -> Arrival {
        self.forget_old(now);
        // From the newest: what is sent again is mostly what was sent last.
        if let Some(seen) =
            self.seen.iter().rev().find(|seen| seen.id == id && seen.fingerprint == fingerprint)
        {
            return Arrival::Again(seen.answer.clone());
        }
        while self.seen.len() >= most.max(1) {
            let Some(index) = self.seen.iter().position(|seen| !seen.waits) else { return Arrival::NoRoom };
            self.forget(index);
        }
        if self.seen.is_empty() {
            // Most peers, such as observers, have one message at a time: no room for the four that std begins with.
            self.seen.reserve_exact(1);
        }
        self.seen.push_back(Seen { id, fingerprint, at: now, answer: Answer::None, waits: false });
        Arrival::New
    }

    /// The message waits for its owner, or no longer.
    pub(super) fn set_waits(&mut self, id: u16, fingerprint: u64, waits: bool) {
        let is_it = |seen: &&mut Seen| seen.id == id && seen.fingerprint == fingerprint;
        if let Some(seen) = self.seen.iter_mut().rev().find(is_it) {
            seen.waits = waits;
        }
    }

    /// Whether a message waits for its owner.
    pub(super) fn is_waiting(&self) -> bool {
        self.seen.iter().any(|seen| seen.waits)
    }

    /// Forgets all but what waits for its owner.
    pub(super) fn forget_done(&mut self) {
        self.seen.retain(|seen| seen.waits);
        self.bytes = self.seen.iter().map(|seen| seen.answer.bytes()).sum();
        self.seen.shrink_to_fit();
    }

    /// Keeps what the message `id` was answered with, if it is still remembered.
    pub(super) fn answered(&mut self, id: u16, frame: Frame) {
        if let Some(seen) = self.seen.iter_mut().rev().find(|seen| seen.id == id) {
            self.bytes = self.bytes.saturating_add(frame.tail.len()).saturating_sub(seen.answer.bytes());
            seen.answer = Answer::Frame(frame);
        }
    }

    /// Of all answers that are kept.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .seen
            .front()
            .is_some_and(|seen| now.saturating_duration_since(seen.at) >= EXCHANGE_LIFETIME)
        {
            self.forget(0);
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some(seen) = self.seen.remove(index) {
            self.bytes = self.bytes.saturating_sub(seen.answer.bytes());
        }
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Frame(frame) => frame.tail.len(),
        }
    }
}
