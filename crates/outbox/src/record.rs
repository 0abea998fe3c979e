//! What a record of the log holds: an entry, or a change that makes the entries before it part of the queue.
//!
//! An entry without a change after it is ignored: a crash may have left it there. A [`Change`] contains which entries
//! were added and removed, and the new counters. It repeats the change before it, so that one damaged change costs nothing.

use std::sync::Arc;

use crate::accounts::{Accounts, decode_accounts, encode_accounts, shares_bytes, weight};
use crate::dropped;
use crate::encoding::{Decoder, put_text, put_u64};
use crate::entry::{ENTRY_OVERHEAD, Priority, Share, Stored};
use crate::seqs::SeqSet;
use crate::state::State;
use crate::totals::{Count, DroppedRange, Totals};

const ENTRY: u8 = 1;
const CHANGE: u8 = 2;
/// The number of consumers. The counters, dropped ranges and queue of each one follow it.
const CONSUMERS: u64 = 1;

/// An entry with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueuedEntry {
    pub(crate) seq: u64,
    pub(crate) priority: Priority,
    pub(crate) shares: Vec<Share>,
    pub(crate) topic: String,
    pub(crate) body: Vec<u8>,
}

impl QueuedEntry {
    /// What it counts for against the limit, in bytes.
    pub(crate) fn size(&self) -> u64 {
        ENTRY_OVERHEAD + (shares_bytes(&self.shares) + self.topic.len() + self.body.len()) as u64
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.topic.len() + self.body.len());
        bytes.push(ENTRY);
        bytes.push(u8::from(self.priority == Priority::Normal));
        put_u64(&mut bytes, self.seq);
        put_u64(&mut bytes, self.shares.len() as u64);
        for share in &self.shares {
            put_text(&mut bytes, &share.account);
            put_u64(&mut bytes, u64::from(share.weight));
        }
        put_text(&mut bytes, &self.topic);
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn decode(decoder: &mut Decoder<'_>) -> Option<QueuedEntry> {
        let priority = match decoder.byte()? {
            0 => Priority::Urgent,
            1 => Priority::Normal,
            _ => return None,
        };
        let seq = decoder.u64()?;
        let mut shares = Vec::new();
        for _ in 0..decoder.u64()? {
            let account: Arc<str> = decoder.text()?.into();
            shares.push(Share { account, weight: u32::try_from(decoder.u64()?).ok()? });
        }
        let topic = decoder.text()?.to_owned();
        Some(QueuedEntry { seq, priority, shares, topic, body: decoder.rest().to_vec() })
    }

    pub(crate) fn to_stored(&self) -> Stored {
        Stored {
            seq: self.seq,
            priority: self.priority,
            topic: self.topic.clone(),
            bytes: self.body.clone(),
            weight: weight(&self.shares),
        }
    }
}

/// What one change did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// The position of the first record that belongs to it: entries from there to the change are part of it.
    pub(crate) entries_from: u64,
    /// The number that the next entry would have got before it.
    pub(crate) first_seq: u64,
    /// Entries in the log before it: new ones, and old ones that were written again.
    pub(crate) added: SeqSet,
    /// Entries that left the queue.
    pub(crate) removed: SeqSet,
    pub(crate) dropped: Vec<DroppedRange>,
}

impl Delta {
    fn encode(&self, bytes: &mut Vec<u8>) {
        put_u64(bytes, self.entries_from);
        put_u64(bytes, self.first_seq);
        self.added.encode(bytes);
        self.removed.encode(bytes);
        dropped::encode(&self.dropped, bytes);
    }

    fn decode(decoder: &mut Decoder<'_>) -> Option<Delta> {
        Some(Delta {
            entries_from: decoder.u64()?,
            first_seq: decoder.u64()?,
            added: SeqSet::decode(decoder)?,
            removed: SeqSet::decode(decoder)?,
            dropped: dropped::decode(decoder)?,
        })
    }
}

/// A commit: what it changed, and the new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) numbers: Numbers,
    pub(crate) totals: Totals,
    /// Those that differ from the state before the previous change.
    pub(crate) accounts: Accounts,
    pub(crate) delta: Delta,
    pub(crate) previous: Delta,
}

/// Numbers that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// How many changes there were.
    pub(crate) changes: u64,
    /// The number that the next entry gets.
    pub(crate) next_seq: u64,
    /// The producer's progress.
    pub(crate) mark: u64,
    /// The latest time that a caller passed.
    pub(crate) now_ms: i64,
}

impl Numbers {
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        let Numbers { changes, next_seq, mark, now_ms } = *self;
        [changes, next_seq, mark, now_ms.cast_unsigned()]
            .into_iter()
            .for_each(|number| put_u64(bytes, number));
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Option<Numbers> {
        Some(Numbers {
            changes: decoder.u64()?,
            next_seq: decoder.u64()?,
            mark: decoder.u64()?,
            now_ms: decoder.u64()?.cast_signed(),
        })
    }
}

impl Change {
    /// The change that leads to `state`. `before`: the accounts before the previous change.
    pub(crate) fn new(state: &State, before: &Accounts, delta: Delta, previous: Delta) -> Change {
        let accounts = state.counters.accounts.iter();
        let accounts = accounts.filter(|(name, account)| before.get(*name) != Some(account));
        Change {
            numbers: state.numbers,
            totals: state.counters.totals.clone(),
            accounts: accounts.map(|(name, account)| (Arc::clone(name), *account)).collect(),
            delta,
            previous,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![CHANGE];
        self.numbers.encode(&mut bytes);
        encode_consumers(&mut bytes);
        encode_totals(&self.totals, &mut bytes);
        encode_accounts(self.accounts.iter(), &mut bytes);
        self.delta.encode(&mut bytes);
        self.previous.encode(&mut bytes);
        bytes
    }

    fn decode(decoder: &mut Decoder<'_>) -> Option<Change> {
        let numbers = Numbers::decode(decoder)?;
        decode_consumers(decoder)?;
        Some(Change {
            numbers,
            totals: decode_totals(decoder)?,
            accounts: decode_accounts(decoder)?,
            delta: Delta::decode(decoder)?,
            previous: Delta::decode(decoder)?,
        })
    }
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogRecord {
    Entry(QueuedEntry),
    Change(Box<Change>),
}

impl LogRecord {
    /// `None` where these bytes are no record of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<LogRecord> {
        let mut decoder = Decoder::new(bytes);
        match decoder.byte()? {
            ENTRY => QueuedEntry::decode(&mut decoder).map(LogRecord::Entry),
            CHANGE => Change::decode(&mut decoder).map(Box::new).map(LogRecord::Change),
            _ => None,
        }
    }
}

pub(crate) fn encode_consumers(bytes: &mut Vec<u8>) {
    put_u64(bytes, CONSUMERS);
}

pub(crate) fn decode_consumers(decoder: &mut Decoder<'_>) -> Option<()> {
    (decoder.u64()? == CONSUMERS).then_some(())
}

pub(crate) fn encode_totals(totals: &Totals, bytes: &mut Vec<u8>) {
    let Totals { accepted, published, queued, dropped_full, dropped_refused, dropped_damaged, queued_bytes } =
        totals;
    for count in [accepted, published, queued, dropped_full, dropped_refused, dropped_damaged] {
        put_u64(bytes, count.entries);
        put_u64(bytes, count.weight);
    }
    put_u64(bytes, *queued_bytes);
}

pub(crate) fn decode_totals(decoder: &mut Decoder<'_>) -> Option<Totals> {
    let mut count = || Some(Count { entries: decoder.u64()?, weight: decoder.u64()? });
    Some(Totals {
        accepted: count()?,
        published: count()?,
        queued: count()?,
        dropped_full: count()?,
        dropped_refused: count()?,
        dropped_damaged: count()?,
        queued_bytes: decoder.u64()?,
    })
}
