//! What a connection has to send to its socket.

use std::sync::Arc;

use bytes::Bytes;

use super::connection::{ConnectionKey, Outgoing, OutgoingPublish};
use super::message::Message;
use super::{Engine, Now, SessionKey};
use crate::packet::{PublishHeader, QoS, Version, encode_publish_header};

/// Bytes to send, in pieces: a large payload is shared with the other receivers, not copied.
#[derive(Debug, Default)]
pub struct Output {
    pub pieces: Vec<Bytes>,
    /// Copied bytes that follow `pieces`.
    pub tail: Vec<u8>,
    length: usize,
}

/// A payload of this size is not copied.
const SHARED: usize = 4096;

/// Packets that one call takes, at most.
const MOST_PACKETS: usize = 500;

/// What remains after a call of [`Engine::output`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing: wait until the connection is woken.
    Nothing,
    /// Call again.
    More,
    /// Call again, after the others have had their turn.
    Later,
    /// After these bytes the connection must be closed.
    Close,
}

impl Output {
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn clear(&mut self) {
        self.pieces.clear();
        self.tail.clear();
        self.length = 0;
    }

    fn share(&mut self, payload: &Bytes) {
        if payload.len() < SHARED {
            self.tail.extend_from_slice(payload);
        } else {
            if !self.tail.is_empty() {
                self.pieces.push(Bytes::from(std::mem::take(&mut self.tail)));
            }
            self.pieces.push(payload.clone());
        }
    }
}

impl Engine {
    /// Takes up to about `most` bytes of what the connection has to send.
    pub fn output(&mut self, key: ConnectionKey, into: &mut Output, most: usize, now: Now) -> Rest {
        let Some(connection) = self.connection_mut(key) else { return Rest::Close };
        connection.woken = false;
        let session = connection.session;
        let mut packets = 0;
        loop {
            let Some(connection) = self.connection_mut(key) else { return Rest::Close };
            let Some(outgoing) = connection.outgoing.pop_front() else { break };
            match outgoing {
                Outgoing::Encoded(bytes) => {
                    connection.answer_bytes -= bytes.len();
                    into.tail.extend_from_slice(&bytes);
                    into.length += bytes.len();
                    self.stats.bytes_sent += bytes.len() as u64;
                }
                Outgoing::Publish(publish) => self.encode(key, session, &publish, into, now),
                // Only clients within the process get it, and they have no socket.
                Outgoing::Acked { .. } => {}
            }
            packets += 1;
            self.work += 1;
            if into.length >= most || packets >= MOST_PACKETS {
                return Rest::More;
            }
        }
        let Some(connection) = self.connection(key) else { return Rest::Close };
        if connection.closing.is_some() {
            return Rest::Close;
        }
        self.pump(session, now);
        let more = self.continue_scans(session, now);
        let Some(connection) = self.connection_mut(key) else { return Rest::Close };
        match (connection.outgoing.is_empty(), more) {
            (false, _) => Rest::More,
            (true, true) => Rest::Later,
            (true, false) => Rest::Nothing,
        }
    }

    /// Whether the connection must be closed, once it has sent what it has to send.
    #[must_use]
    pub fn is_closing(&self, key: ConnectionKey) -> bool {
        self.connection(key).is_none_or(|one| one.closing.is_some())
    }

    fn encode(
        &mut self,
        key: ConnectionKey,
        session: SessionKey,
        publish: &OutgoingPublish,
        into: &mut Output,
        now: Now,
    ) {
        let message = &publish.message;
        let Some(connection) = self.connections.get_mut(key.index as usize) else { return };
        if publish.qos == QoS::AtMostOnce {
            let cost = message.cost();
            connection.outgoing_bytes = connection.outgoing_bytes.saturating_sub(cost);
            self.memory.give_back(cost);
            if connection.outgoing_bytes == 0
                && let Some(session) = self.sessions.get_mut(session).filter(|one| one.queue.is_empty())
            {
                session.reported_full = false;
            }
        }
        let (topic, topic_alias, is_new_alias) = alias(connection, message);
        let header = PublishHeader {
            version: connection.version,
            dup: publish.dup,
            qos: publish.qos,
            retain: publish.retain,
            topic,
            packet_id: publish.packet_id,
            properties: &message.properties,
            expiry: message.remaining_expiry(now),
            topic_alias,
            subscription_ids: &publish.subscription_ids,
            payload_length: message.payload.len(),
        };
        let length = header.packet_length();
        // A message that is too large for the client counts as sent ([MQTT-3.1.2-25]).
        if length > connection.maximum_packet_size as usize {
            self.skip_too_large(session, publish);
            return;
        }
        encode_publish_header(&mut into.tail, &header);
        if let (true, Some(alias)) = (is_new_alias, topic_alias) {
            connection.aliases_out.insert(Arc::clone(&message.topic), alias);
        }
        into.share(&message.payload);
        into.length += length;
        self.stats.messages_sent += 1;
        self.stats.publish_sent += 1;
        self.stats.bytes_sent += length as u64;
        self.stats.publish_bytes_sent += message.payload.len() as u64;
    }

    fn skip_too_large(&mut self, session_key: SessionKey, publish: &OutgoingPublish) {
        self.stats.dropped.too_large += 1;
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let (client, topic) = (Arc::clone(&session.client), Arc::clone(&publish.message.topic));
        let index = session.in_flight.iter().position(|one| one.packet_id == publish.packet_id);
        let skipped = index.and_then(|index| session.in_flight.remove(index));
        if publish.qos != QoS::AtMostOnce
            && let Some(skipped) = skipped
        {
            self.finish_delivery(session_key, &skipped.queued);
        }
        self.events.tell(|| super::Event::TooLarge { client, topic });
    }
}

/// Topic and alias to send: an alias alone if the client knows it, both if it learns it now (MQTT 5, section 3.3.2.3.4).
/// Then the last value is true, and the alias is to be entered once it is sent.
fn alias<'a>(
    connection: &super::connection::Connection,
    message: &'a Message,
) -> (&'a str, Option<u16>, bool) {
    if connection.version != Version::V5 || connection.alias_maximum == 0 {
        return (&message.topic, None, false);
    }
    if let Some(alias) = connection.aliases_out.get(&message.topic) {
        return ("", Some(*alias), false);
    }
    let next = u16::try_from(connection.aliases_out.len()).unwrap_or(u16::MAX).saturating_add(1);
    let is_free = next <= connection.alias_maximum;
    (&message.topic, is_free.then_some(next), is_free)
}
