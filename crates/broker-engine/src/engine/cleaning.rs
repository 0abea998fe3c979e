//! Gives space on the disk back: what still counts of the oldest records is recorded again, then they can be deleted.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::records::{Recipient, Record, StoredMessage, each_record};
use super::{Engine, Now, RestoreError, SessionKey};

/// The kept sessions by their numbers in the records.
#[derive(Debug)]
pub struct Cleaning {
    by_number: HashMap<u64, SessionKey, RandomState>,
}

impl Cleaning {
    pub(crate) fn session(&self, number: u64) -> Option<SessionKey> {
        self.by_number.get(&number).copied()
    }
}

impl Engine {
    /// Bytes that the records of the present state take, about.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        let sessions = self.sessions.len() * 100;
        (self.retained.bytes() + self.memory.used() + sessions) as u64
    }

    /// What [`Self::record_again`] needs. It is of use until anything else changes the sessions.
    #[must_use]
    pub fn begin_cleaning(&self) -> Cleaning {
        let kept = self.sessions.iter().filter(|(_, session)| session.is_kept());
        Cleaning { by_number: kept.map(|(key, session)| (session.number, key)).collect() }
    }

    /// Records again what still counts of a batch. Batches must come oldest first, and be deleted after the new records are
    /// stored: a record that says that something ended is left out, for what it ended is older and gone.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn record_again(
        &mut self,
        cleaning: &Cleaning,
        position: u64,
        batch: &[u8],
        now: Now,
    ) -> Result<(), RestoreError> {
        for record in each_record(batch) {
            self.record_one_again(cleaning, position, record?, now);
        }
        Ok(())
    }

    fn record_one_again(&mut self, cleaning: &Cleaning, position: u64, record: Record<'_>, now: Now) {
        let by_number = |number| cleaning.session(number);
        let bytes = if let Record::Message(stored) = &record { stored.payload.len() } else { 0 };
        self.log.begin_change(bytes);
        match record {
            Record::Session { session, .. } => {
                if let Some(key) = by_number(session)
                    && self.sessions.get(key).is_some_and(|session| session.position == position)
                {
                    self.record_session(key);
                }
            }
            Record::Subscribed { session, filter, .. } => {
                if let Some(key) = by_number(session) {
                    self.record_subscription_again(key, filter, position);
                }
            }
            Record::Message(stored) => self.record_message_again(cleaning, position, stored, now),
            Record::Sent { session, sequence, packet_id } => {
                let waits = by_number(session).and_then(|key| self.sessions.get(key));
                if waits.is_some_and(|one| one.waits_for(sequence)) {
                    self.log.append(&Record::Sent { session, sequence, packet_id });
                }
            }
            Record::PubrecReceived { session, sequence } => {
                let waits = by_number(session).and_then(|key| self.sessions.get(key));
                if waits.is_some_and(|one| one.waits_for(sequence)) {
                    self.log.append(&Record::PubrecReceived { session, sequence });
                }
            }
            Record::Inbound { session, packet_id } => {
                let one = by_number(session).and_then(|key| self.sessions.get(key));
                if one.is_some_and(|one| one.inbound.contains_key(&packet_id)) {
                    self.log.append(&Record::Inbound { session, packet_id });
                }
            }
            Record::SessionEnded { .. }
            | Record::Unsubscribed { .. }
            | Record::RetainedCleared { .. }
            | Record::Finished { .. }
            | Record::InboundReleased { .. } => {}
        }
    }

    fn record_subscription_again(&mut self, key: SessionKey, filter: &str, position: u64) {
        let next = self.log.next();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let number = session.number;
        let Some(subscription) = session.subscriptions.get_mut(filter).filter(|one| one.position == position)
        else {
            return;
        };
        subscription.position = next;
        let (options, identifier) = (subscription.options, subscription.identifier);
        self.log.append(&Record::Subscribed { session: number, filter, options, identifier });
    }

    fn record_message_again(
        &mut self,
        cleaning: &Cleaning,
        position: u64,
        stored: StoredMessage<'_>,
        now: Now,
    ) {
        let next = self.log.next();
        let retained = self.retained.get_mut(stored.topic).filter(|one| one.position == position);
        if let Some(retained) = retained.filter(|_| stored.is_retained) {
            retained.position = next;
            // Not the one that was read: one batch may have several of a topic.
            let message = Arc::clone(&retained.message);
            self.record_message(&message, true, Vec::new(), now);
        }
        let waiting = |recipient: &Recipient| {
            let session = cleaning.session(recipient.session).and_then(|key| self.sessions.get(key));
            session.is_some_and(|session| session.waits_for(recipient.sequence))
        };
        let recipients: Vec<Recipient> = stored.recipients.into_iter().filter(waiting).collect();
        if !recipients.is_empty() {
            self.log.append(&Record::Message(StoredMessage { is_retained: false, recipients, ..stored }));
        }
    }
}
