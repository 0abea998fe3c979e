//! Cuts the bytes of a connection into packets and gives them to the engine.

use broker_engine::packet::{Invalid, check_first_byte, split_frame};
use broker_engine::reason::Reason;
use broker_engine::{Closed, ConnectionKey, Engine, LocalPublish, Now, Received, Step};

use crate::receive_memory::{Part, ReceiveShare};

/// A packet that is larger needs memory of [`ReceiveShare`] while it comes.
pub(crate) const SMALL: usize = 8 << 10;

/// [`Engine::work`] that one call of [`Inbox::take`] does, about: other connections wait for it.
const WORK: u64 = 250;

/// What has come of a packet that is not whole. Empty, and without memory, while no packet is begun.
#[derive(Debug)]
pub(crate) struct Inbox {
    partial: Vec<u8>,
    /// A large packet has begun, and has its memory.
    has_memory: bool,
    /// There may be another whole packet, but the engine wanted no more, or it was enough for once.
    is_held_back: bool,
    /// How the client ended the connection, or that the engine ends it.
    pub(crate) ended: Option<Closed>,
}

/// What packets may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// Bytes of one packet.
    pub(crate) packet_bytes: usize,
    /// Memory of large packets that have not come whole.
    pub(crate) share: &'a ReceiveShare,
}

impl Inbox {
    pub(crate) const fn new(partial: Vec<u8>) -> Self {
        Self { partial, has_memory: false, is_held_back: false, ended: None }
    }

    /// Whether there are bytes that [`Self::take`] has not looked at, or the beginning of a packet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.partial.is_empty()
    }

    /// Ends the connection, because of a packet that has not come whole.
    pub(crate) fn give_up(&mut self, engine: &mut Engine, key: ConnectionKey, why: &'static str) {
        self.end(engine, key, Invalid { reason: Reason::QuotaExceeded, why });
        self.partial = Vec::new();
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
        if self.ended.is_some() {
            self.partial = Vec::new();
        } else if !self.has_memory && !self.is_held_back {
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
        let enough = engine.work() + WORK;
        while self.ended.is_none() {
            let rest = bytes.get(used..).unwrap_or_default();
            // What comes after many unacknowledged messages stays here until they are acknowledged.
            self.is_held_back = !rest.is_empty() && (!engine.wants_more(key) || engine.work() >= enough);
            if self.is_held_back {
                break;
            }
            match split_frame(rest, bounds.packet_bytes) {
                Ok(Ok(frame)) => {
                    used += frame.length;
                    if std::mem::take(&mut self.has_memory) {
                        bounds.share.release(Part::Packet);
                    }
                    match engine.receive(key, frame, now) {
                        Step::Next(Received::Nothing) => {}
                        Step::Next(Received::Local(local)) => locals.push(local),
                        Step::End(closed) => self.ended = Some(closed),
                    }
                }
                Ok(Err(needed)) => {
                    if let Some(Err(invalid)) = rest.first().map(|first| check_first_byte(*first)) {
                        self.end(engine, key, invalid);
                    } else if needed > SMALL && !self.has_memory {
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
        self.has_memory = bounds.share.reserve(Part::Packet, needed);
        if !self.has_memory {
            let why = "too many large packets come at once, and its user has most of them";
            self.end(engine, key, Invalid { reason: Reason::QuotaExceeded, why });
        }
    }

    fn end(&mut self, engine: &mut Engine, key: ConnectionKey, invalid: Invalid) {
        engine.receive_invalid(key, invalid);
        self.ended = Some(Closed::Lost);
    }
}
