//! The end of a connection, the will that may follow, and the end of a session.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::acks::PendingAcks;
use super::connection::{ConnectionKey, Outgoing};
use super::message::Message;
use super::publish::LocalPublish;
use super::records::Record;
use super::subscriptions::Subscriber;
use super::{Engine, Event, Now, SessionKey};
use crate::packet::{Version, encode_disconnect};
use crate::reason::Reason;
use crate::topic::ParsedFilter;

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// By DISCONNECT: the will is discarded.
    ByClient,
    /// In any other way: the will is published.
    Lost,
}

/// A will, and when it is due.
#[derive(Debug, Clone)]
pub(crate) struct Will {
    pub(crate) message: Arc<Message>,
    /// Seconds after the loss of the connection.
    pub(crate) delay: u32,
    /// Seconds that its message is of use, from when it is published.
    pub(crate) expiry: Option<u32>,
    /// Monotonic milliseconds; set when the connection is lost.
    pub(crate) due: Option<u64>,
}

impl Engine {
    /// The connection is gone. What adapters must take of its will is in [`Self::take_local`].
    pub fn close(&mut self, key: ConnectionKey, closed: Closed, now: Now) {
        let Some(index) = self.connection(key).map(|_| key.index as usize) else { return };
        let connection = self.connections.remove(index);
        self.memory.give_back(connection.outgoing_bytes);
        let session_key = connection.session;
        self.release(session_key, connection.alias_bytes);
        let Some(session) = self.sessions.get_mut(session_key).filter(|one| one.connection == Some(key))
        else {
            return;
        };
        session.connection = None;
        let expiry = session.expiry;
        session.ends_at =
            (expiry != u32::MAX).then(|| now.monotonic.saturating_add(u64::from(expiry) * 1000));
        if closed == Closed::ByClient {
            self.drop_will(session_key);
        } else if let Some(will) = &mut session.will {
            will.due = Some(now.monotonic.saturating_add(u64::from(will.delay.min(expiry)) * 1000));
            if will.delay == 0 || expiry == 0 {
                self.publish_will(session_key, now);
            }
        }
        if expiry == 0 {
            self.end_session(session_key, now);
        }
        self.bound_sessions(now);
    }

    /// Ends sessions of clients that are away while there are too many. Whoever has made the most loses those that were made
    /// last, so that he harms nobody else.
    fn bound_sessions(&mut self, now: Now) {
        while self.sessions.len().saturating_sub(self.connections.len()) > self.limits.sessions {
            let Some(key) = self.session_to_end() else { return };
            if let Some(session) = self.sessions.get(key) {
                let (client, user) = (Arc::clone(&session.client), session.user.clone());
                self.events.tell(|| Event::TooManySessions { client, user });
            }
            self.end_session(key, now);
        }
    }

    /// Of the user that has the most sessions of clients that are away, the newest.
    fn session_to_end(&self) -> Option<SessionKey> {
        let away = || self.sessions.iter().filter(|(_, one)| one.connection.is_none() && !one.is_internal);
        let mut counts: HashMap<Option<&str>, usize, RandomState> = HashMap::default();
        away().for_each(|(_, one)| *counts.entry(one.user.as_deref()).or_default() += 1);
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let of_user = away().filter(|(_, one)| one.user.as_deref() == most);
        of_user.max_by_key(|(_, one)| one.number).map(|(key, _)| key)
    }

    /// Ends a connection for a fault or a limit: sends a DISCONNECT to a client of version 5, and nothing after it.
    pub(crate) fn close_with(&mut self, key: ConnectionKey, reason: Reason, why: &'static str) {
        let Some(connection) = self.connection_mut(key) else { return };
        if connection.closing.is_some() {
            return;
        }
        connection.closing = Some(reason);
        let bytes = std::mem::take(&mut connection.outgoing_bytes);
        connection.outgoing.retain(|one| matches!(one, Outgoing::Encoded(_)));
        connection.acks = PendingAcks::default();
        if connection.version == Version::V5 {
            let text = connection.wants_problem_information.then_some(why);
            let most = connection.maximum_packet_size as usize;
            connection.send_encoded(|out| {
                encode_disconnect(out, reason, text);
                // [MQTT-3.14.2-3]
                if out.len() > most {
                    out.clear();
                    encode_disconnect(out, reason, None);
                }
            });
        }
        // Even one that was woken already, and does not read what it has.
        connection.woken = false;
        let session = connection.session;
        self.memory.give_back(bytes);
        if let Some(session) = self.sessions.get(session) {
            let client = Arc::clone(&session.client);
            self.events.tell(|| Event::Closed { client, reason, why });
        }
        self.wake(key);
    }

    pub(crate) fn drop_will(&mut self, key: SessionKey) {
        if let Some(will) = self.sessions.get_mut(key).and_then(|session| session.will.take()) {
            self.release(key, will.message.cost());
        }
    }

    pub(crate) fn publish_will(&mut self, key: SessionKey, now: Now) {
        let Some(will) = self.sessions.get_mut(key).and_then(|session| session.will.take()) else { return };
        self.release(key, will.message.cost());
        let mut message = Arc::unwrap_or_clone(will.message);
        // Only now, because permissions may have changed since the CONNECT.
        if self.refusal(message.publisher.as_ref(), &message.topic).is_some() {
            return;
        }
        message.expires = will.expiry.map(|seconds| now.monotonic + u64::from(seconds) * 1000);
        let (local, _) = self.publish(message, now);
        self.locals.extend(local);
    }

    /// The messages for adapters that no packet caused: wills.
    pub fn take_local(&mut self) -> Vec<LocalPublish> {
        std::mem::take(&mut self.locals)
    }

    /// Forgets a session; a will that waits is published before.
    pub(crate) fn end_session(&mut self, key: SessionKey, now: Now) {
        if self
            .sessions
            .get(key)
            .is_some_and(|session| session.will.as_ref().is_some_and(|will| will.due.is_some()))
        {
            self.publish_will(key, now);
        }
        let Some(session) = self.sessions.try_remove(key) else { return };
        self.by_client_id.remove(&session.client, key);
        for filter in session.subscriptions.keys() {
            if let Some(parsed) = ParsedFilter::parse(filter) {
                self.subscriptions.remove(parsed, Subscriber::Session(key));
            }
        }
        self.memory.give_back(session.queue_bytes);
        self.release_of_ended(session.held_bytes);
        if session.position > 0 {
            self.log.append(&Record::SessionEnded { session: session.number });
            let lost = session.queue.len() + session.in_flight.len();
            self.stats.dropped.session_ended += lost as u64;
            if lost > 0 {
                self.events.tell(|| Event::SessionEnded { client: Arc::clone(&session.client), lost });
            }
        }
    }
}
