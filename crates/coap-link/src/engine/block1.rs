//! Bodies of requests that come in blocks (RFC 7959): put together in order, within bounds.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::shelf::{Key, Room, Shelf};
use crate::block::Block;
use crate::settings::Settings;

/// Request bodies that are being put together.
#[derive(Debug)]
pub(super) struct Assemblies {
    pub(super) shelf: Shelf<BytesMut>,
}

/// What follows from a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// 2.31: the next one, please; the block says which this was and how large we like them.
    Continue(Block),
    /// That was the last: the body.
    Whole(Bytes, Block),
    /// 4.08: one before is missing.
    Missing,
    /// 4.13
    TooLarge,
    /// 5.03: too many bodies are under way.
    NoRoom,
    /// 4.00: a block that is not as long as it says.
    WrongLength,
}

impl Assemblies {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            shelf: Shelf::new(Room {
                bodies: settings.assemblies,
                per_peer: settings.assemblies_per_peer,
                bytes: settings.assembly_bytes,
            }),
        }
    }

    /// Adds a block of the request `key`. `announced` is its Size1 option.
    pub(super) fn add(
        &mut self,
        key: Key,
        block: Block,
        announced: Option<u32>,
        payload: &[u8],
        settings: &Settings,
        now: Instant,
    ) -> Step {
        let length = block.size.bytes();
        if payload.len() > length || (block.more && payload.len() != length) {
            return Step::WrongLength;
        }
        let end = block.offset().saturating_add(payload.len());
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        if end.max(announced) > settings.request_body || (block.more && end >= settings.request_body) {
            self.shelf.take(&key);
            return Step::TooLarge;
        }
        // By the client's number also where we like smaller ones: it counts in those from the next on (2.3, figure 9).
        let answer = Block { size: block.size.min(settings.block_size), ..block };
        let Some(body) = self.body_before(&key, block, payload) else { return Step::Missing };
        let Body::Grown(body) = body else { return Step::Continue(answer) };
        if !block.more {
            return Step::Whole(body.freeze(), answer);
        }
        let bytes = body.capacity().max(body.len());
        match self.shelf.put(key, body, bytes, now + settings.assembly_idle) {
            Ok(()) => Step::Continue(answer),
            Err(_) => Step::NoRoom,
        }
    }

    /// Takes the body up to `block` and adds its payload.
    fn body_before(&mut self, key: &Key, block: Block, payload: &[u8]) -> Option<Body> {
        if block.number == 0 {
            // A first block begins anew, whatever was there.
            self.shelf.take(key);
            return Some(Body::Grown(BytesMut::from(payload)));
        }
        let there = self.shelf.get(key)?;
        let repeated = there.get(block.offset()..).and_then(|rest| rest.get(..payload.len()));
        if block.more && repeated == Some(payload) && !payload.is_empty() {
            return Some(Body::Repeated);
        }
        if there.len() != block.offset() {
            return None;
        }
        let mut body = self.shelf.take(key)?;
        body.extend_from_slice(payload);
        Some(Body::Grown(body))
    }
}

enum Body {
    Grown(BytesMut),
    /// The block is in it already: the client has not heard the answer.
    Repeated,
}
