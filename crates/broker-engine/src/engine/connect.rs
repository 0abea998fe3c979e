//! CONNECT: a session begins or goes on, an older connection of the same client ends.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::acks::PendingAcks;
use super::connection::{Connection, ConnectionKey};
use super::message::{Message, Publisher};
use super::records::Record;
use super::session::Session;
use super::wills::{Closed, Will};
use super::{Engine, Event, Now, SessionKey};
use crate::packet::{AckKind, Connack, Connect, Version, encode_ack, encode_connack};
use crate::reason::Reason;

/// What the caller knows of a client besides its CONNECT.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The user name, once its password was checked; `None`: anonymous.
    pub user: Option<Arc<str>>,
    /// A random text for a client without id.
    pub new_client_id: String,
    /// A client within the process: everything is permitted, its session never ends by time, and it takes messages instead of
    /// bytes.
    pub internal: Option<Internal>,
}

/// What only clients within the process choose.
#[derive(Debug, Clone, Copy)]
pub struct Internal {
    /// Bytes of the messages that wait for it, instead of [`super::Limits::queue_bytes`].
    pub queue_bytes: usize,
}

/// A CONNECT that is refused, with the CONNACK to send before the connection is closed. No bytes: close at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub reason: Reason,
    pub connack: Vec<u8>,
}

/// The CONNACK of a refusal.
#[must_use]
pub fn refused(version: Version, reason: Reason) -> Refused {
    let mut connack = Vec::new();
    let answer = Connack {
        session_present: false,
        reason,
        assigned_client_id: None,
        keep_alive: None,
        session_expiry: None,
        receive_maximum: u16::MAX,
        maximum_packet_size: u32::MAX,
        topic_alias_maximum: 0,
        retain_available: true,
        reason_string: None,
    };
    encode_connack(&mut connack, version, &answer);
    Refused { reason, connack }
}

/// Whether the client takes a CONNACK at all ([MQTT-3.1.2-24]); if not, nothing can be said.
fn fits(connect: &Connect<'_>, answer: &Connack<'_>) -> bool {
    let mut encoded = Vec::new();
    encode_connack(&mut encoded, connect.version, answer);
    encoded.len() <= connect.maximum_packet_size as usize
}

/// A longer client id counts as memory of its client.
const LONG_CLIENT_ID: usize = 256;

impl Engine {
    /// Accepts a client whose password was checked. The CONNACK is in [`Self::output`].
    ///
    /// # Errors
    /// The client is refused.
    pub fn connect(&mut self, connect: &Connect<'_>, peer: Peer, now: Now) -> Result<ConnectionKey, Refused> {
        self.stats.connects += u64::from(peer.internal.is_none());
        let refuse = |reason| Err(refused(connect.version, reason));
        if connect.authentication_method.is_some() {
            return refuse(Reason::BadAuthenticationMethod);
        }
        let assigned = connect.client_id.is_empty();
        // [MQTT-3.1.3-8] of 3.1.1; 3.1 wants an id always.
        if assigned
            && (connect.version == Version::V31 || connect.version == Version::V311 && !connect.clean_start)
        {
            return refuse(Reason::ClientIdentifierNotValid);
        }
        let client: Arc<str> =
            if assigned { peer.new_client_id.as_str().into() } else { connect.client_id.into() };
        let keep_alive = match self.limits.keep_alive {
            Some(most) if connect.keep_alive == 0 || connect.keep_alive > most => {
                if connect.version != Version::V5 {
                    self.events.tell(|| Event::KeepAliveTooLong { client: Arc::clone(&client), most });
                    return refuse(Reason::ClientIdentifierNotValid);
                }
                most
            }
            _ => connect.keep_alive,
        };
        if let Some(will) = &connect.will {
            if will.retain && !self.limits.retain {
                return refuse(Reason::RetainNotSupported);
            }
            if will.payload.len() > self.limits.payload_bytes {
                let is_v5 = connect.version == Version::V5;
                return refuse(if is_v5 { Reason::PacketTooLarge } else { Reason::NotAuthorized });
            }
        }
        let expiry = match peer.internal {
            Some(_) => connect.session_expiry,
            None => connect.session_expiry.min(self.limits.session_expiry),
        };
        let limits = self.limits;
        let mut answer = Connack {
            session_present: false,
            reason: Reason::Success,
            assigned_client_id: assigned.then_some(&*client),
            keep_alive: (keep_alive != connect.keep_alive).then_some(keep_alive),
            session_expiry: (expiry != connect.session_expiry).then_some(expiry),
            receive_maximum: limits.in_flight,
            maximum_packet_size: limits.packet_bytes,
            topic_alias_maximum: limits.topic_aliases,
            retain_available: limits.retain,
            reason_string: None,
        };
        if !fits(connect, &answer) {
            return Err(Refused { reason: Reason::PacketTooLarge, connack: Vec::new() });
        }
        let is_internal = peer.internal.is_some();
        let (session, present) = match self.open_session(connect, &client, peer, expiry, now) {
            Ok(opened) => opened,
            Err(reason) => return refuse(reason),
        };
        if !self.set_will(connect, session) {
            if !present {
                self.end_session(session, now);
            }
            self.events.tell(|| Event::NoMemory { client: Arc::clone(&client) });
            return refuse(Reason::QuotaExceeded);
        }
        let key = self.add_connection(connect, session, keep_alive, is_internal, now);
        // 3.1 has no such flag.
        answer.session_present = present && connect.version != Version::V31;
        if let Some(connection) = self.connection_mut(key) {
            connection.send_encoded(|out| encode_connack(out, connect.version, &answer));
        }
        self.resume(session, now);
        self.wake(key);
        Ok(key)
    }

    /// The session to go on with, and whether it is an old one.
    fn open_session(
        &mut self,
        connect: &Connect<'_>,
        client: &Arc<str>,
        Peer { user, internal, .. }: Peer,
        expiry: u32,
        now: Now,
    ) -> Result<(SessionKey, bool), Reason> {
        let queue_limit = internal.map_or(self.limits.queue_bytes, |one| one.queue_bytes);
        if let Some(old) = self.session_of(client, user.as_ref()) {
            self.take_over(old, now);
        }
        // The end of the old connection may have ended its session.
        if let Some(old) = self.session_of(client, user.as_ref()) {
            let survives = self.sessions.get(old).is_some_and(Session::is_kept);
            if survives && !connect.clean_start {
                self.resume_session(old, user, expiry, (queue_limit, internal.is_some()))?;
                return Ok((old, true));
            }
            self.end_session(old, now);
        }
        if expiry > 0 && self.log.is_full() {
            return Err(Reason::QuotaExceeded);
        }
        let session = Session::new(Arc::clone(client), user, 0, expiry, queue_limit);
        let key = self.sessions.insert(Session { is_internal: internal.is_some(), ..session });
        if client.len() > LONG_CLIENT_ID && !self.hold(key, client.len()) {
            self.sessions.remove(key);
            return Err(Reason::QuotaExceeded);
        }
        self.by_client_id.insert(Arc::clone(client), key);
        self.record_session(key);
        Ok((key, false))
    }

    /// Ends the client's older connection ([MQTT-3.1.4-3]). Its will comes before anything of the new connection.
    fn take_over(&mut self, key: SessionKey, now: Now) {
        let Some(old) = self.sessions.get(key).and_then(|session| session.connection) else { return };
        self.close_with(old, Reason::SessionTakenOver, "the client connected again");
        if let Some(session) = self.sessions.get_mut(key) {
            session.connection = None;
            if let Some(will) = &mut session.will {
                will.due = Some(now.monotonic.saturating_add(u64::from(will.delay) * 1000));
                if will.delay == 0 {
                    self.publish_will(key, now);
                }
            }
        }
    }

    fn resume_session(
        &mut self,
        key: SessionKey,
        user: Option<Arc<str>>,
        expiry: u32,
        (queue_limit, is_internal): (usize, bool),
    ) -> Result<(), Reason> {
        self.drop_will(key);
        let Some(session) = self.sessions.get_mut(key) else { return Ok(()) };
        let changed = session.user != user || session.expiry != expiry;
        if changed && self.log.is_full() {
            return Err(Reason::QuotaExceeded);
        }
        session.user = user;
        session.expiry = expiry;
        session.ends_at = None;
        (session.queue_limit, session.is_internal) = (queue_limit, is_internal);
        if changed {
            self.record_session(key);
        }
        Ok(())
    }

    pub(crate) fn record_session(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.expiry == 0 && session.position == 0 {
            return;
        }
        if session.number == 0 {
            session.number = self.next_session;
            self.next_session += 1;
        }
        let record = Record::Session {
            session: session.number,
            client: &session.client,
            user: session.user.as_deref(),
            expiry: session.expiry,
        };
        let position = self.log.append(&record);
        if let Some(session) = self.sessions.get_mut(key) {
            session.position = position;
        }
    }

    fn add_connection(
        &mut self,
        connect: &Connect<'_>,
        session: SessionKey,
        keep_alive: u16,
        is_internal: bool,
        now: Now,
    ) -> ConnectionKey {
        self.next_generation = self.next_generation.wrapping_add(1);
        let generation = self.next_generation;
        let index = self.connections.insert(Connection {
            generation,
            session,
            version: connect.version,
            is_bridge: connect.is_bridge,
            wants_problem_information: connect.wants_problem_information,
            is_internal,
            keep_alive,
            last_received: now,
            maximum_packet_size: connect.maximum_packet_size,
            window: connect.receive_maximum.min(self.limits.in_flight),
            aliases_in: Vec::new(),
            alias_bytes: 0,
            alias_maximum: connect.topic_alias_maximum.min(self.limits.topic_aliases),
            aliases_out: HashMap::default(),
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            answer_bytes: 0,
            acks: PendingAcks::default(),
            unfinished: 0,
            closing: None,
            woken: false,
        });
        let key = ConnectionKey { index: u32::try_from(index).unwrap_or(u32::MAX), generation };
        if let Some(session) = self.sessions.get_mut(session) {
            session.connection = Some(key);
        }
        self.stats.most_connected = self.stats.most_connected.max(self.connections.len());
        key
    }

    /// Returns false if there is no room for it.
    fn set_will(&mut self, connect: &Connect<'_>, key: SessionKey) -> bool {
        let Some(will) = &connect.will else { return true };
        let Some(session) = self.sessions.get(key) else { return false };
        let message = Message {
            topic: will.topic.into(),
            payload: Bytes::copy_from_slice(will.payload),
            qos: will.qos,
            retain: will.retain,
            properties: super::publish::joined(will.properties.message.passed_on()),
            expires: None,
            publisher: Some(Publisher { user: session.user.clone(), client: Arc::clone(&session.client) }),
        };
        let cost = message.cost();
        if !self.hold(key, cost) {
            return false;
        }
        let Some(session) = self.sessions.get_mut(key) else { return false };
        session.will = Some(Box::new(Will {
            message: Arc::new(message),
            delay: will.properties.delay,
            expiry: will.properties.message.expiry,
            due: None,
        }));
        true
    }

    /// Sends again what was on its way when the last connection ended ([MQTT-4.4.0-1]), then what waits.
    fn resume(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(connection) =
            session.connection.and_then(|key| self.connections.get_mut(key.index as usize))
        else {
            return;
        };
        let version = connection.version;
        session.has_unsent = true;
        for one in &mut session.in_flight {
            // What was received has its place already, and is only to be finished.
            one.is_sent = one.is_received;
            if one.is_received {
                connection.send_encoded(|out| {
                    encode_ack(out, version, AckKind::Pubrel, one.packet_id, Reason::Success);
                });
            }
        }
        self.pump(key, now);
        self.continue_scans(key, now);
    }

    /// DISCONNECT of the client. Returns how the connection ended.
    pub(crate) fn on_disconnect(
        &mut self,
        key: ConnectionKey,
        disconnect: crate::packet::Disconnect,
    ) -> Result<Closed, crate::packet::Invalid> {
        let Some(session_key) = self.connection(key).map(|one| one.session) else {
            return Ok(Closed::ByClient);
        };
        let most = self.limits.session_expiry;
        if let (Some(expiry), Some(session)) = (disconnect.session_expiry, self.sessions.get_mut(session_key))
        {
            // [MQTT-3.14.2-2]
            if session.expiry == 0 && expiry > 0 {
                return Err(crate::packet::Invalid::protocol(
                    "a session expiry in DISCONNECT, but none in CONNECT",
                ));
            }
            session.expiry = expiry.min(most);
            self.record_session(session_key);
        }
        if disconnect.code != 0 {
            return Ok(Closed::Lost);
        }
        // Now, because the connection may be taken over before it is closed.
        self.drop_will(session_key);
        Ok(Closed::ByClient)
    }
}
