//! Block1: reassembles request bodies from blocks (RFC 7959), in order and bounded.

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::body_cache::{BodyCache, CacheLimits, Key};
use crate::block::Block;
use crate::settings::Settings;

/// Request bodies being reassembled.
#[derive(Debug)]
pub(super) struct Assemblies {
    pub(super) cache: BodyCache<BytesMut>,
}

/// The result of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlockStep {
    /// 2.31: continue; the block has this block's number and our preferred size.
    Continue(Block),
    /// The last block: the whole body.
    Whole(Bytes, Block),
    /// 4.08: an earlier block is missing.
    Missing,
    /// 4.13
    TooLarge,
    /// 5.03: too many bodies are being reassembled.
    NoRoom,
    /// 4.00: the length of the block does not match its size.
    WrongLength,
}

impl Assemblies {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            cache: BodyCache::new(CacheLimits {
                bodies: settings.assemblies,
                per_peer: settings.assemblies_per_peer,
                bytes: settings.assembly_bytes,
            }),
        }
    }

    /// Adds a block of request `key`. `announced` is its Size1 option.
    pub(super) fn add(
        &mut self,
        key: Key,
        block: Block,
        announced: Option<u32>,
        payload: &[u8],
        settings: &Settings,
        now: Instant,
    ) -> BlockStep {
        let length = block.size.bytes();
        if payload.len() > length || (block.more && payload.len() != length) {
            return BlockStep::WrongLength;
        }
        let end = block.offset().saturating_add(payload.len());
        let announced = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0);
        if end.max(announced) > settings.request_body || (block.more && end >= settings.request_body) {
            self.cache.take(&key);
            return BlockStep::TooLarge;
        }
        // With the client's block number, even if we prefer smaller blocks: it uses those from the next block on (2.3, figure 9).
        let answer = Block { size: block.size.min(settings.block_size), ..block };
        let Some(body) = self.body_before(&key, block, payload) else { return BlockStep::Missing };
        let Body::Grown(body) = body else { return BlockStep::Continue(answer) };
        if !block.more {
            return BlockStep::Whole(body.freeze(), answer);
        }
        let bytes = body.capacity().max(body.len());
        match self.cache.insert(key, body, bytes, now + settings.assembly_idle) {
            Ok(()) => BlockStep::Continue(answer),
            Err(_) => BlockStep::NoRoom,
        }
    }

    /// Takes the body before `block` and adds its payload.
    fn body_before(&mut self, key: &Key, block: Block, payload: &[u8]) -> Option<Body> {
        if block.number == 0 {
            // A first block starts anew.
            self.cache.take(key);
            return Some(Body::Grown(BytesMut::from(payload)));
        }
        let there = self.cache.get(key)?;
        let repeated = there.get(block.offset()..).and_then(|rest| rest.get(..payload.len()));
        if block.more && repeated == Some(payload) && !payload.is_empty() {
            return Some(Body::Repeated);
        }
        if there.len() != block.offset() {
            return None;
        }
        let mut body = self.cache.take(key)?;
        body.extend_from_slice(payload);
        Some(Body::Grown(body))
    }
}

enum Body {
    Grown(BytesMut),
    /// The block is already in it: the client has not received our answer.
    Repeated,
}
