//! Gives space on the disk back: what still counts of the oldest records is recorded again, then they can be deleted.

use super::records::{Recipient, Record, StoredMessage, each_record};
use super::session::Inbound;
use super::{Engine, RestoreError, SessionKey};

impl Engine {
    /// Bytes that the records of the present state take, about.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        let sessions = self.sessions.len() * 100;
        (self.retained.bytes() + self.memory.used() + sessions) as u64
    }

    /// Records again what still counts of a batch. Batches must come oldest first, and be deleted after the new records are
    /// stored: a record that says that something ended is left out, for what it ended is older and gone.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn record_again(&mut self, position: u64, batch: &[u8]) -> Result<(), RestoreError> {
        for record in each_record(batch) {
            self.record_one_again(position, record?);
        }
        Ok(())
    }

    fn record_one_again(&mut self, position: u64, record: Record<'_>) {
        self.log.begin_change();
        match record {
            Record::Session { client, .. } => {
                if let Some(&key) = self.by_client_id.get(client)
                    && self.sessions.get(key).is_some_and(|session| session.position == position)
                {
                    self.record_session(key);
                }
            }
            Record::Subscribed { session, filter, .. } => {
                if let Some(key) = self.session_by_number(session) {
                    self.record_subscription_again(key, filter, position);
                }
            }
            Record::Message(stored) => self.record_message_again(position, stored),
            Record::Sent { session, sequence, packet_id } => {
                let waits = self.session_by_number(session).and_then(|key| self.sessions.get(key));
                if waits.is_some_and(|one| one.waits_for(sequence)) {
                    self.log.append(&Record::Sent { session, sequence, packet_id });
                }
            }
            Record::PubrecReceived { session, sequence } => {
                let waits = self.session_by_number(session).and_then(|key| self.sessions.get(key));
                if waits.is_some_and(|one| one.waits_for(sequence)) {
                    self.log.append(&Record::PubrecReceived { session, sequence });
                }
            }
            Record::Inbound { session, packet_id } => {
                let one = self.session_by_number(session).and_then(|key| self.sessions.get(key));
                if one.is_some_and(|one| one.inbound.get(&packet_id) == Some(&Inbound::Acknowledged)) {
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

    fn session_by_number(&self, number: u64) -> Option<SessionKey> {
        // Cleaning is rare, and a table by number would be one more to keep right.
        self.sessions.iter().find(|(_, session)| session.number == number).map(|(key, _)| key)
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

    fn record_message_again(&mut self, position: u64, stored: StoredMessage<'_>) {
        let next = self.log.next();
        let mut is_retained = false;
        if let Some(retained) = self.retained.get_mut(stored.topic).filter(|one| one.position == position) {
            retained.position = next;
            is_retained = true;
        }
        let waiting = |recipient: &Recipient| {
            let session = self.session_by_number(recipient.session).and_then(|key| self.sessions.get(key));
            session.is_some_and(|session| session.waits_for(recipient.sequence))
        };
        let recipients: Vec<Recipient> = stored.recipients.into_iter().filter(waiting).collect();
        if is_retained || !recipients.is_empty() {
            self.log.append(&Record::Message(StoredMessage { is_retained, recipients, ..stored }));
        }
    }
}
