//! How windows get out of the file: one after the other, never all at once.

use std::collections::HashMap;
use std::ops::ControlFlow;

use gateway_core::Timestamp;
use rusqlite::params;

use crate::blob::{self, Key};
use crate::error::{HistoryError, during};
use crate::names::{self, NameTable};
use crate::row::Row;
use crate::store::Store;

/// What a [`Store::visit`] came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Visited {
    /// Windows given out.
    pub rows: u64,
    /// Windows left out because damage made them unreadable.
    pub damaged: u64,
}

// Both tables are in this order, so SQLite merges them as it goes.
const QUERY: &str = "
    SELECT start, length, revision, metrics FROM windows WHERE device = ?1 AND start >= ?2 AND start < ?3
    UNION ALL
    SELECT start, length, revision, metrics FROM recent WHERE device = ?1 AND start >= ?2 AND start < ?3
    ORDER BY start, length";

impl Store {
    /// Gives `each` the windows of a device that start at `from` or later and before `to`, in order of start, then of
    /// end, until it has had enough. One window is in memory at a time. A device that is not known has none. While it
    /// lasts the writer's log cannot be taken over and grows, so `each` should not wait for anything.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn visit(
        &self,
        device: &str,
        from: Timestamp,
        to: Timestamp,
        mut each: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<Visited, HistoryError> {
        let fails = during("read", &self.path);
        let mut visited = Visited::default();
        let Some(device) = names::find(&self.file, NameTable::Device, device).map_err(&fails)? else {
            return Ok(visited);
        };
        let metrics = names::metrics(&self.file).map_err(&fails)?;
        let mut statement = self.file.prepare_cached(QUERY).map_err(&fails)?;
        let mut rows = statement.query(params![device, from.as_millis(), to.as_millis()]).map_err(&fails)?;
        while let Some(row) = rows.next().map_err(&fails)? {
            match decode(device, row, &metrics).map_err(&fails)? {
                None => visited.damaged += 1,
                Some(row) => {
                    visited.rows += 1;
                    if each(row).is_break() {
                        break;
                    }
                }
            }
        }
        Ok(visited)
    }

    /// The first `limit` windows of a device that start at `from` or later and before `to`, in order of start. What
    /// damage made unreadable is left out; [`Self::visit`] reports it.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(
        &self,
        device: &str,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Row>, HistoryError> {
        let mut rows = Vec::new();
        if limit > 0 {
            self.visit(device, from, to, |row| {
                rows.push(row);
                if rows.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
        }
        Ok(rows)
    }
}

/// None where it is not what was written.
pub(crate) fn decode(
    device: i64,
    row: &rusqlite::Row<'_>,
    metrics: &HashMap<u32, Box<str>>,
) -> rusqlite::Result<Option<Row>> {
    let (start, length): (i64, i64) = (row.get(0)?, row.get(1)?);
    let Ok(revision) = u32::try_from(row.get::<_, i64>(2)?) else { return Ok(None) };
    let Ok(blob) = row.get_ref(3)?.as_blob() else { return Ok(None) };
    let Some(entries) = blob::decode(Key { device, start, length, revision }, blob) else { return Ok(None) };
    let named = entries.into_iter().map(|entry| Some((metrics.get(&entry.metric)?.clone(), entry.summary)));
    Ok(named.collect::<Option<_>>().map(|metrics| Row {
        start: Timestamp::from_millis(start),
        end: Timestamp::from_millis(start.saturating_add(length)),
        revision,
        metrics,
    }))
}
