//! Requests from peers: checked, reassembled from blocks and passed to the owner. The module `reply` sends the answers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use coap_lite::Packet;

use super::block1::BlockStep;
use super::block2::{self, Extras, Part};
use super::dedup::Arrival;
use super::{Engine, Output};
use crate::Peer;
use crate::block::Block;
use crate::code::{Code, Method};
use crate::message::{Frame, Kind, Message, Token};
use crate::options::{self, ETag};
use crate::request::{Observe, Request};
use crate::response::Response;

/// The Max-Age of a 5.03.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Identifies a request that waits for the owner's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub(super) u64);

/// The origin of a request, which determines how it is answered.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) peer: Peer,
    pub(super) kind: Kind,
    pub(super) id: u16,
    pub(super) token: Token,
    pub(super) multicast: bool,
    pub(super) fingerprint: u64,
    /// The length of the datagram in bytes.
    pub(super) length: usize,
    /// An empty acknowledgement was sent already.
    pub(super) acknowledged: bool,
    /// The response classes that the client suppresses, one bit each (RFC 7967).
    pub(super) suppressed_classes: u32,
}

/// A request that waits for the owner's answer.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) origin: Origin,
    pub(super) method: Method,
    pub(super) extras: Extras,
    pub(super) block2: Option<Block>,
    pub(super) observe: Option<Observe>,
    /// The ETags of the request.
    pub(super) etags: Vec<ETag>,
    pub(super) body_key: Bytes,
    /// When it is acknowledged or, after that, expires.
    pub(super) due: Instant,
    give_up: Instant,
}

/// The result of checking a request.
enum Verdict {
    HandOver(Box<(PendingRequest, Request)>),
    RecordedAnswer(Box<Response>, Extras),
    Send(Part),
    Reset,
}

impl Engine {
    pub(super) fn request_arrived(&mut self, origin: &Origin, message: &Message, now: Instant) {
        let first_id = self.random_id();
        match self.peers.remember(&origin.peer, message, first_id, &self.settings, now) {
            Arrival::New => self.serve(origin, message, now),
            Arrival::Duplicate(answer) => self.repeat_answer(&origin.peer, message.kind, answer),
            Arrival::Full => {
                self.count_refused(origin, message.code);
                self.reply_with(origin, &service_unavailable(), Extras::default(), now);
            }
        }
    }

    fn serve(&mut self, origin: &Origin, message: &Message, now: Instant) {
        match self.check_request(origin, message, now) {
            Verdict::HandOver(both) => self.emit_request(*both),
            Verdict::RecordedAnswer(response, extras) => self.reply_with(origin, &response, extras, now),
            Verdict::Send(part) => self.reply(origin, part, now),
            Verdict::Reset => {
                let frame = Frame::empty(Kind::Reset, origin.id);
                self.send(&origin.peer, frame);
            }
        }
    }

    fn check_request(&mut self, origin: &Origin, message: &Message, now: Instant) -> Verdict {
        let mut request = match read(origin, message) {
            Ok(request) => request,
            Err(verdict) => return verdict,
        };
        let (packet, method) = (&message.packet, request.method);
        if let Some(echo) = options::value(packet, options::ECHO)
            && self.echo.is_fresh(&origin.peer, echo, &self.settings, now)
        {
            self.echo.verified(&origin.peer, &self.settings, now);
        }
        let (Ok(block1), Ok(block2)) =
            (Block::of(packet, options::BLOCK1), Block::of(packet, options::BLOCK2))
        else {
            return refuse(Code::BAD_REQUEST, "block size 7 is reserved");
        };
        let mut extras =
            Extras { size2: options::value(packet, options::SIZE2).is_some(), ..Extras::default() };
        let body_key = block2::matching(method, packet, false);
        if let Some(block) = block2.filter(|block| block.number > 0 && block1.is_none())
            && let Some(verdict) = self.further_block(origin, method, &body_key, block, extras, now)
        {
            return verdict;
        }
        // Before the last block of a body is consumed, so that it can be sent again.
        if self.pending.len() >= self.settings.open_requests {
            self.count_refused(origin, message.code);
            return Verdict::RecordedAnswer(Box::new(service_unavailable()), extras);
        }
        match self.assemble(origin, method, packet, block1, now) {
            Ok((body, answered)) => {
                request.payload = body;
                extras.block1 = answered;
            }
            Err(verdict) => return verdict,
        }
        if request.observe == Some(Observe::Deregister) {
            self.forget_observer(&origin.peer, origin.token);
        }
        let give_up = now + self.settings.answer_within;
        let confirmable = origin.kind == Kind::Confirmable;
        let due = if confirmable { give_up.min(now + self.settings.acknowledge_after) } else { give_up };
        let pending = PendingRequest {
            origin: origin.clone(),
            method,
            extras,
            block2,
            observe: request.observe,
            etags: if method == Method::Get { request.etags.clone() } else { Vec::new() },
            body_key,
            due,
            give_up,
        };
        Verdict::HandOver(Box::new((pending, request)))
    }

    fn count_refused(&mut self, origin: &Origin, code: Code) {
        self.counters.refused += 1;
        let changes = Method::of(code).is_some_and(|method| !method.is_safe());
        if changes && origin.kind == Kind::NonConfirmable && !origin.multicast {
            self.counters.lost += 1;
        }
    }

    /// The whole request body, and the Block1 option for the answer.
    fn assemble(
        &mut self,
        origin: &Origin,
        method: Method,
        packet: &Packet,
        block1: Option<Block>,
        now: Instant,
    ) -> Result<(Bytes, Option<Block>), Verdict> {
        let too_large = |limit: usize| Response {
            size1: Some(u32::try_from(limit).unwrap_or(u32::MAX)),
            ..Response::error(Code::REQUEST_ENTITY_TOO_LARGE, format!("at most {limit} bytes"))
        };
        let limit = self.settings.request_body;
        let Some(block) = block1 else {
            if packet.payload.len() > limit {
                return Err(Verdict::RecordedAnswer(Box::new(too_large(limit)), Extras::default()));
            }
            return Ok((Bytes::copy_from_slice(&packet.payload), None));
        };
        let key = (origin.peer.clone(), block2::matching(method, packet, true));
        let announced = options::number(packet, options::SIZE1);
        let step = self.assemblies.add(key, block, announced, &packet.payload, &self.settings, now);
        let answer = |response, block| {
            Verdict::RecordedAnswer(Box::new(response), Extras { block1: Some(block), ..Extras::default() })
        };
        Err(match step {
            BlockStep::Whole(body, answered) => return Ok((body, Some(answered))),
            BlockStep::Continue(answered) => answer(Response::new(Code::CONTINUE), answered),
            BlockStep::Missing => answer(
                Response::error(Code::REQUEST_ENTITY_INCOMPLETE, "a block before this one is missing"),
                block,
            ),
            BlockStep::TooLarge => answer(too_large(limit), block),
            BlockStep::NoRoom => {
                self.count_refused(origin, method.code());
                answer(service_unavailable(), block)
            }
            BlockStep::WrongLength => {
                refuse(Code::BAD_REQUEST, "a block is as long as its size says, but for the last")
            }
        })
    }

    /// A further block of a kept response; `None` if the owner has to be asked again.
    fn further_block(
        &mut self,
        origin: &Origin,
        method: Method,
        body_key: &Bytes,
        block: Block,
        extras: Extras,
        now: Instant,
    ) -> Option<Verdict> {
        let key = (origin.peer.clone(), body_key.clone());
        let Some(response) = self.response_bodies.get(&key, &self.settings, now) else {
            let lost = || {
                refuse(Code::REQUEST_ENTITY_INCOMPLETE, "the response is no longer kept: ask from block 0")
            };
            return (!method.is_safe()).then(lost);
        };
        let part = block2::part(&response, Some(block), self.settings.block_size, extras);
        let Some(part) = part else {
            return Some(Verdict::RecordedAnswer(Box::new(block_out_of_range()), Extras::default()));
        };
        if self.may_send(origin, &part, now) {
            return Some(Verdict::Send(part));
        }
        // A transfer that started in small blocks continues in small blocks.
        let extras = Extras { echo: Some(self.echo.value(&origin.peer, now)), ..extras };
        let small = self.small_enough(origin, &part);
        block2::part(&response, Some(block), small, extras).map(Verdict::Send)
    }

    fn emit_request(&mut self, (pending, request): (PendingRequest, Request)) {
        self.last_request = self.last_request.wrapping_add(1);
        let id = RequestId(self.last_request);
        let Origin { peer, multicast, fingerprint, .. } = pending.origin.clone();
        self.pending_deadlines.set(pending.due, id);
        self.peers.set_pending(&peer, pending.origin.id, fingerprint, true);
        self.pending.insert(id, pending);
        self.emit(Output::Request { id, peer, request, fingerprint, multicast });
    }

    /// Removes a request that waits for the owner.
    pub(super) fn close(&mut self, id: RequestId) -> Option<PendingRequest> {
        let pending = self.pending.remove(&id)?;
        self.pending_deadlines.cancel(pending.due, id);
        let origin = &pending.origin;
        self.peers.set_pending(&origin.peer, origin.id, origin.fingerprint, false);
        if origin.acknowledged {
            self.release_answer(&origin.peer);
        }
        Some(pending)
    }

    /// Acknowledges requests that the owner has not answered yet, and drops those not answered in time.
    ///
    /// If too many separate responses to the peer are reserved, the request is not acknowledged: the peer retransmits it,
    /// and the answer is piggybacked later.
    pub(super) fn expire_pending(&mut self, now: Instant) {
        while let Some(id) = self.pending_deadlines.due(now) {
            let Some(pending) = self.pending.get_mut(&id) else { continue };
            if pending.origin.kind != Kind::Confirmable
                || pending.origin.acknowledged
                || pending.give_up <= now
            {
                self.close(id);
                self.counters.unanswered += 1;
                continue;
            }
            pending.due = pending.give_up;
            let (peer, message, due) = (pending.origin.peer.clone(), pending.origin.id, pending.due);
            self.pending_deadlines.set(due, id);
            if !self.reserve_answer(&peer) {
                continue;
            }
            if let Some(pending) = self.pending.get_mut(&id) {
                pending.origin.acknowledged = true;
            }
            let frame = Frame::empty(Kind::Acknowledgement, message);
            self.peers.answered(&peer, message, frame.clone(), &self.settings);
            self.send(&peer, frame);
        }
    }
}

/// The request without its body, if it follows the rules (RFC 7252, 5.4 and 5.7).
fn read(origin: &Origin, message: &Message) -> Result<Request, Verdict> {
    let packet = &message.packet;
    let Some(method) = Method::of(message.code) else {
        return Err(refuse(Code::METHOD_NOT_ALLOWED, "unknown method"));
    };
    for proxy in [options::PROXY_URI, options::PROXY_SCHEME] {
        if options::value(packet, proxy).is_some() {
            return Err(refuse(Code::PROXYING_NOT_SUPPORTED, "this is no proxy"));
        }
    }
    if let Some(number) = options::unacceptable(packet) {
        return Err(match (origin.kind, origin.multicast) {
            (Kind::Confirmable, _) => {
                refuse(Code::BAD_OPTION, format!("option {number} is unknown or malformed"))
            }
            // A NON with such an option is rejected silently (RFC 7252, 5.4.1).
            (_, false) => Verdict::Reset,
            (_, true) => Verdict::Send(Part::nothing()),
        });
    }
    Request::from_packet(method, origin.kind == Kind::Confirmable, packet)
        .ok_or_else(|| refuse(Code::BAD_OPTION, "a path or query that is not text, or is . or .."))
}

fn refuse(code: Code, why: impl Into<Bytes>) -> Verdict {
    Verdict::RecordedAnswer(Box::new(Response::error(code, why)), Extras::default())
}

pub(super) fn block_out_of_range() -> Response {
    Response::error(Code::BAD_REQUEST, "a block behind the end of the body")
}

fn service_unavailable() -> Response {
    Response::error(Code::SERVICE_UNAVAILABLE, "no room for this now").with_max_age(RETRY_AFTER)
}
