//! Sends responses: in blocks, small ones to unverified addresses; registers observers; and sends piggybacked, separately, as
//! NON, or not at all.

use std::time::Instant;

use bytes::Bytes;
use coap_lite::Packet;

use super::Engine;
use super::block2::{self, Extras, Part};
use super::observe::Registration;
use super::retransmit::{Purpose, QueuedMessage};
use super::server::{Origin, RequestId, block_out_of_range};
use crate::block::BlockSize;
use crate::code::Code;
use crate::message::{Frame, Kind, encode_tail};
use crate::options;
use crate::request::Observe;
use crate::response::Response;
use crate::settings::Unverified;

/// Header and token.
const MAX_HEADER: usize = 12;
/// An Echo option and a Block2 option.
const ECHO_AND_BLOCK: usize = 20;

impl Engine {
    pub(super) fn answer(
        &mut self,
        id: RequestId,
        mut response: Response,
        resource: Option<&str>,
        now: Instant,
    ) {
        let Some(pending) = self.close(id) else { return };
        let origin = &pending.origin;
        let key = (origin.peer.clone(), pending.body_key.clone());
        let mut extras = pending.extras;
        let mut largest = self.settings.block_size;
        let size = pending.block2.map_or(largest, |block| block.size.min(largest));
        if response.payload.len() > size.bytes() {
            block2::tag(&mut response);
        }
        if response.code == Code::CONTENT
            && response.etag.as_ref().is_some_and(|tag| pending.etags.contains(tag))
        {
            // The client has this state: 2.03 with the tag is enough.
            response =
                Response { code: Code::VALID, content_format: None, payload: Bytes::new(), ..response };
        }
        // An error has no blocks, whichever block was requested.
        let asked = pending.block2.filter(|_| response.code.is_success() && response.code != Code::VALID);
        let Some(mut part) = block2::part(&response, asked, largest, extras) else {
            return self.reply_with(origin, &block_out_of_range(), Extras::default(), now);
        };
        let small_only = !self.may_send(origin, &part, now);
        if small_only {
            if self.settings.unverified == Unverified::Challenge && pending.method.is_safe() {
                return self.ask_for_echo(origin, now);
            }
            block2::tag(&mut response);
            extras.echo = Some(self.echo.value(&origin.peer, now));
            largest = self.small_enough(origin, &part);
        }
        let first_block = asked.is_none_or(|block| block.number == 0);
        if let Some(resource) = resource
            && pending.observe == Some(Observe::Register)
            && !origin.multicast
            && first_block
            && response.code.is_success()
        {
            let candidate = Registration {
                peer: &origin.peer,
                token: origin.token,
                resource,
                block_size: size.min(largest),
                block_size_verified: size,
                verified: self.echo.is_verified(&origin.peer, &self.settings, now),
            };
            extras.observe = self.observers.register(&candidate, &self.settings, now);
        }
        if (small_only || extras.observe.is_some())
            && let Some(changed) = block2::part(&response, asked, largest, extras)
        {
            part = changed;
        }
        if part.more {
            self.response_bodies.keep(&key, &response, &self.settings, now);
        } else if first_block {
            self.response_bodies.forget(&key);
        }
        self.reply(origin, part, now);
    }

    /// Whether `part` may be sent to the request's address, or is too large because the address may be spoofed.
    pub(super) fn may_send(&self, origin: &Origin, part: &Part, now: Instant) -> bool {
        self.echo.is_verified(&origin.peer, &self.settings, now)
            || part.tail.len().saturating_add(MAX_HEADER) <= self.unverified_bytes(origin)
    }

    /// The block size at which `part` is small enough for an unverified address.
    pub(super) fn small_enough(&self, origin: &Origin, part: &Part) -> BlockSize {
        let options = part.tail.len().saturating_sub(part.body);
        let around = MAX_HEADER.saturating_add(options).saturating_add(ECHO_AND_BLOCK);
        BlockSize::at_most(self.unverified_bytes(origin).saturating_sub(around))
    }

    fn unverified_bytes(&self, origin: &Origin) -> usize {
        origin.length.saturating_mul(3).max(self.settings.unverified_bytes)
    }

    fn ask_for_echo(&mut self, origin: &Origin, now: Instant) {
        self.counters.echoes += 1;
        let value = self.echo.value(&origin.peer, now);
        let mut packet = Packet::new();
        options::add(&mut packet, options::ECHO, &value);
        let tail = encode_tail(&packet);
        self.reply(origin, Part { code: Code::UNAUTHORIZED, tail, body: 0, more: false }, now);
    }

    pub(super) fn reply_with(&mut self, origin: &Origin, response: &Response, extras: Extras, now: Instant) {
        if let Some(part) = block2::part(response, None, self.settings.block_size, extras) {
            self.reply(origin, part, now);
        }
    }

    /// Sends a response in the way that the request requires.
    pub(super) fn reply(&mut self, origin: &Origin, part: Part, now: Instant) {
        let peer = &origin.peer;
        let class = u32::from(part.code.class());
        let suppressed_classes = class > 0 && origin.suppressed_classes >> (class - 1) & 1 == 1;
        // A multicast request is answered only if it is useful; an Echo is (RFC 7252, 8.2).
        let useless = origin.multicast && !part.code.is_success() && part.code != Code::UNAUTHORIZED;
        let silent = part.code == Code::EMPTY || suppressed_classes || useless;
        let frame =
            Frame { kind: origin.kind, code: part.code, id: origin.id, token: origin.token, tail: part.tail };
        match origin.kind {
            Kind::Confirmable if origin.acknowledged && silent => {}
            Kind::Confirmable if origin.acknowledged => {
                if self.confirm(peer, QueuedMessage::Message(frame, Purpose::Response), now).is_err() {
                    self.counters.dropped += 1;
                }
            }
            Kind::Confirmable => {
                let answer = Frame { kind: Kind::Acknowledgement, ..frame };
                let answer = if silent { Frame::empty(Kind::Acknowledgement, origin.id) } else { answer };
                self.peers.answered(peer, origin.id, answer.clone(), &self.settings);
                self.send(peer, answer);
            }
            _ if silent => {}
            _ => {
                let id = self.next_id(peer);
                self.send_after_leisure(origin, Frame { kind: Kind::NonConfirmable, id, ..frame }, now);
            }
        }
    }
}

impl Part {
    /// No answer at all.
    pub(super) const fn nothing() -> Self {
        Self { code: Code::EMPTY, tail: Bytes::new(), body: 0, more: false }
    }
}
