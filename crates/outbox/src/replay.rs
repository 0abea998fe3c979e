//! Computes the state from a snapshot and the log.
//!
//! An entry is part of the queue if a change after it says so. All changes but the last were durable, and so was everything
//! up to the snapshot: entries missing there were lost to damage. If an entry of the last change is missing, that change
//! is ignored: a power cut interrupted it, and its commit never returned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use journal::{JournalError, Position, Record};

use crate::counters::Tally;
use crate::entry::{Priority, Share};
use crate::record::{Change, Delta, LogRecord, QueuedEntry};
use crate::seqs::SeqSet;
use crate::snapshot::Snapshot;
use crate::state::State;

/// An entry of the log.
#[derive(Debug, Clone)]
pub(crate) struct FoundEntry {
    pub(crate) position: Position,
    pub(crate) priority: Priority,
    shares: Vec<Share>,
    size: u64,
}

/// The state while the log is read.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) state: State,
    /// The numbers that should be in the queue.
    pub(crate) queued: SeqSet,
    /// Numbers whose changes are lost.
    pub(crate) unknown: SeqSet,
    /// The newest position of each entry that a change contains.
    entries: BTreeMap<u64, FoundEntry>,
    /// The last change, if it led to the state.
    pub(crate) last_delta: Delta,
    /// The last change was ignored.
    pub(crate) skipped_last_change: bool,
    /// The last record that could be read.
    pub(crate) last_position: Position,
    /// The largest number in an entry or a change.
    pub(crate) largest_seq: u64,
    snapshot_position: Option<Position>,
    /// Entries after the last change that was applied.
    pending: Vec<(u64, FoundEntry)>,
    /// The newest change, not applied yet: it may be the last one.
    newest: Option<(Position, Change)>,
    /// The number of the change before that.
    last_number: Option<u64>,
    names: BTreeSet<Arc<str>>,
}

impl Replay {
    /// Reads all records of a log, oldest first.
    pub(crate) fn of(
        snapshot: Option<Snapshot>,
        records: impl Iterator<Item = Result<Record, JournalError>>,
    ) -> Result<Replay, JournalError> {
        let snapshot_position = snapshot.as_ref().map(|snapshot| snapshot.position);
        let (state, queued) =
            snapshot.map_or_else(|| (State::new(), SeqSet::default()), |found| (found.state, found.queued));
        let mut replay = Replay {
            state,
            queued,
            unknown: SeqSet::default(),
            entries: BTreeMap::new(),
            last_delta: Delta::default(),
            skipped_last_change: false,
            last_position: Position(0),
            largest_seq: 0,
            snapshot_position,
            pending: Vec::new(),
            newest: None,
            last_number: None,
            names: BTreeSet::new(),
        };
        for record in records {
            replay.read(&record?);
        }
        replay.apply_newest(true);
        if replay.last_number != Some(replay.state.numbers.changes) {
            replay.last_delta = Delta::default();
        }
        Ok(replay)
    }

    fn read(&mut self, record: &Record) {
        self.last_position = record.position;
        match LogRecord::decode(&record.payload) {
            Some(LogRecord::Entry(entry)) => {
                self.largest_seq = self.largest_seq.max(entry.seq);
                let found = self.found(record.position, &entry);
                self.pending.push((entry.seq, found));
            }
            Some(LogRecord::Change(change)) => {
                self.largest_seq = self.largest_seq.max(change.numbers.next_seq);
                self.apply_newest(false);
                self.newest = Some((record.position, *change));
            }
            None => {}
        }
    }

    fn found(&mut self, position: Position, entry: &QueuedEntry) -> FoundEntry {
        let shares = entry.shares.iter().map(|share| {
            if !self.names.contains(&share.account) {
                self.names.insert(Arc::clone(&share.account));
            }
            let account = self.names.get(&share.account).unwrap_or(&share.account);
            Share { account: Arc::clone(account), weight: share.weight }
        });
        let shares = shares.collect();
        FoundEntry { position, priority: entry.priority, shares, size: entry.size() }
    }

    fn apply_newest(&mut self, is_last: bool) {
        let Some((position, change)) = self.newest.take() else { return };
        let later = self.pending.partition_point(|(_, found)| found.position < position);
        let later = self.pending.split_off(later);
        let before = std::mem::replace(&mut self.pending, later);
        let is_durable = !is_last || self.snapshot_position.is_some_and(|durable| position <= durable);
        let there = before.iter().filter(|(_, found)| found.position.0 >= change.delta.entries_from).count();
        let is_whole = there as u64 == position.0.saturating_sub(change.delta.entries_from);
        if is_durable || is_whole {
            self.locate_entries(&change, &before);
            self.apply(position, &change);
            self.last_number = Some(change.numbers.changes);
            self.last_delta = change.delta;
        } else {
            self.skipped_last_change = true;
        }
    }

    /// Records the positions of the entries that this change, or a lost one before it, added.
    fn locate_entries(&mut self, change: &Change, before: &[(u64, FoundEntry)]) {
        // There may have been another change before the first one of the log.
        let lost = self.last_number.map_or(1, |last| change.numbers.changes.saturating_sub(last + 1));
        let mut deltas = vec![&change.delta];
        if lost > 0 {
            deltas.insert(0, &change.previous);
        }
        if lost > 1 {
            // Entries of the lost changes; some of them may have left the queue.
            self.entries.extend(before.iter().cloned());
        }
        for delta in deltas {
            // An older entry with the same number was never part of the queue, or was written again.
            for (first, last) in delta.added.ranges() {
                let old: Vec<u64> = self.entries.range(first..=last).map(|(seq, _)| *seq).collect();
                old.iter().for_each(|seq| drop(self.entries.remove(seq)));
            }
            let belongs = |(seq, found): &&(u64, FoundEntry)| {
                found.position.0 >= delta.entries_from && delta.added.contains(*seq)
            };
            self.entries.extend(before.iter().filter(belongs).cloned());
        }
    }

    fn apply(&mut self, position: Position, change: &Change) {
        if self.snapshot_position.is_some_and(|included| position <= included) {
            return;
        }
        let is_first = self.snapshot_position.is_none() && self.last_number.is_none();
        let known =
            if is_first { change.numbers.changes.saturating_sub(2) } else { self.state.numbers.changes };
        let lost = change.numbers.changes.saturating_sub(known.saturating_add(1));
        if lost > 1 && change.previous.first_seq > self.state.numbers.next_seq {
            let (first, last) = (self.state.numbers.next_seq, change.previous.first_seq - 1);
            self.unknown.insert_range(first, last);
            self.entries.range(first..=last).for_each(|(seq, _)| self.queued.insert(*seq));
        }
        if lost > 0 {
            self.apply_delta(&change.previous);
        }
        self.apply_delta(&change.delta);
        self.state.set(change);
    }

    fn apply_delta(&mut self, delta: &Delta) {
        delta.added.ranges().for_each(|(first, last)| self.queued.insert_range(first, last));
        delta.removed.ranges().for_each(|(first, last)| self.queued.remove_range(first, last));
        delta.dropped.iter().for_each(|range| self.state.dropped.insert(*range));
    }

    /// The entries that are in the queue, what they count for, and the numbers of those that are missing.
    pub(crate) fn queue(&mut self) -> (BTreeMap<u64, FoundEntry>, Tally, SeqSet) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|seq, _| self.queued.contains(*seq));
        let (mut tally, mut missing) = (Tally::default(), self.queued.clone());
        self.unknown.ranges().for_each(|(first, last)| missing.insert_range(first, last));
        for (seq, found) in &entries {
            tally.add(&found.shares, found.size);
            missing.remove(*seq);
        }
        (entries, tally, missing)
    }
}
