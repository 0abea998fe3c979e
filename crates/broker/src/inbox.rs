//! Cuts the bytes of a connection into packets and gives them to the engine.

use broker_engine::packet::{Invalid, check_first_byte, split_frame};
use broker_engine::reason::Reason;
use broker_engine::{Closed, ConnectionKey, Engine, LocalPublish, Now, Received, Step};
use gateway_core::{MemoryBudget, MemoryPermit};

/// A packet that is larger needs a part of the budget while it comes.
pub(crate) const SMALL: usize = 8 << 10;

/// What has come of a packet that is not whole. Empty, and without memory, while no packet is begun.
#[derive(Debug)]
pub(crate) struct Inbox {
    partial: Vec<u8>,
    /// Of the packet that has begun, if it is large.
    permit: Option<MemoryPermit>,
    /// How many large packets have begun.
    large_packets: u64,
    /// The engine wanted no more although there may be another whole packet.
    is_held_back: bool,
    /// How the client ended the connection, or that the engine ends it.
    pub(crate) ended: Option<Closed>,
}

/// What packets may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// Bytes of one packet.
    pub(crate) packet_bytes: usize,
    /// Bytes of all large packets that have not come whole.
    pub(crate) budget: &'a MemoryBudget,
}

impl Inbox {
    pub(crate) const fn new(partial: Vec<u8>) -> Self {
        Self { partial, permit: None, large_packets: 0, is_held_back: false, ended: None }
    }

    /// Whether there are bytes that [`Self::take`] has not looked at, or the beginning of a packet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// The number of the large packet that is coming, if one is.
    pub(crate) fn large_packet(&self) -> Option<u64> {
        self.permit.as_ref().map(|_| self.large_packets)
    }

    /// Ends the connection, whose large packet takes too long.
    pub(crate) fn expire(&mut self, engine: &mut Engine, key: ConnectionKey) {
        let why = "a large packet did not come whole in time (packet_timeout)";
        self.end(engine, key, Invalid { reason: Reason::QuotaExceeded, why });
    }

    /// Whether [`Self::take`] stopped before the end: then it must be called again, without more bytes, once the engine wants
    /// more.
    pub(crate) const fn is_held_back(&self) -> bool {
        self.is_held_back
    }

    /// Handles all whole packets in what was kept and `bytes`. What adapters must take is added to `locals`.
    pub(crate) fn take(
        &mut self,
        engine: &mut Engine,
        key: ConnectionKey,
        bytes: &[u8],
        bounds: Bounds<'_>,
        locals: &mut Vec<LocalPublish>,
        now: Now,
    ) {
        if self.partial.is_empty() {
            let used = self.take_whole(engine, key, bytes, bounds, locals, now);
            self.partial.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut joined = std::mem::take(&mut self.partial);
            joined.extend_from_slice(bytes);
            let used = self.take_whole(engine, key, &joined, bounds, locals, now);
            if used < joined.len() {
                joined.drain(..used);
                self.partial = joined;
            }
        }
        if self.permit.is_none() && !self.is_held_back {
            self.partial.shrink_to(2 * SMALL);
        }
    }

    /// Returns how many bytes were used.
    fn take_whole(
        &mut self,
        engine: &mut Engine,
        key: ConnectionKey,
        bytes: &[u8],
        bounds: Bounds<'_>,
        locals: &mut Vec<LocalPublish>,
        now: Now,
    ) -> usize {
        let mut used = 0;
        while self.ended.is_none() {
            let rest = bytes.get(used..).unwrap_or_default();
            // What comes after many unacknowledged messages stays here until they are acknowledged.
            self.is_held_back = !rest.is_empty() && !engine.wants_more(key);
            if self.is_held_back {
                break;
            }
            match split_frame(rest, bounds.packet_bytes) {
                Ok(Ok(frame)) => {
                    used += frame.length;
                    self.permit = None;
                    match engine.receive(key, frame, now) {
                        Step::Next(Received::Nothing) => {}
                        Step::Next(Received::Local(local)) => locals.push(local),
                        Step::End(closed) => self.ended = Some(closed),
                    }
                }
                Ok(Err(needed)) => {
                    if let Some(Err(invalid)) = rest.first().map(|first| check_first_byte(*first)) {
                        self.end(engine, key, invalid);
                    } else if needed > SMALL && self.permit.is_none() {
                        self.reserve(engine, key, needed, bounds);
                    }
                    break;
                }
                Err(invalid) => self.end(engine, key, invalid),
            }
        }
        used
    }

    fn reserve(&mut self, engine: &mut Engine, key: ConnectionKey, needed: usize, bounds: Bounds<'_>) {
        match bounds.budget.try_acquire(needed) {
            Some(permit) => {
                self.permit = Some(permit);
                self.large_packets += 1;
            }
            None => {
                let why = "too many large packets come at once";
                self.end(engine, key, Invalid { reason: Reason::QuotaExceeded, why });
            }
        }
    }

    fn end(&mut self, engine: &mut Engine, key: ConnectionKey, invalid: Invalid) {
        engine.receive_invalid(key, invalid);
        self.ended = Some(Closed::Lost);
    }
}
