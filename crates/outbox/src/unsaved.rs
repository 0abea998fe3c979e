//! What the open transaction holds and the disk does not: enough to do it all again after a rollback.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::commit::Delta;
use crate::entry::Priority;
use crate::ranges;
use crate::row::{QueueRow, key};
use crate::totals::DroppedRange;

/// What a removed row or a range counts for, in bytes.
const SMALL: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Entries that are not on the disk, and since when.
    rows: BTreeMap<i64, (QueueRow, Instant)>,
    /// Entries that are on the disk and shall not be any more …
    removed: BTreeSet<i64>,
    /// … the first of them since then.
    removed_since: Option<Instant>,
    dropped: Vec<DroppedRange>,
    row_bytes: u64,
}

impl Unsaved {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.removed.is_empty() && self.dropped.is_empty()
    }

    /// What it takes in memory, and in dirty pages, about.
    pub(crate) fn bytes(&self) -> u64 {
        let small = self.rows.len() + self.removed.len() + self.dropped.len();
        self.row_bytes.saturating_add((small * SMALL) as u64)
    }

    /// Since when something waits that a crash would have to be made up for.
    pub(crate) fn since(&self) -> Option<Instant> {
        let first = |from, to| self.rows.range(from..to).next().map(|(_, (_, since))| *since);
        let urgent = first(key(Priority::Urgent, 0), 0);
        let normal = first(0, i64::MAX);
        [urgent, normal, self.removed_since].into_iter().flatten().min()
    }

    pub(crate) fn merge(&mut self, delta: Delta, now: Instant) {
        for row in delta.rows {
            self.row_bytes = self.row_bytes.saturating_add(row.size());
            self.rows.insert(row.key(), (row, now));
        }
        for key in delta.removed {
            if let Some((row, _)) = self.rows.remove(&key) {
                self.row_bytes = self.row_bytes.saturating_sub(row.size());
            } else {
                self.removed.insert(key);
                self.removed_since.get_or_insert(now);
            }
        }
        if !delta.dropped.is_empty() {
            self.dropped.extend(delta.dropped);
            self.dropped = ranges::joined(std::mem::take(&mut self.dropped));
            self.removed_since.get_or_insert(now);
        }
    }

    /// Does it again.
    pub(crate) fn redo(&self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        for key in &self.removed {
            connection.prepare_cached("DELETE FROM queue WHERE key = ?1")?.execute([key])?;
        }
        self.rows.values().try_for_each(|(row, _)| row.insert(connection))?;
        ranges::store(connection, &self.dropped)
    }
}
