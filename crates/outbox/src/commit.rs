//! What enters the queue, what leaves it, and the books, changed together within one transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::entry::{ENTRY_OVERHEAD, Entry, Priority, Share};
use crate::error::corrupt;
use crate::ranges;
use crate::row::{COLUMNS, QueueRow, key, keys, parts};
use crate::state::State;
use crate::store::{Change, Options, WhenFull};
use crate::totals::{DropReason, DroppedRange};

/// An entry of the queue as far as the books need it.
#[derive(Debug, Clone)]
pub(crate) struct Queued {
    pub(crate) key: i64,
    pub(crate) shares: Vec<Share>,
    pub(crate) size: u64,
}

impl Queued {
    pub(crate) fn of(row: &QueueRow) -> Queued {
        Queued { key: row.key(), shares: row.shares.clone(), size: row.size() }
    }
}

/// What changes did to the tables.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// New entries.
    pub(crate) rows: Vec<QueueRow>,
    /// The keys of entries that are in the queue no more; of new ones too.
    pub(crate) removed: Vec<i64>,
    /// What was dropped.
    pub(crate) dropped: Vec<DroppedRange>,
}

/// Changes on their way into the file.
pub(crate) struct Commit<'a> {
    connection: &'a Connection,
    options: Options,
    in_flight: &'a BTreeMap<u64, Queued>,
    state: State,
    delta: Delta,
}

/// A queued entry that could make room.
struct Victim {
    seq: u64,
    size: u64,
}

impl<'a> Commit<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        options: Options,
        in_flight: &'a BTreeMap<u64, Queued>,
        state: State,
    ) -> Commit<'a> {
        Commit { connection, options, in_flight, state, delta: Delta::default() }
    }

    pub(crate) fn apply(&mut self, change: &Change) -> rusqlite::Result<()> {
        match change {
            Change::Append { mark, entries, now_ms } => {
                self.state.mark = self.state.mark.max(*mark);
                self.state.now_ms = self.state.now_ms.max(*now_ms);
                entries.iter().try_for_each(|entry| self.append(entry, *now_ms))
            }
            Change::Acknowledge(seqs) => seqs.iter().try_for_each(|seq| self.acknowledge(*seq)),
            Change::Discard { seqs, now_ms } => {
                self.state.now_ms = self.state.now_ms.max(*now_ms);
                seqs.iter().try_for_each(|seq| self.drop_queued(*seq, DropReason::Refused, *now_ms))
            }
        }
    }

    /// The numbers and books that go with the tables as they are now, and what was done to the tables.
    pub(crate) fn finish(mut self) -> rusqlite::Result<(State, Delta)> {
        self.delta.dropped = ranges::joined(self.delta.dropped);
        ranges::store(self.connection, &self.delta.dropped)?;
        Ok((self.state, self.delta))
    }

    fn append(&mut self, entry: &Entry, now_ms: i64) -> rusqlite::Result<()> {
        let seq = self.state.next_seq;
        self.state.next_seq = seq.saturating_add(1);
        let shares = self.state.books.admit(&entry.shares);
        let body = entry.body.with_seq(seq);
        let row = QueueRow { seq, priority: entry.priority, shares, topic: entry.topic.clone(), body };
        self.state.books.accept(&row.shares);
        if !self.make_room(entry.priority, row.size(), now_ms)? {
            self.count_dropped(seq, &row.shares, DropReason::Full, now_ms);
            return Ok(());
        }
        row.insert(self.connection)?;
        self.state.books.enqueue(&row.shares, row.size());
        self.delta.rows.push(row);
        Ok(())
    }

    fn acknowledge(&mut self, seq: u64) -> rusqlite::Result<()> {
        if let Some(queued) = self.take(seq)? {
            self.state.books.publish(&queued.shares);
        }
        Ok(())
    }

    fn drop_queued(&mut self, seq: u64, reason: DropReason, now_ms: i64) -> rusqlite::Result<()> {
        if let Some(queued) = self.take(seq)? {
            self.count_dropped(seq, &queued.shares, reason, now_ms);
        }
        Ok(())
    }

    /// Removes an entry from the queue, where it is there.
    fn take(&mut self, seq: u64) -> rusqlite::Result<Option<Queued>> {
        let queued = match self.in_flight.get(&seq) {
            Some(queued) => Some(queued.clone()),
            None => self.find(seq)?,
        };
        let Some(queued) = queued else { return Ok(None) };
        let delete = "DELETE FROM queue WHERE key = ?1";
        if self.connection.prepare_cached(delete)?.execute([queued.key])? == 0 {
            return Ok(None);
        }
        self.delta.removed.push(queued.key);
        self.state.books.dequeue(&queued.shares, queued.size);
        Ok(Some(queued))
    }

    fn find(&self, seq: u64) -> rusqlite::Result<Option<Queued>> {
        let query = format!("SELECT {COLUMNS} FROM queue WHERE key IN (?1, ?2)");
        let keys = Priority::ALL.map(|priority| key(priority, seq));
        let found = self.connection.prepare_cached(&query)?.query_row(keys, QueueRow::read).optional()?;
        match found {
            Some(Some(row)) => Ok(Some(Queued::of(&row))),
            Some(None) => Err(corrupt()),
            None => Ok(None),
        }
    }

    fn count_dropped(&mut self, seq: u64, shares: &[Share], reason: DropReason, at_ms: i64) {
        self.state.books.drop(shares, reason);
        let weight = crate::accounts::weight(shares);
        self.delta.dropped.push(DroppedRange { seq_from: seq, seq_to: seq, weight, reason, at_ms });
    }

    /// Whether there is room for `size` more bytes, once what may go for it is gone. Nothing goes in vain.
    fn make_room(&mut self, incoming: Priority, size: u64, now_ms: i64) -> rusqlite::Result<bool> {
        let wanted = self.state.books.totals.queued_bytes.saturating_add(size);
        let Some(missing) = wanted.checked_sub(self.options.max_bytes).filter(|missing| *missing > 0) else {
            return Ok(true);
        };
        if size > self.options.max_bytes {
            return Ok(false);
        }
        let oldest = |priority| (priority, "ORDER BY key");
        let candidates = match (self.options.when_full, incoming) {
            (WhenFull::DropOldest, Priority::Normal) => vec![oldest(Priority::Normal)],
            (WhenFull::DropOldest, Priority::Urgent) => {
                vec![oldest(Priority::Normal), oldest(Priority::Urgent)]
            }
            (WhenFull::DropNewest, Priority::Normal) => vec![],
            (WhenFull::DropNewest, Priority::Urgent) => vec![(Priority::Normal, "ORDER BY key DESC")],
        };
        let mut victims = Vec::new();
        for (priority, order) in candidates {
            self.choose(priority, order, missing, &mut victims)?;
        }
        if freed(&victims) < missing {
            return Ok(false);
        }
        victims.iter().try_for_each(|victim| self.drop_queued(victim.seq, DropReason::Full, now_ms))?;
        Ok(true)
    }

    /// Adds entries of `priority` that are not in flight to `victims`, until they free `missing` bytes.
    fn choose(
        &self,
        priority: Priority,
        order: &str,
        missing: u64,
        victims: &mut Vec<Victim>,
    ) -> rusqlite::Result<()> {
        let query = format!(
            "SELECT key, octet_length(shares) + octet_length(topic) + octet_length(body) FROM queue
             WHERE key BETWEEN ?1 AND ?2 {order}"
        );
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut rows = statement.query(keys(priority, 0))?;
        let mut enough = freed(victims);
        while enough < missing {
            let Some(row) = rows.next()? else { break };
            let (_, seq) = parts(row.get(0)?);
            if self.in_flight.contains_key(&seq) {
                continue;
            }
            let size = ENTRY_OVERHEAD.saturating_add(row.get::<_, i64>(1)?.cast_unsigned());
            enough = enough.saturating_add(size);
            victims.push(Victim { seq, size });
        }
        Ok(())
    }
}

fn freed(victims: &[Victim]) -> u64 {
    victims.iter().fold(0, |sum, victim| sum.saturating_add(victim.size))
}
