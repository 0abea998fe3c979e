//! Which entries are queued, and the position of each in the log. The newest entries are kept in memory too, so that an
//! entry that was just written is not read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::Position;

use crate::entry::Priority;
use crate::record::QueuedEntry;
use crate::seqs::SeqSet;

/// Entries that are kept in memory although they are in the log, in bytes.
const MEMORY_BYTES: u64 = 1024 * 1024;
/// The position of an entry that is not in the log yet.
const NOT_IN_LOG: Position = Position(0);

/// Takes about 50 bytes of memory an entry, and the newest entries themselves.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    urgent: BTreeMap<u64, Position>,
    normal: BTreeMap<u64, Position>,
    by_position: BTreeMap<Position, u64>,
    memory: BTreeMap<u64, Arc<QueuedEntry>>,
    memory_bytes: u64,
}

impl Queue {
    fn lane(&self, priority: Priority) -> &BTreeMap<u64, Position> {
        match priority {
            Priority::Urgent => &self.urgent,
            Priority::Normal => &self.normal,
        }
    }

    fn lane_mut(&mut self, priority: Priority) -> &mut BTreeMap<u64, Position> {
        match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Normal => &mut self.normal,
        }
    }

    /// Adds a new entry, which is only in memory.
    pub(crate) fn push(&mut self, entry: Arc<QueuedEntry>) {
        self.lane_mut(entry.priority).insert(entry.seq, NOT_IN_LOG);
        self.keep_in_memory(entry);
    }

    /// Adds an entry that is in the log.
    pub(crate) fn insert(&mut self, seq: u64, priority: Priority, position: Position) {
        self.lane_mut(priority).insert(seq, position);
        self.by_position.insert(position, seq);
    }

    /// The entry was written to the log at this position.
    pub(crate) fn moved(&mut self, entry: &QueuedEntry, position: Position) {
        let old = self.lane_mut(entry.priority).insert(entry.seq, position);
        old.and_then(|old| self.by_position.remove(&old));
        self.by_position.insert(position, entry.seq);
    }

    pub(crate) fn keep_in_memory(&mut self, entry: Arc<QueuedEntry>) {
        self.memory_bytes = self.memory_bytes.saturating_add(entry.size());
        if let Some(old) = self.memory.insert(entry.seq, entry) {
            self.memory_bytes = self.memory_bytes.saturating_sub(old.size());
        }
    }

    /// Returns whether the entry was in the log; `None` if it was not queued.
    pub(crate) fn remove(&mut self, seq: u64) -> Option<bool> {
        self.forget(seq);
        let position = self.urgent.remove(&seq).or_else(|| self.normal.remove(&seq))?;
        self.by_position.remove(&position);
        Some(position != NOT_IN_LOG)
    }

    fn forget(&mut self, seq: u64) {
        if let Some(entry) = self.memory.remove(&seq) {
            self.memory_bytes = self.memory_bytes.saturating_sub(entry.size());
        }
    }

    /// Removes the oldest entries from memory if there are too many. All before `next_seq` must be durable.
    pub(crate) fn evict(&mut self, next_seq: u64) {
        while self.memory_bytes > MEMORY_BYTES
            && let Some((seq, _)) = self.memory.first_key_value()
            && *seq < next_seq
        {
            let seq = *seq;
            self.forget(seq);
        }
    }

    pub(crate) fn in_memory(&self, seq: u64) -> Option<&Arc<QueuedEntry>> {
        self.memory.get(&seq)
    }

    /// `None` if the entry is not queued.
    pub(crate) fn position(&self, seq: u64) -> Option<Position> {
        self.urgent.get(&seq).or_else(|| self.normal.get(&seq)).copied()
    }

    /// The numbers of a priority after `after`, ascending.
    pub(crate) fn after(&self, priority: Priority, after: u64) -> impl DoubleEndedIterator<Item = u64> {
        let from = after.checked_add(1);
        let range = from.map(|from| self.lane(priority).range(from..).map(|(seq, _)| *seq));
        range.into_iter().flatten()
    }

    /// The oldest position of the log that is needed.
    pub(crate) fn first_position(&self) -> Option<Position> {
        self.by_position.keys().next().copied()
    }

    /// The entries with a position before `end`.
    pub(crate) fn before(&self, end: Position) -> Vec<u64> {
        self.by_position.range(..end).map(|(_, seq)| *seq).collect()
    }

    /// The entry at `position`.
    pub(crate) fn at(&self, position: Position) -> Option<u64> {
        self.by_position.get(&position).copied()
    }

    /// All numbers.
    pub(crate) fn seqs(&self) -> SeqSet {
        let mut seqs = SeqSet::default();
        self.urgent.keys().chain(self.normal.keys()).for_each(|seq| seqs.insert(*seq));
        seqs
    }
}
