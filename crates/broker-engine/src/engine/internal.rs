//! Clients within the process, such as bridges: sessions like all others, which exchange messages instead of bytes.
//!
//! Guarantees: their sessions are kept until [`Engine::end_internal_sessions`]; a message waits for them until
//! [`Engine::internal_done`]; what they publish does not come back to them.

use std::sync::Arc;

use super::connect::{Internal, Peer};
use super::connection::{ConnectionKey, Outgoing, OutgoingPublish};
use super::message::Message;
use super::publish::{LocalPublish, Received};
use super::wills::Closed;
use super::{Engine, Now, SessionKey};
use crate::packet::{Connect, MessageProperties, Publish, QoS, RetainHandling, SubscribeFilter, Version};
use crate::reason::Reason;
use crate::topic::is_topic_name;

/// A client within the process.
#[derive(Debug, Clone, Copy)]
pub struct InternalClient<'a> {
    /// Its client id, which no other client may have.
    pub id: &'a str,
    /// Bytes of the messages that wait for it.
    pub queue_bytes: usize,
    /// QoS 1 messages that it takes at once.
    pub window: u16,
    /// What it subscribes to, at QoS 1, with the retain flag as published, and without what it publishes itself.
    pub filters: &'a [String],
    /// Whether it gets the retained messages of subscriptions that it has already, too.
    pub wants_all_retained: bool,
}

/// A message of such a client.
#[derive(Debug, Clone, Copy)]
pub struct InternalPublish<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub retain: bool,
    /// Whether the client has published it before, and does not know what became of it.
    pub dup: bool,
    /// Comes back in [`InternalOutput::Acked`]; 0: nobody wants to know.
    pub packet_id: u16,
}

/// What such a client gets.
#[derive(Debug, Clone)]
pub enum InternalOutput {
    Message(InternalDelivery),
    /// A message of the client is where it must be, or was refused.
    Acked {
        packet_id: u16,
        reason: Reason,
    },
    /// The connection must be closed and may be opened again: an adapter did not take a message, or the broker stops.
    Closed,
}

/// A message for such a client.
#[derive(Debug, Clone)]
pub struct InternalDelivery {
    pub message: Arc<Message>,
    /// To be acknowledged with [`Engine::internal_done`]; 0 at QoS 0.
    pub packet_id: u16,
    pub retain: bool,
}

/// What a PUBLISH has at most besides topic, payload and properties.
const HEAD_BYTES: usize = 16;

impl Engine {
    /// Connects a client within the process. Its subscriptions become those of `client`; if there is an older connection, it
    /// ends, and what it had not acknowledged comes again.
    ///
    /// # Errors
    /// The session or a subscription cannot be stored.
    pub fn connect_internal(
        &mut self,
        client: InternalClient<'_>,
        now: Now,
    ) -> Result<ConnectionKey, Reason> {
        if let Some(old) = self.internal_session(client.id).and_then(|one| self.sessions.get(one)?.connection)
        {
            self.close(old, Closed::ByClient, now);
        }
        let connect = Connect {
            client_id: client.id,
            receive_maximum: client.window,
            session_expiry: u32::MAX,
            ..Connect::EMPTY
        };
        let internal = Some(Internal { queue_bytes: client.queue_bytes });
        let peer = Peer { user: None, new_client_id: String::new(), internal };
        let key = self.connect(&connect, peer, now).map_err(|refused| refused.reason)?;
        if let Err(reason) = self.set_filters(key, client, now) {
            self.close(key, Closed::ByClient, now);
            return Err(reason);
        }
        Ok(key)
    }

    fn internal_session(&self, id: &str) -> Option<SessionKey> {
        self.by_client_id.of(id).first().copied()
    }

    fn set_filters(
        &mut self,
        key: ConnectionKey,
        client: InternalClient<'_>,
        now: Now,
    ) -> Result<(), Reason> {
        let InternalClient { filters, wants_all_retained, .. } = client;
        let Some(session) = self.connection(key).map(|one| one.session) else { return Ok(()) };
        let old = self.sessions.get(session).map(|one| one.subscriptions.keys().cloned().collect::<Vec<_>>());
        let old = old.unwrap_or_default();
        for filter in old.iter().filter(|old| !filters.iter().any(|new| ***old == *new)) {
            self.unsubscribe_one(session, filter);
        }
        let mut scans = Vec::new();
        let is_known = |new: &String| old.iter().any(|old| **old == **new);
        for filter in filters.iter().filter(|new| wants_all_retained || !is_known(new)) {
            let filter = SubscribeFilter {
                filter,
                qos: QoS::AtLeastOnce,
                no_local: true,
                retain_as_published: true,
                retain_handling: RetainHandling::Always,
            };
            self.subscribe_one(session, &filter, None, &mut scans)?;
        }
        self.begin_scans(session, scans, now);
        Ok(())
    }

    /// Ends the sessions of clients within the process that are not needed any more: those whose id begins with `prefix`
    /// and is none of `needed`.
    pub fn end_internal_sessions(&mut self, prefix: &str, needed: &[&str], now: Now) {
        let sessions = self.sessions.iter();
        let unneeded = sessions
            .filter(|(_, one)| one.client.starts_with(prefix) && !needed.contains(&&*one.client))
            .map(|(key, _)| key);
        for key in unneeded.collect::<Vec<_>>() {
            self.end_session(key, now);
        }
    }

    /// Publishes a message of the client. Returns what adapters must take.
    pub fn internal_publish(
        &mut self,
        key: ConnectionKey,
        publish: InternalPublish<'_>,
        now: Now,
    ) -> Option<LocalPublish> {
        let InternalPublish { topic, payload, retain, dup, packet_id } = publish;
        let qos = if packet_id == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let properties = MessageProperties::default();
        let publish = Publish { dup, qos, retain, topic, packet_id, properties, payload };
        if !is_topic_name(topic) {
            self.stats.dropped.not_permitted += 1;
            self.acknowledge(key, &publish, Reason::TopicNameInvalid, None, 0);
            return None;
        }
        // Nobody could be sent it, and it would be too large for a record.
        if HEAD_BYTES + topic.len() + payload.len() > self.limits.packet_bytes as usize {
            self.stats.dropped.too_large += 1;
            self.acknowledge(key, &publish, Reason::PacketTooLarge, None, 0);
            return None;
        }
        match self.on_publish(key, &publish, now) {
            Ok(Received::Local(local)) => Some(local),
            Ok(Received::Nothing) => None,
            // Retained messages are turned off.
            Err(_) => match self.on_publish(key, &Publish { retain: false, ..publish }, now) {
                Ok(Received::Local(local)) => Some(local),
                _ => None,
            },
        }
    }

    /// What the client gets next, if there is something; without `wants_messages`, messages wait. [`Self::take_woken`] tells
    /// when to ask again.
    pub fn internal_output(
        &mut self,
        key: ConnectionKey,
        wants_messages: bool,
        now: Now,
    ) -> Option<InternalOutput> {
        let Some(session) = self.connection_mut(key).map(|connection| {
            connection.woken = false;
            connection.session
        }) else {
            return Some(InternalOutput::Closed);
        };
        self.pump(session, now);
        let more = self.continue_scans(session, now);
        let connection = self.connection_mut(key)?;
        let next = connection.outgoing.iter().position(|one| match one {
            Outgoing::Acked { .. } => true,
            Outgoing::Publish(_) => wants_messages,
            // CONNACK and DISCONNECT.
            Outgoing::Encoded(_) => false,
        });
        match next.and_then(|index| connection.outgoing.remove(index)) {
            Some(Outgoing::Publish(publish)) => {
                Some(InternalOutput::Message(self.internal_delivery(key, publish)))
            }
            Some(Outgoing::Acked { packet_id, reason }) => Some(InternalOutput::Acked { packet_id, reason }),
            _ if connection.closing.is_some() => Some(InternalOutput::Closed),
            _ => {
                if more {
                    self.wake(key);
                }
                None
            }
        }
    }

    fn internal_delivery(&mut self, key: ConnectionKey, publish: OutgoingPublish) -> InternalDelivery {
        let OutgoingPublish { message, packet_id, qos, retain, .. } = publish;
        if qos == QoS::AtMostOnce
            && let Some(connection) = self.connection_mut(key)
        {
            let cost = message.cost();
            connection.outgoing_bytes = connection.outgoing_bytes.saturating_sub(cost);
            self.memory.give_back(cost);
        }
        self.stats.publish_sent += 1;
        InternalDelivery { message, packet_id, retain }
    }

    /// The client has taken the message with this packet identifier, or will never take it.
    pub fn internal_done(&mut self, key: ConnectionKey, packet_id: u16, taken: bool, now: Now) {
        self.stats.dropped.bridge_refused += u64::from(!taken);
        let Some(session_key) = self.connection(key).map(|one| one.session) else { return };
        let Some(session) = self.sessions.get_mut(session_key) else { return };
        let index = session.in_flight.iter().position(|one| one.packet_id == packet_id);
        if let Some(done) = index.and_then(|index| session.in_flight.remove(index)) {
            self.finish_delivery(session_key, &done.queued);
        }
        self.pump(session_key, now);
        self.wake(key);
    }

    /// Bytes of the messages that wait for the client.
    #[must_use]
    pub fn waiting_bytes(&self, key: ConnectionKey) -> usize {
        let session = self.connection(key).and_then(|one| self.sessions.get(one.session));
        session.map_or(0, |one| one.queue_bytes)
    }
}

impl Connect<'static> {
    /// Of a client that asks for nothing special.
    const EMPTY: Self = Self {
        version: Version::V5,
        is_bridge: false,
        clean_start: false,
        keep_alive: 0,
        client_id: "",
        user: None,
        password: None,
        will: None,
        session_expiry: 0,
        receive_maximum: u16::MAX,
        maximum_packet_size: u32::MAX,
        topic_alias_maximum: 0,
        wants_problem_information: false,
        authentication_method: None,
    };
}
