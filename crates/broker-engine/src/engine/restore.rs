//! The state back from its records.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::message::{Message, Publisher};
use super::publish::INBOUND_BYTES;
use super::records::{Record, StoredMessage, each_record, qos};
use super::session::{InFlight, Inbound, Queued, Session, Subscription};
use super::subscriptions::{Entry, Subscriber};
use super::{Engine, Now, SessionKey};
use crate::topic::ParsedFilter;

/// A record cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a record of the broker cannot be read: {0}")]
pub struct RestoreError(#[from] postcard::Error);

/// What is known while records are read. Because records are recorded again when space is given back, those of one session
/// come in any order: a subscription may stand before its session, and that a message was sent before the message.
#[derive(Debug, Default)]
pub struct Restoring {
    /// By number. Those without a client id have no record of their own yet.
    sessions: HashMap<u64, SessionKey>,
    /// Session and sequence of the messages that wait: a record may stand twice.
    waiting: HashSet<(u64, u64)>,
    /// Packet identifiers of those that were sent, and which of them the client has received.
    sent: HashMap<(u64, u64), u16>,
    received: HashSet<(u64, u64)>,
    /// Each publisher once, however many messages it has.
    publishers: HashSet<Publisher>,
}

impl Restoring {
    fn publisher(&mut self, user: Option<&str>, client: &str) -> Publisher {
        let publisher = Publisher { user: user.map(Into::into), client: client.into() };
        if let Some(known) = self.publishers.get(&publisher) {
            return known.clone();
        }
        self.publishers.insert(publisher.clone());
        publisher
    }
}

impl Engine {
    /// Applies a batch of [`Self::take_records`], in the order of their positions, before anything else is done.
    ///
    /// # Errors
    /// A record cannot be read; those before it were applied.
    pub fn restore(
        &mut self,
        restoring: &mut Restoring,
        position: u64,
        batch: &[u8],
        now: Now,
    ) -> Result<(), RestoreError> {
        for record in each_record(batch) {
            self.apply(restoring, position, record?, now);
        }
        Ok(())
    }

    /// All records were applied. Every session gets its full time again, because how long the gateway was off is not known
    /// without a clock that runs on. Call [`Self::set_next_position`] before.
    pub fn restored(&mut self, restoring: Restoring, now: Now) {
        // Numbers that no record has, whatever was deleted: there are fewer in a batch than this leaves room for.
        let unused = self.log.next() << 20;
        self.next_session = unused;
        for ((number, sequence), packet_id) in restoring.sent {
            let is_received = restoring.received.contains(&(number, sequence));
            let session = restoring.sessions.get(&number).and_then(|key| self.sessions.get_mut(*key));
            if let Some(session) = session {
                restore_sent(session, sequence, packet_id, is_received);
            }
        }
        for key in restoring.sessions.into_values() {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            session.queue.make_contiguous().sort_by_key(|one| one.sequence);
            session.in_flight.make_contiguous().sort_by_key(|one| one.queued.sequence);
            session.next_sequence = unused;
            let time = u64::from(session.expiry).saturating_mul(1000);
            session.ends_at = (session.expiry != u32::MAX).then(|| now.monotonic.saturating_add(time));
            if session.client.is_empty() || session.expiry == 0 {
                self.end_session(key, now);
            }
        }
        // Counted and reported when it happened.
        self.stats.dropped.session_ended = 0;
        let _ = self.take_events();
        // What was ended above was of no session that is recorded.
        self.log.forget_batch();
    }

    fn apply(&mut self, restoring: &mut Restoring, position: u64, record: Record<'_>, now: Now) {
        match record {
            Record::Session { session, client, user, expiry } => {
                let key = self.restore_session(restoring, session);
                let client: Arc<str> = client.into();
                self.by_client_id.insert(Arc::clone(&client), key);
                if let Some(one) = self.sessions.get_mut(key) {
                    (one.client, one.user) = (client, user.map(Into::into));
                    (one.expiry, one.position) = (expiry, position);
                }
            }
            Record::SessionEnded { session } => {
                if let Some(key) = restoring.sessions.remove(&session) {
                    self.end_session(key, now);
                    self.log.forget_batch();
                }
            }
            Record::Subscribed { session, filter, options, identifier } => {
                let key = self.restore_session(restoring, session);
                self.restore_subscription(key, filter, Subscription { options, identifier, position });
            }
            Record::Unsubscribed { session, filter } => {
                let key = self.restore_session(restoring, session);
                self.unsubscribe_one(key, filter);
                self.log.forget_batch();
            }
            Record::Message(stored) => self.restore_message(restoring, position, &stored, now),
            Record::RetainedCleared { topic } => {
                self.retained.remove(topic);
            }
            Record::Finished { session, sequence } => {
                restoring.sent.remove(&(session, sequence));
                restoring.received.remove(&(session, sequence));
                if restoring.waiting.remove(&(session, sequence)) {
                    let key = self.restore_session(restoring, session);
                    self.restore_finished(key, sequence);
                }
            }
            Record::Sent { session, sequence, packet_id } => {
                restoring.sent.insert((session, sequence), packet_id);
            }
            Record::PubrecReceived { session, sequence } => {
                restoring.received.insert((session, sequence));
            }
            Record::Inbound { session, packet_id } => {
                let key = self.restore_session(restoring, session);
                if let Some(session) = self.sessions.get_mut(key)
                    && session.inbound.insert(packet_id, Inbound::Acknowledged).is_none()
                {
                    self.hold_unchecked(key, INBOUND_BYTES);
                }
            }
            Record::InboundReleased { session, packet_id } => {
                let key = self.restore_session(restoring, session);
                if let Some(session) = self.sessions.get_mut(key)
                    && session.inbound.remove(&packet_id).is_some()
                {
                    self.release(key, INBOUND_BYTES);
                }
            }
        }
    }

    /// The session with this number; without a client id until its own record comes.
    fn restore_session(&mut self, restoring: &mut Restoring, number: u64) -> SessionKey {
        let queue_limit = self.limits.queue_bytes;
        *restoring.sessions.entry(number).or_insert_with(|| {
            // Its own record says who it is, and for how long it is kept.
            self.sessions.insert(Session::new("".into(), None, number, 0, queue_limit))
        })
    }

    fn restore_subscription(&mut self, key: SessionKey, filter: &str, subscription: Subscription) {
        let Some(parsed) = ParsedFilter::parse(filter) else { return };
        let Subscription { options, identifier, .. } = subscription;
        if self
            .subscriptions
            .insert(parsed, Entry { subscriber: Subscriber::Session(key), options, identifier })
        {
            self.hold_unchecked(key, super::subscribe::cost(filter));
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.subscriptions.insert(filter.into(), subscription);
        }
    }

    fn restore_message(
        &mut self,
        restoring: &mut Restoring,
        position: u64,
        stored: &StoredMessage<'_>,
        now: Now,
    ) {
        let expires = stored.expires.map(|at| now.monotonic + at.saturating_sub(now.wall) * 1000);
        let message = Arc::new(Message {
            topic: stored.topic.into(),
            payload: Bytes::copy_from_slice(stored.payload),
            qos: qos(stored.qos),
            retain: stored.retain,
            properties: Bytes::copy_from_slice(stored.properties),
            expires,
            publisher: stored.publisher.map(|(user, client)| restoring.publisher(user, client)),
        });
        if stored.is_retained {
            self.retained.insert(Arc::clone(&message), position);
        }
        for recipient in &stored.recipients {
            if !restoring.waiting.insert((recipient.session, recipient.sequence)) {
                continue;
            }
            let key = self.restore_session(restoring, recipient.session);
            let Some(session) = self.sessions.get_mut(key) else { continue };
            let cost = Queued::cost(&message, &recipient.subscription_ids);
            session.queue_bytes += cost;
            self.memory.take(cost);
            session.queue.push_back(Queued {
                sequence: recipient.sequence,
                message: Arc::clone(&message),
                qos: qos(recipient.qos),
                retain: recipient.retain,
                subscription_ids: SmallVec::from_slice(&recipient.subscription_ids),
            });
        }
    }

    fn restore_finished(&mut self, key: SessionKey, sequence: u64) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let mut freed = 0;
        let mut keep = |queued: &Queued| {
            let keep = queued.sequence != sequence;
            freed += if keep { 0 } else { Queued::cost(&queued.message, &queued.subscription_ids) };
            keep
        };
        // Mostly the oldest.
        if session.queue.front().is_some_and(|one| one.sequence == sequence) {
            if let Some(one) = session.queue.pop_front() {
                keep(&one);
            }
        } else {
            session.queue.retain(&mut keep);
        }
        session.in_flight.retain(|one| keep(&one.queued));
        session.queue_bytes = session.queue_bytes.saturating_sub(freed);
        self.memory.give_back(freed);
    }
}

/// The message was on its way with this packet identifier, which is still its own ([MQTT-4.4.0-1]).
fn restore_sent(session: &mut Session, sequence: u64, packet_id: u16, is_received: bool) {
    let Some(index) = session.queue.iter().position(|one| one.sequence == sequence) else { return };
    if let Some(queued) = session.queue.remove(index) {
        session.in_flight.push_back(InFlight { packet_id, is_sent: false, is_received, queued });
        session.next_packet_id = packet_id.checked_add(1).unwrap_or(1);
    }
}
