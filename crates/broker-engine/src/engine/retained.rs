//! The retained message of each topic, and how they are sent to a new subscription: bit by bit, as the client takes them,
//! so that a subscription to everything needs no queue of everything.
//!
//! When the store is full, whoever has most of it loses his newest messages: nobody can fill it for the others.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::deliver::Delivery;
use super::message::Message;
use super::records::{Recipient, Record, StoredMessage};
use super::scans::RetainedScan;
use super::{Engine, Event, Now, SessionKey};
use crate::topic::{literal_prefix, matches};

/// A topic's retained message.
#[derive(Debug, Clone)]
pub(crate) struct Retained {
    pub(crate) message: Arc<Message>,
    /// The record that holds it; 0 if none does.
    pub(crate) position: u64,
    /// Grows by one each message of the store.
    number: u64,
}

/// Who published: a user, `Some(None)` for all anonymous clients, `None` for the gateway itself.
type Owner = Option<Option<Arc<str>>>;

/// What one owner has in the store.
#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    /// Topics by the numbers of their messages.
    topics: BTreeMap<u64, Arc<str>>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct RetainedStore {
    topics: BTreeMap<Arc<str>, Retained>,
    shares: HashMap<Owner, Share>,
    next_number: u64,
    bytes: usize,
    /// How many of them expire.
    expiring: usize,
}

/// Topics that one step of a scan looks at, so that other clients do not wait for it.
const STEP: usize = 1_000;
/// So many take as long as a message.
const LOOKS_PER_WORK: usize = 4;
/// Of the recipients in one record, about. With the largest packet, a record must not be too large for a journal.
const RECIPIENTS_BYTES: usize = 256 << 10;

impl RetainedStore {
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Without those that say how the broker is doing, which are not stored.
    pub(crate) fn len_of_stored(&self) -> usize {
        self.topics.keys().filter(|topic| !topic.starts_with("$SYS/")).count()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The record that holds the topic's message.
    pub(crate) fn position(&self, topic: &str) -> Option<u64> {
        self.topics.get(topic).map(|retained| retained.position)
    }

    pub(crate) fn get_mut(&mut self, topic: &str) -> Option<&mut Retained> {
        self.topics.get_mut(topic)
    }

    /// Bytes that the store would have with `message`.
    pub(crate) fn bytes_with(&self, message: &Message) -> usize {
        let old = self.topics.get(&message.topic).map_or(0, |old| old.message.cost());
        self.bytes - old + message.cost()
    }

    pub(crate) fn insert(&mut self, message: Arc<Message>, position: u64) {
        self.bytes += message.cost();
        self.expiring += usize::from(message.expires.is_some());
        self.next_number += 1;
        let number = self.next_number;
        let share = self.shares.entry(owner(&message)).or_default();
        share.bytes += message.cost();
        let topic = Arc::clone(&message.topic);
        share.topics.insert(number, Arc::clone(&topic));
        if let Some(old) = self.topics.insert(topic, Retained { message, position, number }) {
            self.forget(&old);
        }
    }

    /// The newest topic of the owner who has most, if that is another one than who has `message`.
    fn topic_to_give_up(&self, message: &Message) -> Option<Arc<str>> {
        let own = self.shares.get(&owner(message)).map_or(0, |share| share.bytes);
        let most = self.shares.values().max_by_key(|share| share.bytes)?;
        let (_, newest) = most.topics.last_key_value()?;
        (most.bytes > own + message.cost()).then(|| Arc::clone(newest))
    }

    pub(crate) fn remove(&mut self, topic: &str) -> Option<Retained> {
        let removed = self.topics.remove(topic)?;
        self.forget(&removed);
        Some(removed)
    }

    fn forget(&mut self, old: &Retained) {
        self.bytes -= old.message.cost();
        self.expiring -= usize::from(old.message.expires.is_some());
        let owner = owner(&old.message);
        if let Some(share) = self.shares.get_mut(&owner) {
            share.bytes -= old.message.cost();
            share.topics.remove(&old.number);
            if share.topics.is_empty() {
                self.shares.remove(&owner);
            }
        }
    }

    /// The topics after `after` that begin with `prefix`, in order.
    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a Arc<str>>,
    ) -> impl Iterator<Item = &'a Retained> {
        let start = after.map_or(Bound::Included(prefix), |after| Bound::Excluded(&**after));
        self.topics
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(topic, _)| topic.starts_with(prefix))
            .map(|(_, retained)| retained)
    }

    pub(crate) fn expired(&self, now: Now) -> Vec<Arc<str>> {
        if self.expiring == 0 {
            return Vec::new();
        }
        let expired = self.topics.values().filter(|retained| retained.message.is_expired(now));
        expired.map(|retained| Arc::clone(&retained.message.topic)).collect()
    }
}

fn owner(message: &Message) -> Owner {
    message.publisher.as_ref().map(|publisher| publisher.user.clone())
}

impl Engine {
    /// Forgets a topic's retained message.
    pub(crate) fn clear_retained(&mut self, topic: &str) {
        if self.retained.remove(topic).is_some_and(|old| old.position > 0) {
            self.log.begin_change(topic.len());
            self.log.append(&Record::RetainedCleared { topic });
        }
    }

    /// Keeps `message` as its topic's retained one, or removes that if its payload is empty. Returns whether the message
    /// belongs in a record, or `None` if there is no room for it.
    pub(crate) fn retain(&mut self, message: &Arc<Message>) -> Option<bool> {
        if message.payload.is_empty() {
            self.clear_retained(&message.topic);
            return Some(false);
        }
        let is_stored = !message.topic.starts_with("$SYS/");
        if is_stored && self.log.is_full() {
            self.stats.dropped.disk_full += 1;
            return None;
        }
        if !self.make_room_for(message) {
            self.count_not_retained(message);
            // Better none than one that is not true any more.
            self.clear_retained(&message.topic);
            return None;
        }
        self.retained.insert(Arc::clone(message), if is_stored { self.log.next() } else { 0 });
        Some(is_stored)
    }

    /// Returns whether there is room for `message`, if need be after others were forgotten.
    fn make_room_for(&mut self, message: &Message) -> bool {
        if message.cost() > self.limits.retained_bytes {
            return false;
        }
        while self.retained.bytes_with(message) > self.limits.retained_bytes {
            let Some(topic) = self.retained.topic_to_give_up(message) else { return false };
            if let Some(given_up) = self.retained.get_mut(&topic).map(|one| Arc::clone(&one.message)) {
                self.count_not_retained(&given_up);
            }
            self.clear_retained(&topic);
        }
        true
    }

    fn count_not_retained(&mut self, message: &Message) {
        self.stats.dropped.retained_full += 1;
        let client = message.publisher.as_ref().map_or_else(|| "".into(), |one| Arc::clone(&one.client));
        self.events.tell(|| Event::RetainedFull { client, topic: Arc::clone(&message.topic) });
    }

    /// Sends retained messages to a session while it can take them at once. Returns whether there are more to look at.
    pub(crate) fn continue_scans(&mut self, key: SessionKey, now: Now) -> bool {
        let mut looked_at = 0;
        let more = self.continue_scans_counting(key, now, &mut looked_at);
        self.work += (looked_at / LOOKS_PER_WORK) as u64;
        more
    }

    fn continue_scans_counting(&mut self, key: SessionKey, now: Now, looked_at: &mut usize) -> bool {
        while let Some(scan) = self.sessions.get(key).and_then(|session| session.scans.first()).cloned() {
            if !self.takes_more(key) {
                return false;
            }
            let (found, after) = self.next_retained(&scan, now, looked_at);
            match (found, after) {
                (Some(retained), _) => {
                    self.set_scan_position(key, Arc::clone(&retained.topic));
                    let delivery = Delivery { message: retained, entry: scan.entry, retain: true };
                    let position = self.deliver_retained(key, delivery, now);
                    debug_assert!(
                        position.is_none() || position >= Some(self.log.stored()),
                        "positions grow"
                    );
                }
                (None, Some(after)) => {
                    self.set_scan_position(key, after);
                    return true;
                }
                (None, None) => {
                    if let Some(session) = self.sessions.get_mut(key) {
                        session.scans.remove_first();
                    }
                }
            }
        }
        false
    }

    /// The next retained message of a scan, or how far it got.
    fn next_retained(
        &self,
        scan: &RetainedScan,
        now: Now,
        looked_at: &mut usize,
    ) -> (Option<Arc<Message>>, Option<Arc<str>>) {
        for retained in self.retained.range(literal_prefix(&scan.filter), scan.after.as_ref()) {
            *looked_at += 1;
            let message = &retained.message;
            if matches(&scan.filter, &message.topic)
                && !message.is_expired(now)
                && self.may_still_publish(message)
            {
                return (Some(Arc::clone(message)), None);
            }
            if *looked_at >= STEP {
                return (None, Some(Arc::clone(&message.topic)));
            }
        }
        (None, None)
    }

    fn set_scan_position(&mut self, key: SessionKey, after: Arc<str>) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.scans.set_first(after);
        }
    }

    /// A message whose publisher may no longer publish it is not given to new subscribers.
    fn may_still_publish(&self, message: &Message) -> bool {
        message.publisher.as_ref().is_none_or(|publisher| {
            let user = publisher.user.as_deref();
            self.policy.admits(user) && self.policy.may_publish(user, &publisher.client, &message.topic)
        })
    }

    /// Adds the record of a message: retained, or waiting for `recipients`. With very many of them it is several records, the
    /// last of which has the position that is returned.
    pub(crate) fn record_message(
        &mut self,
        message: &Message,
        is_retained: bool,
        mut recipients: Vec<Recipient>,
        now: Now,
    ) -> u64 {
        let publisher = message.publisher.as_ref().map(|one| (one.user.as_deref(), &*one.client));
        let mut is_retained = is_retained;
        loop {
            let mut bytes = 0;
            let fits = recipients.iter().take_while(|one| {
                bytes += 32 + 5 * one.subscription_ids.len();
                bytes <= RECIPIENTS_BYTES
            });
            let rest = recipients.split_off(fits.count().max(1).min(recipients.len()));
            let position = self.log.append(&Record::Message(StoredMessage {
                topic: &message.topic,
                payload: &message.payload,
                properties: &message.properties,
                qos: message.qos.bits(),
                retain: message.retain,
                is_retained: std::mem::take(&mut is_retained),
                expires: Self::wall_expiry(message.expires, now),
                publisher,
                recipients,
            }));
            if rest.is_empty() {
                return position;
            }
            self.log.begin_change(message.payload.len());
            recipients = rest;
        }
    }
}
