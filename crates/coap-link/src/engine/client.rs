//! Our requests: sent, with large bodies in blocks, and followed until they are answered; observations until they end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use coap_lite::Packet;
use rand::RngExt;

use super::retransmit::{Outcome, Purpose, QueuedMessage};
use super::{Engine, Output};
use crate::Peer;
use crate::block::{Block, BlockSize};
use crate::deadlines::Deadlines;
use crate::message::{Frame, Kind, Token, encode_tail};
use crate::options;
use crate::request::{Observe, Request};
use crate::response::Response;

/// One of our requests, identified by the token of its first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ExchangeId(pub(super) Token);

/// Why a request cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The most requests that the settings allow are in progress.
    #[error("{limit} requests are under way already: wait for answers")]
    TooMany { limit: usize },
    /// The most messages that the settings allow are queued for this peer.
    #[error("too many messages wait for {peer}: it answers slowly or not at all")]
    Busy { peer: Peer },
    /// A path segment, query or host of more than 255 bytes, or a body of more than 2^20 blocks.
    #[error(
        "a path segment, argument or host has more than 255 bytes, or the body more than a million blocks"
    )]
    Unencodable,
}

/// Why a request has no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// No acknowledgement after all retransmissions, or no response after the acknowledgement.
    #[error("no answer: the device is off, out of reach or overloaded")]
    TimedOut,
    /// The peer has answered with a reset.
    #[error("reset by the other side: it does not take such a request")]
    Reset,
    /// The response body exceeds the limit of the settings.
    #[error("the response has more than {limit} bytes")]
    TooLarge { limit: usize },
    /// The blocks of the response do not belong together.
    #[error("the response's blocks do not belong together: it changed while it was fetched")]
    BlocksMismatch,
    /// The DTLS session has ended.
    #[error("the session with the device has ended")]
    Closed,
    /// The next block does not fit into the send queue.
    #[error("too many messages wait for the device")]
    Busy,
}

/// The purpose of an exchange's timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The response must arrive before it.
    Response,
    /// No notification arrived: register again.
    Renew,
}

/// The last notification (RFC 7641, 3.4).
#[derive(Debug, Clone, Copy)]
pub(super) struct LastNotification {
    pub(super) sequence: u32,
    pub(super) at: Instant,
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) peer: Peer,
    pub(super) request: Request,
    /// The token of the message in flight: the exchange's own, except for further blocks.
    pub(super) token: Token,
    /// The bytes of the request body that the peer has received.
    pub(super) uploaded: usize,
    pub(super) block_size: BlockSize,
    /// The response received so far.
    pub(super) response: Option<Response>,
    pub(super) body: BytesMut,
    /// The Block2 option of the next request.
    pub(super) wanted: Option<Block>,
    pub(super) last_notification: Option<LastNotification>,
    /// A registration is unanswered. Its answer counts whatever its sequence number, which stays the same if the state is
    /// unchanged.
    pub(super) asking: bool,
    /// The owner has the first response; what follows are notifications.
    pub(super) answered: bool,
    pub(super) echo: Option<Vec<u8>>,
    pub(super) timer: Option<(Instant, Timer)>,
    /// The message id of a NON.
    pub(super) message: Option<u16>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) exchanges: HashMap<ExchangeId, Exchange>,
    /// The exchange of each token.
    pub(super) tokens: HashMap<Token, ExchangeId>,
    pub(super) due: Deadlines<ExchangeId>,
}

impl Client {
    pub(super) fn new() -> Self {
        Self { exchanges: HashMap::new(), tokens: HashMap::new(), due: Deadlines::default() }
    }
}

impl Engine {
    /// Sends a request; its [`Output::Response`] carries the token that this returns.
    ///
    /// A body larger than the block size is sent in blocks, and a response in blocks is reassembled. With
    /// [`Observe::Register`] notifications follow as [`Output::Notification`], unless the response says that the
    /// resource cannot be observed.
    ///
    /// # Errors
    /// [`RequestError`]; nothing was sent.
    pub fn request(&mut self, peer: &Peer, request: Request, now: Instant) -> Result<Token, RequestError> {
        let limit = self.settings.exchanges;
        if self.client.exchanges.len() >= limit {
            return Err(RequestError::TooMany { limit });
        }
        let block_size = self.settings.block_size;
        if !request.is_encodable() || request.payload.len() / block_size.bytes() > Block::LAST as usize {
            return Err(RequestError::Unencodable);
        }
        let token = Token::from_u64(self.rng.random());
        let id = ExchangeId(token);
        let exchange = Exchange {
            peer: peer.clone(),
            request,
            token,
            uploaded: 0,
            block_size,
            response: None,
            body: BytesMut::new(),
            wanted: None,
            last_notification: None,
            asking: true,
            answered: false,
            echo: None,
            timer: None,
            message: None,
        };
        self.client.tokens.insert(token, id);
        self.client.exchanges.insert(id, exchange);
        if self.send_request(id, now).is_err() {
            self.end_exchange(id, now);
            return Err(RequestError::Busy { peer: peer.clone() });
        }
        Ok(token)
    }

    /// Cancels a request or an observation without a further output. An observation is deregistered at the peer.
    pub fn cancel(&mut self, token: Token, now: Instant) {
        let Some(exchange) = self.end_exchange(ExchangeId(token), now) else { return };
        if exchange.last_notification.is_none() {
            return;
        }
        let mut packet = exchange.request.to_packet();
        options::add_number(&mut packet, options::OBSERVE, Observe::DEREGISTER);
        let code = exchange.request.method.code();
        let frame = Frame { kind: Kind::Confirmable, code, id: 0, token, tail: encode_tail(&packet) };
        // If the queue is full, the next notification is answered with a reset, which has the same effect.
        let _ = self.confirm(
            &exchange.peer,
            QueuedMessage::Message(frame, Purpose::Request(ExchangeId(token))),
            now,
        );
    }

    /// The session with `peer` has ended, and with it its observations and our requests to it (RFC 7252, 9.1).
    pub fn closed(&mut self, peer: &Peer, now: Instant) {
        for observer in self.observers.of_peer(peer) {
            self.observer_gone(peer, observer);
        }
        let of_peer = self.client.exchanges.iter().filter(|(_, exchange)| exchange.peer == *peer);
        for id in of_peer.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail(id, RequestFailure::Closed, now);
        }
    }

    /// Sends the next message of the exchange.
    pub(super) fn send_request(&mut self, id: ExchangeId, now: Instant) -> Result<(), RequestFailure> {
        let Some(exchange) = self.client.exchanges.get_mut(&id) else { return Ok(()) };
        let packet = exchange.packet(id);
        let code = exchange.request.method.code();
        let (peer, token) = (exchange.peer.clone(), exchange.token);
        let tail = encode_tail(&packet);
        if exchange.request.confirmable {
            let frame = Frame { kind: Kind::Confirmable, code, id: 0, token, tail };
            let message = QueuedMessage::Message(frame, Purpose::Request(id));
            return self.confirm(&peer, message, now).map_err(|_| RequestFailure::Busy);
        }
        let message = self.next_id(&peer);
        if let Some(exchange) = self.client.exchanges.get_mut(&id) {
            exchange.message = Some(message);
        }
        self.send(&peer, Frame { kind: Kind::NonConfirmable, code, id: message, token, tail });
        self.set_timer(id, now + self.settings.response_within, Timer::Response);
        Ok(())
    }

    /// The request's message was acknowledged, reset, or has timed out.
    pub(super) fn request_confirmed(&mut self, id: ExchangeId, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Acknowledged => {
                self.set_timer(id, now + self.settings.response_within, Timer::Response);
            }
            Outcome::Reset => self.fail(id, RequestFailure::Reset, now),
            Outcome::TimedOut => self.fail(id, RequestFailure::TimedOut, now),
        }
    }

    /// The reset of one of our NONs.
    pub(super) fn request_reset(&mut self, peer: &Peer, message: u16, now: Instant) {
        let is_it = |exchange: &Exchange| exchange.message == Some(message) && exchange.peer == *peer;
        let found = self.client.exchanges.iter().find(|(_, exchange)| is_it(exchange)).map(|(id, _)| *id);
        if let Some(id) = found {
            self.fail(id, RequestFailure::Reset, now);
        }
    }

    pub(super) fn expire_exchanges(&mut self, now: Instant) {
        while let Some(id) = self.client.due.due(now) {
            let Some(exchange) = self.client.exchanges.get_mut(&id) else { continue };
            match exchange.timer.take() {
                Some((_, Timer::Renew)) => {
                    exchange.begin_again(id);
                    exchange.asking = true;
                    if let Err(failure) = self.send_request(id, now) {
                        self.fail(id, failure, now);
                    }
                }
                _ => self.fail(id, RequestFailure::TimedOut, now),
            }
        }
    }

    pub(super) fn fail(&mut self, id: ExchangeId, failure: RequestFailure, now: Instant) {
        if let Some(exchange) = self.end_exchange(id, now) {
            self.emit(Output::Response {
                token: id.0,
                peer: exchange.peer,
                result: Err(failure),
                observing: false,
            });
        }
    }

    pub(super) fn end_exchange(&mut self, id: ExchangeId, now: Instant) -> Option<Exchange> {
        let exchange = self.client.exchanges.remove(&id)?;
        self.client.tokens.remove(&id.0);
        self.client.tokens.remove(&exchange.token);
        if let Some((at, _)) = exchange.timer {
            self.client.due.cancel(at, id);
        }
        self.withdraw(&exchange.peer, id, now);
        Some(exchange)
    }

    pub(super) fn set_timer(&mut self, id: ExchangeId, at: Instant, timer: Timer) {
        self.cancel_timer(id);
        if let Some(exchange) = self.client.exchanges.get_mut(&id) {
            exchange.timer = Some((at, timer));
            self.client.due.set(at, id);
        }
    }

    pub(super) fn cancel_timer(&mut self, id: ExchangeId) {
        let timer = self.client.exchanges.get_mut(&id).and_then(|exchange| exchange.timer.take());
        if let Some((at, _)) = timer {
            self.client.due.cancel(at, id);
        }
    }

    /// Uses a new token for the exchange's next message, so that a notification is not mistaken for its answer
    /// (RFC 7959, 3.4).
    pub(super) fn new_token(&mut self, id: ExchangeId) {
        let token = Token::from_u64(self.rng.random());
        let Some(exchange) = self.client.exchanges.get_mut(&id) else { return };
        if exchange.token != id.0 {
            self.client.tokens.remove(&exchange.token);
        }
        exchange.token = token;
        self.client.tokens.insert(token, id);
    }

    /// When to register again without a notification: 5 to 15 s after the state is stale (RFC 7641, 3.3.1).
    pub(super) fn renew_at(&mut self, response: &Response, now: Instant) -> Instant {
        const LONGEST: Duration = Duration::from_secs(24 * 3_600);
        let spread = Duration::from_secs(5) + Duration::from_secs(10).mul_f64(self.rng.random());
        now + response.freshness().min(LONGEST) + spread
    }
}

impl Exchange {
    /// Starts again with the first message, as for a new request.
    pub(super) fn begin_again(&mut self, id: ExchangeId) {
        self.token = id.0;
        self.uploaded = 0;
        self.wanted = None;
        self.response = None;
        self.body.clear();
        self.echo = None;
    }

    /// The options and payload of the next message.
    fn packet(&self, id: ExchangeId) -> Packet {
        let mut packet = self.request.to_packet();
        let first = self.token == id.0;
        if first && self.request.observe == Some(Observe::Register) {
            options::add_number(&mut packet, options::OBSERVE, Observe::REGISTER);
        }
        if let Some(echo) = &self.echo {
            options::add(&mut packet, options::ECHO, echo);
        }
        let body = &self.request.payload;
        let tagged = body.len() > self.block_size.bytes();
        if tagged {
            // Repeated for further blocks, because some servers find the response by it.
            options::add(&mut packet, options::REQUEST_TAG, id.0.as_bytes());
        }
        if let Some(block) = self.wanted {
            block.add_to(&mut packet, options::BLOCK2);
            return packet;
        }
        let end = body.len().min(self.uploaded.saturating_add(self.block_size.bytes()));
        packet.payload = body.get(self.uploaded..end).unwrap_or_default().to_vec();
        if tagged && let Some(block) = Block::at(self.uploaded, self.block_size, body.len()) {
            block.add_to(&mut packet, options::BLOCK1);
            if block.number == 0 {
                let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
                options::add_number(&mut packet, options::SIZE1, size);
            }
        }
        packet
    }
}
