//! Responses to our requests: matching, reassembly from blocks, and the order of notifications.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{ExchangeId, LastNotification, RequestFailure, Timer};
use super::{Engine, Output};
use crate::Peer;
use crate::block::{Block, BlockSize};
use crate::code::Code;
use crate::message::Message;
use crate::options;
use crate::request::Observe;
use crate::response::Response;

/// After this time any notification counts as newer (RFC 7641, 3.4).
const ANY_IS_NEWER: Duration = Duration::from_secs(128);

/// What a response requires.
enum ResponseStep {
    /// Send the next message of the exchange.
    SendNext,
    /// The response is complete.
    Complete(Response),
    Failed(RequestFailure),
}

impl Engine {
    /// Handles a response; returns whether it belongs to one of our requests.
    pub(super) fn response_arrived(&mut self, peer: &Peer, message: &Message, now: Instant) -> bool {
        let Some(id) = self.client.tokens.get(&message.token).copied() else { return false };
        if self.client.exchanges.get(&id).is_none_or(|exchange| exchange.peer != *peer) {
            return false;
        }
        let sequence = options::number(&message.packet, options::OBSERVE);
        let is_first = message.token == id.0;
        if is_first && !self.is_expected(id, sequence, now) {
            return true;
        }
        self.confirmed_by_response(peer, id, now);
        self.cancel_timer(id);
        if is_first {
            self.abandon_fetch(id, now);
        }
        match self.next(id, message, sequence, now) {
            ResponseStep::SendNext => {
                if let Err(failure) = self.send_request(id, now) {
                    self.fail(id, failure, now);
                }
            }
            ResponseStep::Complete(response) => self.complete(id, response, now),
            ResponseStep::Failed(failure) => self.fail(id, failure, now),
        }
        true
    }

    /// Stops fetching the blocks of an older notification.
    fn abandon_fetch(&mut self, id: ExchangeId, now: Instant) {
        let Some(exchange) = self.client.exchanges.get_mut(&id) else { return };
        if exchange.token == id.0 {
            return;
        }
        self.client.tokens.remove(&exchange.token);
        exchange.begin_again(id);
        let peer = exchange.peer.clone();
        self.withdraw(&peer, id, now);
    }

    /// Whether a response with the exchange's own token is expected, or is a newer notification.
    fn is_expected(&self, id: ExchangeId, sequence: Option<u32>, now: Instant) -> bool {
        let Some(exchange) = self.client.exchanges.get(&id) else { return false };
        let Some(last_notification) = exchange.last_notification.filter(|_| !exchange.asking) else {
            return true;
        };
        // Without the option it ends the observation or is late; the end must not be missed.
        sequence.is_none_or(|sequence| is_newer(last_notification, sequence, now))
    }

    fn next(
        &mut self,
        id: ExchangeId,
        message: &Message,
        sequence: Option<u32>,
        now: Instant,
    ) -> ResponseStep {
        let packet = &message.packet;
        let (Ok(block1), Ok(block2)) =
            (Block::of(packet, options::BLOCK1), Block::of(packet, options::BLOCK2))
        else {
            return ResponseStep::Failed(RequestFailure::BlocksMismatch);
        };
        let limit = self.settings.response_body;
        let largest = self.settings.block_size;
        let Some(exchange) = self.client.exchanges.get_mut(&id) else {
            return ResponseStep::Failed(RequestFailure::BlocksMismatch);
        };
        if message.code == Code::UNAUTHORIZED
            && exchange.echo.is_none()
            && let Some(echo) = options::value(packet, options::ECHO)
        {
            exchange.echo = Some(echo.to_vec());
            return ResponseStep::SendNext;
        }
        if let Some(next) = block1.and_then(|block| exchange.upload(message.code, block)) {
            return next;
        }
        if message.token == id.0 {
            exchange.asking = false;
            exchange.last_notification = match (sequence, exchange.request.observe) {
                (Some(sequence), Some(Observe::Register)) if message.code.is_success() => {
                    Some(LastNotification { sequence, at: now })
                }
                _ => None,
            };
        }
        let next = exchange.download(message, block2, largest, limit);
        if matches!(next, ResponseStep::SendNext) {
            self.new_token(id);
        }
        next
    }

    fn complete(&mut self, id: ExchangeId, response: Response, now: Instant) {
        let Some(exchange) = self.client.exchanges.get_mut(&id) else { return };
        let (token, peer, observing) = (id.0, exchange.peer.clone(), exchange.last_notification.is_some());
        let answered = std::mem::replace(&mut exchange.answered, true);
        if exchange.token != token {
            self.client.tokens.remove(&exchange.token);
        }
        exchange.begin_again(id);
        if observing {
            let at = self.renew_at(&response, now);
            self.set_timer(id, at, Timer::Renew);
        } else {
            self.end_exchange(id, now);
        }
        self.emit(if observing && answered {
            Output::Notification { token, peer, response }
        } else {
            Output::Response { token, peer, result: Ok(response), observing }
        });
    }
}

impl super::client::Exchange {
    /// Handles the answer to a block of the request body; `None` if it is the response to the request.
    fn upload(&mut self, code: Code, block: Block) -> Option<ResponseStep> {
        let total = self.request.payload.len();
        if code == Code::CONTINUE {
            let sent = self.uploaded.saturating_add(self.block_size.bytes());
            if sent >= total {
                return Some(ResponseStep::Failed(RequestFailure::BlocksMismatch));
            }
            self.uploaded = sent;
            self.block_size = self.block_size.min(block.size);
            return Some(ResponseStep::SendNext);
        }
        let smaller = block.size < self.block_size && self.uploaded == 0 && total > block.size.bytes();
        if code == Code::REQUEST_ENTITY_TOO_LARGE && smaller {
            self.block_size = block.size;
            return Some(ResponseStep::SendNext);
        }
        None
    }

    /// Adds a response or a block of one.
    fn download(
        &mut self,
        message: &Message,
        block: Option<Block>,
        largest: BlockSize,
        limit: usize,
    ) -> ResponseStep {
        let payload = &message.packet.payload;
        let mut response = Response::from_packet(message.code, &message.packet);
        let Some(block) = block else {
            if payload.len() > limit {
                return ResponseStep::Failed(RequestFailure::TooLarge { limit });
            }
            response.payload = Bytes::copy_from_slice(payload);
            return ResponseStep::Complete(response);
        };
        if block.number == 0 {
            self.body.clear();
            self.response = None;
        }
        let belongs = self.response.as_ref().is_none_or(|first| {
            first.etag == response.etag && first.content_format == response.content_format
        });
        let whole_block =
            payload.len() == block.size.bytes() || (!block.more && payload.len() < block.size.bytes());
        if !belongs || !whole_block || block.offset() != self.body.len() {
            return ResponseStep::Failed(RequestFailure::BlocksMismatch);
        }
        if self.body.len().saturating_add(payload.len()) > limit {
            return ResponseStep::Failed(RequestFailure::TooLarge { limit });
        }
        self.body.extend_from_slice(payload);
        let mut first = self.response.take().unwrap_or(response);
        if !block.more {
            first.payload = self.body.split().freeze();
            return ResponseStep::Complete(first);
        }
        self.response = Some(first);
        let size = block.size.min(largest);
        let number = u32::try_from(self.body.len() / size.bytes()).unwrap_or(Block::LAST);
        self.wanted = Some(Block { number, more: false, size });
        ResponseStep::SendNext
    }
}

/// RFC 7641, 3.4.
fn is_newer(last_notification: LastNotification, sequence: u32, now: Instant) -> bool {
    const HALF: u32 = 1 << 23;
    let (last, new) = (last_notification.sequence, sequence);
    (last < new && new - last < HALF)
        || (last > new && last - new > HALF)
        || now.saturating_duration_since(last_notification.at) > ANY_IS_NEWER
}
