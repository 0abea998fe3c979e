//! Block2: splits large response bodies into blocks (RFC 7959) and keeps them for requests of further blocks.
//!
//! If a body is no longer kept, the owner is asked again, provided that the method is safe. The ETag tells the client whether
//! the blocks belong together.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Instant;

use bytes::Bytes;
use coap_lite::Packet;

use super::body_cache::{BodyCache, CacheLimits, Key};
use super::echo::EchoValue;
use crate::block::{Block, BlockSize};
use crate::code::{Code, Method};
use crate::message::encode_tail;
use crate::options::{self, ETag};
use crate::response::Response;
use crate::settings::Settings;

/// Response bodies sent in part.
#[derive(Debug)]
pub(super) struct ResponseBodies {
    pub(super) cache: BodyCache<Response>,
}

impl ResponseBodies {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            cache: BodyCache::new(CacheLimits {
                bodies: settings.kept_bodies,
                per_peer: settings.kept_bodies_per_peer,
                bytes: settings.kept_bytes,
            }),
        }
    }

    /// The response for `key`, whose time is extended.
    pub(super) fn get(&mut self, key: &Key, settings: &Settings, now: Instant) -> Option<Response> {
        let response = self.cache.get(key)?.clone();
        self.keep(key, &response, settings, now);
        Some(response)
    }

    pub(super) fn keep(&mut self, key: &Key, response: &Response, settings: &Settings, now: Instant) {
        self.cache.insert_evicting(key, response.clone(), response.payload.len(), now + settings.kept_for);
    }

    /// The client starts a new request, so the earlier response is dropped.
    pub(super) fn forget(&mut self, key: &Key) {
        self.cache.take(key);
    }
}

/// What the engine adds to a response's options.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras {
    pub(super) observe: Option<u32>,
    pub(super) block1: Option<Block>,
    /// The client asks for the size of the whole body.
    pub(super) size2: bool,
    pub(super) echo: Option<EchoValue>,
}

/// A response or a block of it, ready to send.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) code: Code,
    pub(super) tail: Bytes,
    /// The number of bytes of the body in it.
    pub(super) body: usize,
    /// Whether more blocks follow.
    pub(super) more: bool,
}

/// The part of `response` that `asked` names; the first if it is `None`. `None` beyond the end.
///
/// Blocks have the requested size, but at most `largest`. A body that fits into one block, and was not requested in blocks,
/// is sent whole; so is an empty one.
pub(super) fn part(
    response: &Response,
    asked: Option<Block>,
    largest: BlockSize,
    extras: Extras,
) -> Option<Part> {
    let length = response.payload.len();
    let offset = asked.map_or(0, Block::offset);
    let size = asked.map_or(largest, |block| block.size.min(largest));
    if (asked.is_none() && length <= largest.bytes()) || (offset == 0 && length == 0) {
        return Some(whole(response, extras));
    }
    let block = Block::at(offset, size, length)?;
    let end = offset.saturating_add(size.bytes()).min(length);
    let mut packet = with_extras(response, extras);
    block.add_to(&mut packet, options::BLOCK2);
    if extras.size2 {
        options::add_number(&mut packet, options::SIZE2, u32::try_from(length).unwrap_or(u32::MAX));
    }
    packet.payload = response.payload.get(offset..end)?.to_vec();
    Some(Part {
        code: response.code,
        tail: encode_tail(&packet),
        body: end.saturating_sub(offset),
        more: block.more,
    })
}

fn whole(response: &Response, extras: Extras) -> Part {
    let mut packet = with_extras(response, extras);
    packet.payload = response.payload.to_vec();
    Part { code: response.code, tail: encode_tail(&packet), body: response.payload.len(), more: false }
}

fn with_extras(response: &Response, extras: Extras) -> Packet {
    let mut packet = response.to_packet();
    if let Some(sequence) = extras.observe {
        options::add_number(&mut packet, options::OBSERVE, sequence);
    }
    if let Some(block) = extras.block1 {
        block.add_to(&mut packet, options::BLOCK1);
    }
    if let Some(echo) = extras.echo {
        options::add(&mut packet, options::ECHO, &echo);
    }
    packet
}

/// Adds an ETag to a response that needs blocks and has none, so that the client notices a change of state.
pub(super) fn tag(response: &mut Response) {
    if response.etag.is_none() && response.code == Code::CONTENT {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&response.payload);
        response.etag = ETag::new(&hash.to_be_bytes());
    }
}

/// The key under which the blocks of a body belong together: method, path, query and other options (RFC 7959, 2.4).
///
/// `tagged`: for the body of the request, which Request-Tag distinguishes from others (RFC 9175, 3).
pub(super) fn matching(method: Method, packet: &Packet, tagged: bool) -> Bytes {
    let mut key = vec![method.code().byte()];
    let numbers = [options::URI_HOST, options::URI_PORT, options::URI_PATH, options::URI_QUERY];
    let one_more = if tagged { options::REQUEST_TAG } else { options::ACCEPT };
    for number in numbers.into_iter().chain([one_more]) {
        for value in options::values(packet, number) {
            // With its length, so that different lists of values stay different.
            key.extend_from_slice(&number.to_be_bytes());
            key.extend_from_slice(&value.len().to_be_bytes());
            key.extend_from_slice(value);
        }
    }
    // A FETCH says in its body what it selects.
    if method == Method::Fetch && !tagged {
        key.extend_from_slice(&packet.payload);
    }
    Bytes::from(key)
}
