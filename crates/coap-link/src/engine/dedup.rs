//! Deduplication: the recent messages of a peer, so that a duplicate is answered again and not executed again (RFC 7252, 4.5).
//!
//! A duplicate has the same message id and the same bytes. The RFC compares the id alone; but some devices restart their ids with
//! each boot, and their reports must not be taken for duplicates.

use std::collections::VecDeque;
use std::time::Instant;

use crate::message::Frame;
use crate::settings::EXCHANGE_LIFETIME;

/// The answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RecordedAnswer {
    /// No answer, or none yet.
    None,
    Frame(Frame),
}

/// Whether a message is new.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// New; it is recorded now.
    New,
    /// A duplicate; this was the answer.
    Duplicate(RecordedAnswer),
    /// There is no space to record it.
    Full,
}

#[derive(Debug)]
struct RecordedMessage {
    id: u16,
    fingerprint: u64,
    at: Instant,
    answer: RecordedAnswer,
    /// The owner has not answered yet. If it were forgotten, a duplicate would be executed.
    is_pending: bool,
}

/// The messages of one peer within the exchange lifetime, oldest first.
#[derive(Debug, Default)]
pub(super) struct MessageHistory {
    messages: VecDeque<RecordedMessage>,
    /// Of the options and payloads of all answers.
    bytes: usize,
}

impl MessageHistory {
    /// Records the message `id` with this fingerprint, or returns how it was answered before.
    ///
    /// Beyond `most` messages it drops the oldest answered one; if none is answered, there is no space.
    pub(super) fn remember(&mut self, id: u16, fingerprint: u64, most: usize, now: Instant) -> Arrival {
        self.forget_old(now);
        // From the newest, because retransmissions follow soon.
        if let Some(message) =
            self.messages.iter().rev().find(|message| message.id == id && message.fingerprint == fingerprint)
        {
            return Arrival::Duplicate(message.answer.clone());
        }
        while self.messages.len() >= most.max(1) {
            let Some(index) = self.messages.iter().position(|message| !message.is_pending) else {
                return Arrival::Full;
            };
            self.forget(index);
        }
        if self.messages.is_empty() {
            // Most peers have one message at a time; the standard library would allocate for four.
            self.messages.reserve_exact(1);
        }
        self.messages.push_back(RecordedMessage {
            id,
            fingerprint,
            at: now,
            answer: RecordedAnswer::None,
            is_pending: false,
        });
        Arrival::New
    }

    /// Sets whether the message waits for the owner.
    pub(super) fn set_pending(&mut self, id: u16, fingerprint: u64, is_pending: bool) {
        let is_it = |message: &&mut RecordedMessage| message.id == id && message.fingerprint == fingerprint;
        if let Some(message) = self.messages.iter_mut().rev().find(is_it) {
            message.is_pending = is_pending;
        }
    }

    /// Whether any message waits for the owner.
    pub(super) fn is_waiting(&self) -> bool {
        self.messages.iter().any(|message| message.is_pending)
    }

    /// Drops the messages that do not wait for the owner.
    pub(super) fn forget_answered(&mut self) {
        self.messages.retain(|message| message.is_pending);
        self.bytes = self.messages.iter().map(|message| message.answer.bytes()).sum();
        self.messages.shrink_to_fit();
    }

    /// Stores the answer to message `id`, if it is still recorded.
    pub(super) fn answered(&mut self, id: u16, frame: Frame) {
        if let Some(message) = self.messages.iter_mut().rev().find(|message| message.id == id) {
            self.bytes = self.bytes.saturating_add(frame.tail.len()).saturating_sub(message.answer.bytes());
            message.answer = RecordedAnswer::Frame(frame);
        }
    }

    /// Of all stored answers.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .messages
            .front()
            .is_some_and(|message| now.saturating_duration_since(message.at) >= EXCHANGE_LIFETIME)
        {
            self.forget(0);
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some(message) = self.messages.remove(index) {
            self.bytes = self.bytes.saturating_sub(message.answer.bytes());
        }
    }
}

impl RecordedAnswer {
    fn bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Frame(frame) => frame.tail.len(),
        }
    }
}
