//! A message comes in: may it, to whom does it go, and when is it acknowledged.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use smallvec::SmallVec;

use super::acks::AckToken;
use super::connection::ConnectionKey;
use super::matching::{Match, Matches};
use super::message::{Message, Publisher};
use super::records::{Recipient, Record};
use super::session::Inbound;
use super::{Engine, Event, Now, SessionKey};
use crate::packet::{AckKind, Invalid, Publish, QoS, Version};
use crate::reason::Reason;
use crate::topic::is_topic_name;

/// A message for the gateway's adapters.
#[derive(Debug, Clone)]
pub struct LocalPublish {
    pub message: Arc<Message>,
    /// The adapters that subscribe to it, by number.
    pub adapters: SmallVec<[u16; 2]>,
    /// Whom to tell with [`Engine::adapter_done`] when one of them has taken it; `None` at QoS 0.
    pub token: Option<AckToken>,
    /// The client, its packet identifier, and whether it said that it sends the message again.
    pub origin: Option<(Arc<str>, u16, bool)>,
}

/// What a packet leads to besides answers.
#[derive(Debug, Clone)]
pub enum Received {
    Nothing,
    /// Adapters must take this message.
    Local(LocalPublish),
}

/// Where a message went.
#[derive(Debug)]
struct Routed {
    /// Somebody has a subscription that matches.
    matched: bool,
    adapters: SmallVec<[u16; 2]>,
    /// The record that must be stored.
    position: Option<u64>,
}

const NO_MEMORY: Invalid =
    Invalid { reason: Reason::QuotaExceeded, why: "the client holds too much memory (max_memory)" };
/// What a QoS 2 message that is not finished takes, about.
pub(crate) const INBOUND_BYTES: usize = 64;

impl Engine {
    pub(crate) fn on_publish(
        &mut self,
        key: ConnectionKey,
        publish: &Publish<'_>,
        now: Now,
    ) -> Result<Received, Invalid> {
        self.stats.publish_received += 1;
        self.stats.publish_bytes_received += publish.payload.len() as u64;
        let topic = self.topic_of(key, publish)?;
        let Some(connection) = self.connection_mut(key) else { return Ok(Received::Nothing) };
        let (session, version, is_internal) =
            (connection.session, connection.version, connection.is_internal);
        if publish.retain && !self.limits.retain {
            return Err(Invalid {
                reason: Reason::RetainNotSupported,
                why: "retained messages are turned off",
            });
        }
        if publish.qos == QoS::ExactlyOnce
            && let Some(state) =
                self.sessions.get(session).and_then(|one| one.inbound.get(&publish.packet_id))
        {
            return Ok(self.handle_duplicate(key, publish, &topic, *state));
        }
        // At QoS 1 the caller stops reading instead: many clients do not count.
        if publish.qos == QoS::ExactlyOnce {
            self.count_unfinished(key, version)?;
        }
        let Some(one) = self.sessions.get(session) else { return Ok(Received::Nothing) };
        let (client, user) = (Arc::clone(&one.client), one.user.clone());
        // The users' permissions are not for clients within the process.
        let publisher = (!is_internal).then(|| Publisher { user, client: Arc::clone(&client) });
        if let Some(refusal) = self.refusal(publisher.as_ref(), &topic) {
            self.acknowledge(key, publish, refusal, None, 0);
            return Ok(Received::Nothing);
        }
        if publish.payload.len() > self.limits.payload_bytes {
            self.stats.dropped.too_large += 1;
            self.events.tell(|| Event::PayloadTooLarge { client, topic: Arc::clone(&topic) });
            self.acknowledge(key, publish, Reason::PacketTooLarge, None, 0);
            return Ok(Received::Nothing);
        }
        if self.log.is_full() && publish.qos != QoS::AtMostOnce {
            // A message that needs no record would be safe, but who needs one is known only after it is routed.
            return self.refuse_for_disk(key, publish, version);
        }
        if publish.qos == QoS::ExactlyOnce && !self.hold(session, INBOUND_BYTES) {
            return Err(NO_MEMORY);
        }
        let message = Arc::new(message(topic, publish, publisher, now));
        let routed = self.route(&message, Some(session), now);
        let inbound = publish.qos == QoS::ExactlyOnce;
        if inbound && let Some(session) = self.sessions.get_mut(session) {
            session.inbound.insert(publish.packet_id, Inbound::Waiting);
        }
        let mut position = routed.position;
        if inbound && routed.adapters.is_empty() {
            position = self.record_inbound(session, publish.packet_id).max(position);
        }
        let reason = if routed.matched { Reason::Success } else { Reason::NoMatchingSubscribers };
        let token = self.acknowledge(key, publish, reason, position, routed.adapters.len());
        if routed.adapters.is_empty() {
            return Ok(Received::Nothing);
        }
        let origin = token.map(|_| (client, publish.packet_id, publish.dup));
        Ok(Received::Local(LocalPublish { message, adapters: routed.adapters, token, origin }))
    }

    /// A QoS 2 message that is known: it is not routed again. If adapters have not taken it yet, they get it again.
    fn handle_duplicate(
        &mut self,
        key: ConnectionKey,
        publish: &Publish<'_>,
        topic: &Arc<str>,
        state: Inbound,
    ) -> Received {
        if state == Inbound::Acknowledged {
            self.acknowledge(key, publish, Reason::Success, None, 0);
            return Received::Nothing;
        }
        let now = self.connection(key).map(|one| one.last_received);
        let (Some(now), Some(session)) = (now, self.connection(key).map(|one| one.session)) else {
            return Received::Nothing;
        };
        let adapters = self.adapters_of(topic);
        let position =
            if adapters.is_empty() { self.record_inbound(session, publish.packet_id) } else { None };
        let token = self.acknowledge(key, publish, Reason::Success, position, adapters.len());
        if adapters.is_empty() {
            return Received::Nothing;
        }
        let Some(one) = self.sessions.get(session) else { return Received::Nothing };
        let client = Arc::clone(&one.client);
        let publisher = Some(Publisher { user: one.user.clone(), client: Arc::clone(&client) });
        let message = Arc::new(message(Arc::clone(topic), publish, publisher, now));
        let origin = Some((client, publish.packet_id, publish.dup));
        Received::Local(LocalPublish { message, adapters, token, origin })
    }

    /// The topic, by name or alias (MQTT 5, section 3.3.2.3.4).
    fn topic_of(&mut self, key: ConnectionKey, publish: &Publish<'_>) -> Result<Arc<str>, Invalid> {
        const INVALID: Invalid =
            Invalid { reason: Reason::TopicAliasInvalid, why: "an unknown or forbidden topic alias" };
        let Some(alias) = publish.properties.topic_alias else { return Ok(publish.topic.into()) };
        let most = self.limits.topic_aliases;
        let aliases = self.connection_mut(key).map(|one| &mut one.aliases_in).ok_or(INVALID)?;
        if alias == 0 || alias > most {
            return Err(INVALID);
        }
        let index = usize::from(alias) - 1;
        if publish.topic.is_empty() {
            let unknown = Invalid::protocol("the topic alias is not set");
            return aliases.get(index).cloned().flatten().ok_or(unknown);
        }
        if aliases.len() <= index {
            aliases.resize(index + 1, None);
        }
        let topic: Arc<str> = publish.topic.into();
        if let Some(place) = aliases.get_mut(index) {
            *place = Some(Arc::clone(&topic));
        }
        let bytes = aliases.iter().flatten().map(|topic| topic.len()).sum::<usize>();
        self.hold_aliases(key, bytes)?;
        Ok(topic)
    }

    fn hold_aliases(&mut self, key: ConnectionKey, bytes: usize) -> Result<(), Invalid> {
        let Some(connection) = self.connection_mut(key) else { return Ok(()) };
        let (session, old) = (connection.session, std::mem::take(&mut connection.alias_bytes));
        self.release(session, old);
        if !self.hold(session, bytes) {
            return Err(NO_MEMORY);
        }
        if let Some(connection) = self.connection_mut(key) {
            connection.alias_bytes = bytes;
        }
        Ok(())
    }

    /// Receive Maximum (MQTT 5, section 4.9). Version 3 has none: there the caller stops reading.
    fn count_unfinished(&mut self, key: ConnectionKey, version: Version) -> Result<(), Invalid> {
        let most = self.limits.in_flight;
        let Some(connection) = self.connection_mut(key) else { return Ok(()) };
        connection.unfinished = connection.unfinished.saturating_add(1);
        if version == Version::V5 && connection.unfinished > most {
            let why = "more messages on their way than Receive Maximum";
            return Err(Invalid { reason: Reason::ReceiveMaximumExceeded, why });
        }
        Ok(())
    }

    /// Why a message may not be published; nobody (`None`) may publish everything but reserved topics.
    pub(crate) fn refusal(&mut self, publisher: Option<&Publisher>, topic: &Arc<str>) -> Option<Reason> {
        let permitted = |by: &Publisher| self.policy.may_publish(by.user.as_deref(), &by.client, topic);
        if !is_reserved(topic) && publisher.is_none_or(permitted) {
            return None;
        }
        self.stats.dropped.not_permitted += 1;
        if let Some(Publisher { user, client }) = publisher {
            self.events.tell(|| Event::PublishRefused {
                client: Arc::clone(client),
                user: user.clone(),
                topic: Arc::clone(topic),
            });
        }
        Some(Reason::NotAuthorized)
    }

    fn refuse_for_disk(
        &mut self,
        key: ConnectionKey,
        publish: &Publish<'_>,
        version: Version,
    ) -> Result<Received, Invalid> {
        if version != Version::V5 {
            return Err(Invalid { reason: Reason::QuotaExceeded, why: "the disk takes no more messages" });
        }
        self.acknowledge(key, publish, Reason::QuotaExceeded, None, 0);
        Ok(Received::Nothing)
    }

    /// Prepares the acknowledgement, and sends it if nothing must come before.
    pub(crate) fn acknowledge(
        &mut self,
        key: ConnectionKey,
        publish: &Publish<'_>,
        reason: Reason,
        position: Option<u64>,
        adapters: usize,
    ) -> Option<AckToken> {
        let kind = match publish.qos {
            QoS::AtMostOnce => return None,
            QoS::AtLeastOnce => AckKind::Puback,
            QoS::ExactlyOnce => AckKind::Pubrec,
        };
        let position = position.filter(|position| *position > self.log.stored());
        let connection = self.connection_mut(key)?;
        // Version 3 can only accept ([MQTT-3.3.5-2] of 3.1.1).
        let reason = if connection.version == Version::V5 { reason } else { Reason::Success };
        let token = connection.acks.push(key, (kind, publish.packet_id), reason, position, adapters);
        self.release_acks(key);
        Some(token)
    }

    pub(crate) fn record_inbound(&mut self, session: SessionKey, packet_id: u16) -> Option<u64> {
        self.record(session, |session| Record::Inbound { session, packet_id })
    }

    /// Publishes a message of the gateway itself. Returns what adapters must take, and the position of the record that
    /// makes it safe, if it needs one.
    /// A topic that is none is not published.
    pub fn publish(&mut self, message: Message, now: Now) -> (Option<LocalPublish>, Option<u64>) {
        if !is_topic_name(&message.topic) {
            self.stats.dropped.not_permitted += 1;
            return (None, None);
        }
        let message = Arc::new(message);
        let routed = self.route(&message, None, now);
        let local = (!routed.adapters.is_empty()).then(|| LocalPublish {
            message,
            adapters: routed.adapters,
            token: None,
            origin: None,
        });
        (local, routed.position)
    }

    /// Gives a message to all who want it; `from` is the session that published it.
    fn route(&mut self, message: &Arc<Message>, from: Option<SessionKey>, now: Now) -> Routed {
        self.log.begin_change(message.payload.len() + message.properties.len());
        let Matches { sessions: matches, adapters, found_any, .. } = self.subscribers(message, from);
        self.work += matches.len() as u64;
        let mut routed = Routed { adapters, matched: found_any, position: None };
        let is_retained = message.retain && self.retain(message) == Some(true);
        let mut recipients: Vec<Recipient> = Vec::new();
        let mut queued: SmallVec<[SessionKey; 8]> = SmallVec::new();
        for Match { session, qos, retain_as_published, identifiers } in matches {
            let retain = message.retain && retain_as_published;
            if qos == QoS::AtMostOnce {
                self.send_at_most_once(session, message, retain, identifiers);
            } else {
                recipients.extend(self.enqueue(session, Arc::clone(message), qos, retain, identifiers));
                queued.push(session);
            }
        }
        if is_retained || !recipients.is_empty() {
            routed.position = Some(self.record_message(message, is_retained, recipients, now));
        }
        // After the record of the message, because its packet identifier may be a record too.
        for session in queued {
            self.pump(session, now);
        }
        routed
    }
}

/// Topics that clients do not publish to: the broker's own figures, and what looks like a shared subscription. A bridge of
/// another broker says under `$SYS` whether it is connected.
fn is_reserved(topic: &str) -> bool {
    let is_bridge_state = |rest: &str| rest.split_once('/').is_some_and(|(_, last)| last == "state");
    match topic.strip_prefix("$SYS") {
        Some(rest) => !rest.strip_prefix("/broker/connection/").is_some_and(is_bridge_state),
        None => topic.starts_with("$share/"),
    }
}

/// Copies what the packet borrows.
pub(crate) fn message(
    topic: Arc<str>,
    publish: &Publish<'_>,
    publisher: Option<Publisher>,
    now: Now,
) -> Message {
    Message {
        topic,
        payload: Bytes::copy_from_slice(publish.payload),
        qos: publish.qos,
        retain: publish.retain,
        properties: joined(publish.properties.passed_on()),
        expires: publish.properties.expiry.map(|seconds| now.monotonic + u64::from(seconds) * 1000),
        publisher,
    }
}

pub(crate) fn joined<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut joined = BytesMut::new();
    for piece in pieces {
        joined.put_slice(piece);
    }
    joined.freeze()
}
