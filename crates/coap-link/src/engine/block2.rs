//! Bodies of responses that are too large for one message (RFC 7959): cut, and kept for the blocks behind the first.
//!
//! What is no longer kept, or never was, is asked of the owner again where the method is safe: an ETag tells the
//! client whether the blocks still belong together.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Instant;

use bytes::Bytes;
use coap_lite::Packet;

use super::echo::EchoValue;
use super::shelf::{Key, Room, Shelf};
use crate::block::{Block, BlockSize};
use crate::code::{Code, Method};
use crate::message::encode_tail;
use crate::options::{self, ETag};
use crate::response::Response;
use crate::settings::Settings;

/// Response bodies that were sent in part.
#[derive(Debug)]
pub(super) struct KeptBodies {
    pub(super) shelf: Shelf<Response>,
}

impl KeptBodies {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            shelf: Shelf::new(Room {
                bodies: settings.kept_bodies,
                per_peer: settings.kept_bodies_per_peer,
                bytes: settings.kept_bytes,
            }),
        }
    }

    /// The response to which `key` belongs; it is kept on for as long again.
    pub(super) fn get(&mut self, key: &Key, settings: &Settings, now: Instant) -> Option<Response> {
        let response = self.shelf.get(key)?.clone();
        self.keep(key, &response, settings, now);
        Some(response)
    }

    pub(super) fn keep(&mut self, key: &Key, response: &Response, settings: &Settings, now: Instant) {
        self.shelf.put_making_room(key, response.clone(), response.payload.len(), now + settings.kept_for);
    }

    /// The client asks anew, so what it was told before is over.
    pub(super) fn forget(&mut self, key: &Key) {
        self.shelf.take(key);
    }
}

/// What the engine adds to a response's own options.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extras {
    pub(super) observe: Option<u32>,
    pub(super) block1: Option<Block>,
    /// The client asks for the whole body's size.
    pub(super) size2: bool,
    pub(super) echo: Option<EchoValue>,
}

/// A response, or a block of it, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) code: Code,
    pub(super) tail: Bytes,
    /// How many bytes of the body are in it.
    pub(super) body: usize,
    /// Whether blocks follow.
    pub(super) more: bool,
}

/// The part of `response` that `asked` names; its beginning where nothing is asked. `None` behind its end.
///
/// Blocks are as large as asked for, but at most `largest`. A body that fits into one block of that size and that
/// nobody asked for in blocks goes out whole, and so does an empty one.
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

/// Gives a response whose body needs blocks a tag, where its owner has not: the blocks of another state then show.
pub(super) fn tag(response: &mut Response) {
    if response.etag.is_none() && response.code == Code::CONTENT {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&response.payload);
        response.etag = ETag::new(&hash.to_be_bytes());
    }
}

/// Under what the blocks of one body are found again: method, path, query and the like (RFC 7959, 2.4).
///
/// `tagged`: the request's own body is meant, which Request-Tag tells from others (RFC 9175, 3).
pub(super) fn matching(method: Method, packet: &Packet, tagged: bool) -> Bytes {
    let mut key = vec![method.code().byte()];
    let numbers = [options::URI_HOST, options::URI_PORT, options::URI_PATH, options::URI_QUERY];
    let one_more = if tagged { options::REQUEST_TAG } else { options::ACCEPT };
    for number in numbers.into_iter().chain([one_more]) {
        for value in options::values(packet, number) {
            // The length, so that no two lists of values look the same.
            key.extend_from_slice(&number.to_be_bytes());
            key.extend_from_slice(&value.len().to_be_bytes());
            key.extend_from_slice(value);
        }
    }
    // FETCH says in its body what it wants.
    if method == Method::Fetch && !tagged {
        key.extend_from_slice(&packet.payload);
    }
    Bytes::from(key)
}
