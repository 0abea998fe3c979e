//! Changes in memory that are not written yet: new entries, acknowledgements, entries dropped because the queue is full.
//! An entry that is acknowledged while it is staged is never written to the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accounts::weight;
use crate::entry::{Entry, Priority, Share};
use crate::error::OutboxError;
use crate::record::QueuedEntry;
use crate::seqs::SeqSet;
use crate::store::{Change, InFlight, Outbox, WhenFull};
use crate::totals::{DropReason, DroppedRange};

/// How much may be staged before a commit, in bytes. The change that crosses the limit is still staged.
pub(crate) const STAGED_BYTES: u64 = 1024 * 1024;
/// Memory of a removed entry or a dropped range, in bytes.
const SMALL: u64 = 64;
/// With `spill_after` zero, acknowledgements are collected for so long …
const GATHER: Duration = Duration::from_millis(200);
/// … or until there are so many.
const GATHER_SEQS: u64 = 256;

/// What the next change will contain.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// New entries, and when they were appended.
    pub(crate) entries: BTreeMap<u64, Instant>,
    /// Entries in the log that left the queue.
    pub(crate) removed: SeqSet,
    pub(crate) dropped: Vec<DroppedRange>,
    /// When the first append was staged, with or without entries.
    appended_since: Option<Instant>,
    /// When the first removal from the log was staged.
    removed_since: Option<Instant>,
    /// How many entries were removed, whether in the log or not.
    removals: u64,
    bytes: u64,
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.appended_since.is_none() && self.removed_since.is_none()
    }

    /// The memory it takes, roughly.
    pub(crate) fn bytes(&self) -> u64 {
        let small = (self.removed.count() + self.dropped.len()) as u64;
        self.bytes.saturating_add(small * SMALL)
    }

    fn since(&self) -> Option<Instant> {
        let first = self.entries.first_key_value().map(|(_, since)| *since);
        [first, self.removed_since].into_iter().flatten().min()
    }

    pub(crate) fn drop_range(&mut self, range: DroppedRange, now: Instant) {
        match self.dropped.last_mut() {
            Some(last) if last.meets(&range) => *last = last.join(range),
            _ => self.dropped.push(range),
        }
        self.removed_since.get_or_insert(now);
    }

    pub(crate) fn remove_from_log(&mut self, seq: u64, now: Instant) {
        self.removed.insert(seq);
        self.removed_since.get_or_insert(now);
    }

    /// Removes a new entry of this size: it was written, or has left the queue. Does nothing if it is not staged.
    pub(crate) fn remove_entry(&mut self, seq: u64, size: u64) {
        if self.entries.remove(&seq).is_some() {
            self.bytes = self.bytes.saturating_sub(size);
        }
    }
}

impl Outbox {
    /// When the staged changes must be committed.
    pub(crate) fn commit_at(&self) -> Option<Instant> {
        let staged = &self.staged;
        if self.options.spill_after.is_zero() {
            let gathered = staged
                .removed_since
                .map(|since| if staged.removals >= GATHER_SEQS { since } else { since + GATHER });
            return [staged.appended_since, gathered].into_iter().flatten().min();
        }
        let since = staged.since()?;
        Some(if staged.bytes() >= STAGED_BYTES { since } else { since + self.options.spill_after })
    }

    /// Applies a change in memory. If that fails because the log cannot be read, the rest of it stays in `change`.
    pub(crate) fn stage(&mut self, change: &mut Change, now: Instant) -> Result<(), OutboxError> {
        let (mut done, numbers) = (0, &mut self.state.numbers);
        let (seqs, refused_at) = match change {
            Change::Append { mark, entries, now_ms } => {
                numbers.now_ms = numbers.now_ms.max(*now_ms);
                let staged = entries.iter().try_for_each(|entry| {
                    self.stage_entry(entry, *now_ms, now)?;
                    done += 1;
                    Ok(())
                });
                entries.drain(..done);
                if staged.is_ok() {
                    self.state.numbers.mark = self.state.numbers.mark.max(*mark);
                    self.staged.appended_since.get_or_insert(now);
                }
                return staged;
            }
            Change::Acknowledge(seqs) => (seqs, None),
            Change::Discard { seqs, now_ms } => {
                numbers.now_ms = numbers.now_ms.max(*now_ms);
                (seqs, Some(*now_ms))
            }
        };
        let staged = seqs.iter().try_for_each(|seq| {
            self.stage_removal(*seq, refused_at, now)?;
            done += 1;
            Ok(())
        });
        seqs.drain(..done);
        staged
    }

    fn stage_entry(&mut self, entry: &Entry, now_ms: i64, now: Instant) -> Result<(), OutboxError> {
        let seq = self.state.numbers.next_seq;
        let shares = self.state.counters.admit(&entry.shares);
        let entry = QueuedEntry {
            seq,
            priority: entry.priority,
            shares,
            topic: entry.topic.clone(),
            body: entry.body.with_seq(seq),
        };
        let victims = self.victims(entry.priority, entry.size())?;
        self.state.numbers.next_seq = seq.saturating_add(1);
        self.state.counters.accept(&entry.shares);
        let Some(victims) = victims else {
            self.count_dropped(seq, &entry.shares, DropReason::Full, now_ms, now);
            return Ok(());
        };
        for (seq, victim) in victims {
            self.remove_queued(seq, &victim, now);
            self.count_dropped(seq, &victim.shares, DropReason::Full, now_ms, now);
        }
        self.state.counters.enqueue(&entry.shares, entry.size());
        self.staged.bytes = self.staged.bytes.saturating_add(entry.size());
        self.staged.entries.insert(seq, now);
        self.queue.push(Arc::new(entry));
        Ok(())
    }

    /// Acknowledges an entry; discards it if `refused_at` has a time.
    fn stage_removal(&mut self, seq: u64, refused_at: Option<i64>, now: Instant) -> Result<(), OutboxError> {
        let Some(known) = self.summary(seq)? else { return Ok(()) };
        self.remove_queued(seq, &known, now);
        match refused_at {
            None => self.state.counters.publish(&known.shares),
            Some(at_ms) => self.count_dropped(seq, &known.shares, DropReason::Refused, at_ms, now),
        }
        Ok(())
    }

    /// Shares and size of a queued entry.
    fn summary(&mut self, seq: u64) -> Result<Option<InFlight>, OutboxError> {
        if let Some(known) = self.in_flight.get(&seq) {
            return Ok(Some(known.clone()));
        }
        let entry = self.entry(seq)?;
        Ok(entry.map(|entry| InFlight { shares: entry.shares.clone(), size: entry.size() }))
    }

    /// Removes an entry that is queued.
    fn remove_queued(&mut self, seq: u64, known: &InFlight, now: Instant) {
        if self.queue.remove(seq) == Some(true) {
            self.staged.remove_from_log(seq, now);
        } else {
            self.staged.remove_entry(seq, known.size);
        }
        self.staged.removals += 1;
        self.in_flight.remove(&seq);
        self.state.counters.dequeue(&known.shares, known.size);
    }

    fn count_dropped(&mut self, seq: u64, shares: &[Share], reason: DropReason, at_ms: i64, now: Instant) {
        self.state.counters.drop(shares, reason);
        let range = DroppedRange { seq_from: seq, seq_to: seq, weight: weight(shares), reason, at_ms };
        self.state.dropped.insert(range);
        self.staged.drop_range(range, now);
    }

    /// The entries to drop so that `size` more bytes fit; `None` if dropping does not free enough.
    fn victims(
        &mut self,
        incoming: Priority,
        size: u64,
    ) -> Result<Option<Vec<(u64, InFlight)>>, OutboxError> {
        let wanted = self.state.counters.totals.queued_bytes.saturating_add(size);
        let missing = wanted.saturating_sub(self.options.max_bytes);
        if missing == 0 {
            return Ok(Some(Vec::new()));
        }
        if size > self.options.max_bytes {
            return Ok(None);
        }
        let (lanes, oldest_first): (&[Priority], bool) = match (self.options.when_full, incoming) {
            (WhenFull::DropOldest, Priority::Normal) => (&[Priority::Normal], true),
            (WhenFull::DropOldest, Priority::Urgent) => (&[Priority::Normal, Priority::Urgent], true),
            (WhenFull::DropNewest, Priority::Normal) => (&[], true),
            (WhenFull::DropNewest, Priority::Urgent) => (&[Priority::Normal], false),
        };
        let (mut victims, mut freed) = (Vec::new(), 0_u64);
        for lane in lanes {
            let mut passed = BTreeSet::new();
            while freed < missing {
                let next = self.next_victim(*lane, oldest_first, &passed);
                let Some(seq) = next else { break };
                passed.insert(seq);
                let Some(victim) = self.summary(seq)? else { continue };
                freed = freed.saturating_add(victim.size);
                victims.push((seq, victim));
            }
        }
        Ok((freed >= missing).then_some(victims))
    }

    fn next_victim(&self, lane: Priority, oldest_first: bool, passed: &BTreeSet<u64>) -> Option<u64> {
        let is_idle = |seq: &u64| !self.in_flight.contains_key(seq) && !passed.contains(seq);
        if oldest_first {
            self.queue.after(lane, passed.last().copied().unwrap_or(0)).find(is_idle)
        } else {
            self.queue.after(lane, 0).rfind(is_idle)
        }
    }
}
