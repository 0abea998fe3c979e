//! What must stay of old records if they are deleted while nothing new can be written, because the disk is full.
//!
//! Unlike [`Engine::record_again`], this makes no new records: what stays keeps its position.

use super::records::{Record, StoredMessage, each_record, encode};
use super::{Cleaning, Engine, RestoreError};

impl Engine {
    /// The records of a batch that still count, encoded as the batch; empty if none does. Records after `durable` may be lost: what
    /// only they replace counts, too. The batch may be replaced by the result once all older ones are replaced likewise.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn still_counts(
        &self,
        cleaning: &Cleaning,
        position: u64,
        batch: &[u8],
        durable: u64,
    ) -> Result<Vec<u8>, RestoreError> {
        let mut kept = Vec::new();
        for record in each_record(batch) {
            if let Some(record) = self.kept_of(cleaning, position, record?, durable) {
                encode(&mut kept, &record);
            }
        }
        Ok(kept)
    }

    fn kept_of<'a>(
        &self,
        cleaning: &Cleaning,
        position: u64,
        record: Record<'a>,
        durable: u64,
    ) -> Option<Record<'a>> {
        let session = |number| cleaning.session(number).and_then(|key| self.sessions.get(key));
        let is_newest = |newest: u64| newest == position || newest > durable;
        let counts = match &record {
            Record::Session { session: number, .. } => {
                session(*number).is_some_and(|one| is_newest(one.position))
            }
            // That it ended, too: what it ended may stay because of a newer one that may be lost.
            Record::Subscribed { session: number, filter, .. }
            | Record::Unsubscribed { session: number, filter } => session(*number)
                .and_then(|one| one.subscriptions.get(*filter))
                .is_some_and(|one| is_newest(one.position)),
            Record::Sent { session: number, sequence, .. }
            | Record::PubrecReceived { session: number, sequence } => {
                session(*number).is_some_and(|one| one.waits_for(*sequence))
            }
            Record::Inbound { session: number, packet_id } => {
                session(*number).is_some_and(|one| one.inbound.contains_key(packet_id))
            }
            Record::Message(_) => true,
            Record::RetainedCleared { topic } => self.retained.position(topic).is_some_and(is_newest),
            // What they ended is older, and does not count either.
            Record::SessionEnded { .. } | Record::Finished { .. } | Record::InboundReleased { .. } => false,
        };
        let Record::Message(mut stored) = record else { return counts.then_some(record) };
        stored.is_retained =
            stored.is_retained && self.retained.position(stored.topic).is_some_and(is_newest);
        stored.recipients.retain(|one| session(one.session).is_some_and(|of| of.waits_for(one.sequence)));
        let StoredMessage { is_retained, recipients, .. } = &stored;
        (*is_retained || !recipients.is_empty()).then_some(Record::Message(stored))
    }
}
