//! The way of a message from the routing into a client's queue, and from there to its connection.

use std::sync::Arc;

use smallvec::SmallVec;

use super::connection::{Outgoing, OutgoingPublish};
use super::message::Message;
use super::records::{Recipient, Record};
use super::session::{InFlight, Queued, Session};
use super::subscriptions::Entry;
use super::{Engine, Event, Now, SessionKey};
use crate::packet::QoS;

/// A message for one session.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    pub(crate) entry: Entry,
    /// The retain flag to send.
    pub(crate) retain: bool,
}

/// Bytes that wait in a connection before it gets more of what can wait elsewhere.
const ENOUGH_BYTES: usize = 64 << 10;
/// Packets, likewise.
const ENOUGH_PACKETS: usize = 64;

impl Engine {
    /// Whether the session's connection can take another message at once.
    pub(crate) fn takes_more(&self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get(key) else { return false };
        let Some(connection) = session.connection.and_then(|key| self.connection(key)) else { return false };
        session.queue.is_empty()
            && session.in_flight.len() < usize::from(connection.window)
            && connection.closing.is_none()
            && connection.outgoing.len() < ENOUGH_PACKETS
            && connection.outgoing_bytes < ENOUGH_BYTES
    }

    /// Gives a retained message to a session that [`Self::takes_more`]; returns the position of its record.
    pub(crate) fn deliver_retained(&mut self, key: SessionKey, delivery: Delivery, now: Now) -> Option<u64> {
        let qos = delivery.message.qos.min(delivery.entry.qos());
        let ids: SmallVec<[u32; 2]> = delivery.entry.identifier.into_iter().collect();
        if qos == QoS::AtMostOnce {
            self.send_at_most_once(key, &delivery.message, delivery.retain, ids);
            return None;
        }
        let message = Arc::clone(&delivery.message);
        let recipient = self.enqueue(key, delivery.message, qos, delivery.retain, ids)?;
        let position = self.record_message(&message, false, vec![recipient], now);
        self.pump(key, now);
        Some(position)
    }

    /// A QoS 0 message: to the connection, or nowhere.
    pub(crate) fn send_at_most_once(
        &mut self,
        key: SessionKey,
        message: &Arc<Message>,
        retain: bool,
        subscription_ids: SmallVec<[u32; 2]>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(connection_key) = session.connection else { return };
        let Some(connection) = self.connections.get_mut(connection_key.index as usize) else { return };
        if connection.closing.is_some() {
            return;
        }
        let cost = message.cost();
        let waiting = connection.outgoing_bytes + session.queue_bytes;
        if waiting > 0 && waiting + cost > session.queue_limit
            || self.memory.used() + cost > self.limits.memory_bytes
        {
            self.stats.dropped.queue_full += 1;
            if !std::mem::replace(&mut session.reported_full, true) {
                let client = Arc::clone(&session.client);
                self.events.tell(|| Event::QueueFull { client });
            }
            return;
        }
        connection.outgoing_bytes += cost;
        self.memory.take(cost);
        connection.outgoing.push_back(Outgoing::Publish(OutgoingPublish {
            message: Arc::clone(message),
            packet_id: 0,
            qos: QoS::AtMostOnce,
            retain,
            dup: false,
            subscription_ids,
        }));
        self.wake(connection_key);
    }

    /// A QoS 1 or 2 message: into the session's queue. If the queue is full, its oldest message gives way, because a new
    /// value is worth more. Returns what belongs into the record, if the session is kept.
    pub(crate) fn enqueue(
        &mut self,
        key: SessionKey,
        message: Arc<Message>,
        qos: QoS,
        retain: bool,
        subscription_ids: SmallVec<[u32; 2]>,
    ) -> Option<Recipient> {
        if self.log.is_full() && self.sessions.get(key).is_some_and(Session::is_kept) {
            self.stats.dropped.disk_full += 1;
            return None;
        }
        let cost = Queued::cost(&message, &subscription_ids);
        if !self.make_room(key, cost) {
            return None;
        }
        let session = self.sessions.get_mut(key)?;
        let sequence = session.sequence();
        session.queue_bytes += cost;
        self.memory.take(cost);
        let recipient = session.is_kept().then(|| Recipient {
            session: session.number,
            sequence,
            qos: qos.bits(),
            retain,
            subscription_ids: subscription_ids.to_vec(),
        });
        session.queue.push_back(Queued { sequence, message, qos, retain, subscription_ids });
        recipient
    }

    /// Drops what must give way to `cost` more bytes; false if the new message itself must.
    fn make_room(&mut self, key: SessionKey, cost: usize) -> bool {
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return false };
            if session.queue_bytes == 0 || session.queue_bytes + cost <= session.queue_limit {
                break;
            }
            self.stats.dropped.queue_full += 1;
            if !std::mem::replace(&mut session.reported_full, true) {
                let client = Arc::clone(&session.client);
                self.events.tell(|| Event::QueueFull { client });
            }
            if !self.drop_oldest(key) {
                return false;
            }
        }
        let is_free = self.free_memory(cost);
        self.stats.dropped.memory_full += u64::from(!is_free);
        is_free
    }

    /// Drops waiting messages until there is memory for `cost` bytes; false if none is left to drop.
    pub(crate) fn free_memory(&mut self, cost: usize) -> bool {
        while self.memory.used() + cost > self.limits.memory_bytes {
            // Whoever uses most gives way. Dropping more than one at once keeps this search rare.
            let largest = self.sessions.iter().filter(|(_, one)| !one.queue.is_empty());
            let Some(largest) = largest.max_by_key(|(_, one)| one.queue_bytes).map(|(key, _)| key) else {
                return false;
            };
            let Some(session) = self.sessions.get_mut(largest) else { return false };
            let goal = session.queue_bytes - session.queue_bytes / 8;
            if !std::mem::replace(&mut session.reported_full, true) {
                let client = Arc::clone(&session.client);
                self.events.tell(|| Event::MemoryFull { client });
            }
            while self.sessions.get(largest).is_some_and(|one| one.queue_bytes >= goal)
                && self.drop_oldest(largest)
            {
                self.stats.dropped.memory_full += 1;
            }
        }
        true
    }

    fn drop_oldest(&mut self, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Some(dropped) = session.queue.pop_front() else { return false };
        self.log.begin_change(0);
        self.finish_delivery(key, &dropped);
        true
    }

    /// The message does not wait for the session any more.
    pub(crate) fn finish_delivery(&mut self, key: SessionKey, queued: &Queued) {
        let cost = Queued::cost(&queued.message, &queued.subscription_ids);
        self.memory.give_back(cost);
        if let Some(session) = self.sessions.get_mut(key) {
            session.queue_bytes = session.queue_bytes.saturating_sub(cost);
            recovered(session);
        }
        self.record(key, |session| Record::Finished { session, sequence: queued.sequence });
    }

    /// Sends what waits, as far as the client takes it at once: first what it may have from an earlier connection.
    pub(crate) fn pump(&mut self, key: SessionKey, now: Now) {
        let mut sent = false;
        while let Some(session) = self.sessions.get_mut(key) {
            let Some(connection) = session.connection.and_then(|key| {
                self.connections.get_mut(key.index as usize).filter(|one| one.closing.is_none())
            }) else {
                break;
            };
            if connection.outgoing.len() >= 4 * ENOUGH_PACKETS {
                break;
            }
            let window = usize::from(connection.window);
            if session.has_unsent {
                let Some(index) = session.in_flight.iter().position(|one| !one.is_sent) else {
                    session.has_unsent = false;
                    continue;
                };
                // Those before it are on their way: they stand in the order in which they were sent.
                let Some(again) = session.in_flight.get_mut(index).filter(|_| index < window) else { break };
                again.is_sent = true;
                connection.outgoing.push_back(Outgoing::Publish(again.packet(true)));
                sent = true;
                continue;
            }
            if session.in_flight.len() >= window {
                break;
            }
            let Some(queued) = session.queue.pop_front() else { break };
            if queued.message.is_expired(now) {
                self.stats.dropped.expired += 1;
                self.finish_delivery(key, &queued);
                continue;
            }
            let packet_id = session.new_packet_id();
            let one = InFlight { packet_id, is_sent: true, is_received: false, queued };
            connection.outgoing.push_back(Outgoing::Publish(one.packet(false)));
            let sequence = one.queued.sequence;
            session.in_flight.push_back(one);
            self.log.begin_change(0);
            self.record(key, |session| Record::Sent { session, sequence, packet_id });
            sent = true;
        }
        if sent && let Some(connection) = self.sessions.get(key).and_then(|session| session.connection) {
            self.wake(connection);
        }
    }
}

impl InFlight {
    fn packet(&self, dup: bool) -> OutgoingPublish {
        OutgoingPublish {
            message: Arc::clone(&self.queued.message),
            packet_id: self.packet_id,
            qos: self.queued.qos,
            retain: self.queued.retain,
            dup,
            subscription_ids: self.queued.subscription_ids.clone(),
        }
    }
}

/// Once half of the queue is free, a full queue is worth a line in the log again.
const fn recovered(session: &mut Session) {
    if session.queue_bytes < session.queue_limit / 2 {
        session.reported_full = false;
    }
}
