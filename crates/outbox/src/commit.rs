//! One transaction: what enters the queue, what leaves it, and the books, changed together.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use crate::entry::{ENTRY_OVERHEAD, Entry, Priority};
use crate::schema::{State, dropped_range, key};
use crate::store::{Change, Options, WhenFull};
use crate::totals::{DropReason, DroppedRange};

/// Ranges of dropped entries that are kept.
const MAX_RANGES: i64 = 1000;

/// Changes on their way into the file.
pub(crate) struct Commit<'a> {
    connection: &'a Connection,
    options: Options,
    in_flight: &'a BTreeSet<u64>,
    state: State,
    /// What was dropped, in no order.
    dropped: Vec<DroppedRange>,
    /// What is in the queue no more.
    gone: Vec<u64>,
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
        in_flight: &'a BTreeSet<u64>,
        state: State,
    ) -> Commit<'a> {
        Commit { connection, options, in_flight, state, dropped: Vec::new(), gone: Vec::new() }
    }

    pub(crate) fn apply(&mut self, change: &Change) -> rusqlite::Result<()> {
        match change {
            Change::Append { mark, entries, now_ms } => {
                self.state.mark = self.state.mark.max(*mark);
                entries.iter().try_for_each(|entry| self.append(entry, *now_ms))
            }
            Change::Acknowledge(seqs) => seqs.iter().try_for_each(|seq| self.acknowledge(*seq)),
            Change::Discard { seqs, now_ms } => {
                seqs.iter().try_for_each(|seq| self.drop_queued(*seq, DropReason::Refused, *now_ms))
            }
        }
    }

    /// Writes the books; the state they are in once the transaction is committed, and what is in the queue no more.
    pub(crate) fn finish(mut self) -> rusqlite::Result<(State, Vec<u64>)> {
        self.store_dropped()?;
        self.state.store(self.connection)?;
        Ok((self.state, self.gone))
    }

    fn append(&mut self, entry: &Entry, now_ms: i64) -> rusqlite::Result<()> {
        let seq = self.state.next_seq;
        self.state.next_seq = seq.saturating_add(1);
        self.state.totals.accepted.add(entry.weight);
        let body = entry.body.with_seq(seq);
        let size = ENTRY_OVERHEAD + (entry.topic.len() + body.len()) as u64;
        if !self.make_room(entry.priority, size, now_ms)? {
            self.count_dropped(seq, entry.weight, DropReason::Full, now_ms);
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO queue (seq, priority, weight, size, topic, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                key(seq),
                entry.priority.code(),
                entry.weight,
                size.cast_signed(),
                entry.topic,
                body
            ])?;
        self.state.totals.queued.add(entry.weight);
        self.state.totals.queued_bytes = self.state.totals.queued_bytes.saturating_add(size);
        Ok(())
    }

    fn acknowledge(&mut self, seq: u64) -> rusqlite::Result<()> {
        if let Some(weight) = self.take(seq)? {
            self.state.totals.published.add(weight);
        }
        Ok(())
    }

    fn drop_queued(&mut self, seq: u64, reason: DropReason, now_ms: i64) -> rusqlite::Result<()> {
        if let Some(weight) = self.take(seq)? {
            self.count_dropped(seq, weight, reason, now_ms);
        }
        Ok(())
    }

    /// Removes an entry from the queue; its weight, where it was there.
    fn take(&mut self, seq: u64) -> rusqlite::Result<Option<u32>> {
        let taken = self
            .connection
            .prepare_cached("DELETE FROM queue WHERE seq = ?1 RETURNING weight, size")?
            .query_row([key(seq)], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i64>(1)?.cast_unsigned())))
            .optional()?;
        let Some((weight, size)) = taken else { return Ok(None) };
        self.gone.push(seq);
        self.state.totals.queued.subtract(weight);
        self.state.totals.queued_bytes = self.state.totals.queued_bytes.saturating_sub(size);
        Ok(Some(weight))
    }

    fn count_dropped(&mut self, seq: u64, weight: u32, reason: DropReason, at_ms: i64) {
        self.state.totals.of_reason(reason).add(weight);
        let weight = u64::from(weight);
        self.dropped.push(DroppedRange { seq_from: seq, seq_to: seq, weight, reason, at_ms });
    }

    /// Whether there is room for `size` more bytes, once what may go for it is gone. Nothing goes in vain.
    fn make_room(&mut self, incoming: Priority, size: u64, now_ms: i64) -> rusqlite::Result<bool> {
        let wanted = self.state.totals.queued_bytes.saturating_add(size);
        let Some(missing) = wanted.checked_sub(self.options.max_bytes).filter(|missing| *missing > 0) else {
            return Ok(true);
        };
        if size > self.options.max_bytes {
            return Ok(false);
        }
        let oldest = |priority| (priority, "ORDER BY seq");
        let candidates = match (self.options.when_full, incoming) {
            (WhenFull::DropOldest, Priority::Normal) => vec![oldest(Priority::Normal)],
            (WhenFull::DropOldest, Priority::Urgent) => {
                vec![oldest(Priority::Normal), oldest(Priority::Urgent)]
            }
            (WhenFull::DropNewest, Priority::Normal) => vec![],
            (WhenFull::DropNewest, Priority::Urgent) => vec![(Priority::Normal, "ORDER BY seq DESC")],
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
        let query = format!("SELECT seq, size FROM queue WHERE priority = ?1 {order}");
        let mut statement = self.connection.prepare_cached(&query)?;
        let mut rows = statement.query([priority.code()])?;
        let mut enough = freed(victims);
        while enough < missing {
            let Some(row) = rows.next()? else { break };
            let seq = row.get::<_, i64>(0)?.cast_unsigned();
            if self.in_flight.contains(&seq) {
                continue;
            }
            let size = row.get::<_, i64>(1)?.cast_unsigned();
            enough = enough.saturating_add(size);
            victims.push(Victim { seq, size });
        }
        Ok(())
    }

    /// Adds the dropped entries to the ranges in the file, neighbours as one, and forgets the oldest ranges.
    fn store_dropped(&mut self) -> rusqlite::Result<()> {
        if self.dropped.is_empty() {
            return Ok(());
        }
        self.dropped.sort_unstable_by_key(|range| range.seq_from);
        let mut ranges: Vec<DroppedRange> = Vec::new();
        for range in self.dropped.drain(..) {
            match ranges.last_mut() {
                Some(last) if last.meets(&range) => *last = last.join(range),
                _ => ranges.push(range),
            }
        }
        ranges.into_iter().try_for_each(|range| self.store_range(range))?;
        self.connection
            .prepare_cached(
                "DELETE FROM dropped WHERE seq_from <=
                 (SELECT seq_from FROM dropped ORDER BY seq_from DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute([MAX_RANGES])?;
        Ok(())
    }

    fn store_range(&self, mut range: DroppedRange) -> rusqlite::Result<()> {
        let neighbour = |query, seq: u64| {
            self.connection.prepare_cached(query)?.query_row([key(seq)], dropped_range).optional()
        };
        let before = neighbour(
            "SELECT * FROM dropped WHERE seq_from < ?1 ORDER BY seq_from DESC LIMIT 1",
            range.seq_from,
        )?;
        let after =
            neighbour("SELECT * FROM dropped WHERE seq_from > ?1 ORDER BY seq_from LIMIT 1", range.seq_to)?;
        if let Some(after) = after.filter(|after| range.meets(after)) {
            self.connection
                .prepare_cached("DELETE FROM dropped WHERE seq_from = ?1")?
                .execute([key(after.seq_from)])?;
            range = range.join(after);
        }
        if let Some(before) = before.filter(|before| before.meets(&range)) {
            range = before.join(range);
        }
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO dropped (seq_from, seq_to, weight, reason, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                key(range.seq_from),
                key(range.seq_to),
                range.weight.cast_signed(),
                range.reason.code(),
                range.at_ms
            ])?;
        Ok(())
    }
}

fn freed(victims: &[Victim]) -> u64 {
    victims.iter().fold(0, |sum, victim| sum.saturating_add(victim.size))
}
