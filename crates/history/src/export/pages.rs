//! All rows of a device in order of time, a page at a time: days, then hours, then windows.

use rusqlite::params;

use crate::error::{HistoryError, during};
use crate::marks::{self, Part};
use crate::names::{self, NameTable};
use crate::read::decode;
use crate::row::Row;
use crate::store::Store;
use crate::tiers::Tier;

/// Rows of a page, at most.
const PAGE: i64 = 1_000;

/// Where in the rows of a device it is.
pub(super) struct Pages {
    device: Option<i64>,
    /// What is still to read, the last first.
    parts: Vec<Rest>,
}

/// A stretch of time of one table, from after a row on.
struct Rest {
    table: Table,
    from: i64,
    /// The last row that was read: its start and length.
    after: Option<(i64, i64)>,
    to: i64,
}

#[derive(Debug, Clone, Copy)]
enum Table {
    Windows,
    Tier(Tier),
}

/// Rows that were read together.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) damaged: u64,
}

impl Pages {
    pub(super) fn of(store: &Store, device: &str, (from, to): (i64, i64)) -> Result<Self, HistoryError> {
        let find = || -> rusqlite::Result<Self> {
            let device = names::find(&store.file, NameTable::Device, device)?;
            let mut parts = vec![Rest { table: Table::Windows, from, after: None, to }];
            if store.has_tiers {
                // Where windows were removed, hours stand for them; where these were, days.
                for (part, tier) in [(Part::Windows, Tier::Hours), (Part::Hours, Tier::Days)] {
                    let removed = marks::get(&store.file, part)?;
                    let Some(finer) = parts.last_mut().filter(|finer| removed > finer.from) else { break };
                    let whole = tier.start_of(removed.saturating_sub(1)).saturating_add(tier.length());
                    let (from, until) = (tier.start_of(finer.from), whole.min(finer.to));
                    finer.from = until;
                    parts.push(Rest { table: Table::Tier(tier), from, after: None, to: until });
                }
            }
            Ok(Self { device, parts })
        };
        find().map_err(during("read", &store.path))
    }

    /// The next rows; none at the end. Between two pages the file may change: no row that stays is left out.
    pub(super) fn next(&mut self, store: &Store) -> Result<Option<Page>, HistoryError> {
        let Some(device) = self.device else { return Ok(None) };
        while let Some(rest) = self.parts.last_mut() {
            let page = rest.next(store, device).map_err(during("read", &store.path))?;
            if page.is_some() {
                return Ok(page);
            }
            self.parts.pop();
        }
        Ok(None)
    }
}

impl Rest {
    fn next(&mut self, store: &Store, device: i64) -> rusqlite::Result<Option<Page>> {
        // Both tables of windows are in this order, so SQLite merges them as it goes.
        let query = match self.table {
            Table::Windows => {
                "SELECT start, length, revision, metrics FROM windows
                 WHERE device = ?1 AND start >= ?2 AND start < ?3 AND (start, length) > (?4, ?5)
                 UNION ALL
                 SELECT start, length, revision, metrics FROM recent
                 WHERE device = ?1 AND start >= ?2 AND start < ?3 AND (start, length) > (?4, ?5)
                 ORDER BY start, length LIMIT ?6"
            }
            Table::Tier(Tier::Hours) => {
                "SELECT start, 3600000, 0, metrics FROM hours
                 WHERE device = ?1 AND start >= ?2 AND start < ?3 AND (start, 3600000) > (?4, ?5)
                 ORDER BY start LIMIT ?6"
            }
            Table::Tier(Tier::Days) => {
                "SELECT start, 86400000, 0, metrics FROM days
                 WHERE device = ?1 AND start >= ?2 AND start < ?3 AND (start, 86400000) > (?4, ?5)
                 ORDER BY start LIMIT ?6"
            }
        };
        let metrics = names::metrics(&store.file)?;
        let after = self.after.unwrap_or((i64::MIN, i64::MIN));
        let from = self.from.max(after.0);
        let mut statement = store.file.prepare_cached(query)?;
        let mut rows = statement.query(params![device, from, self.to, after.0, after.1, PAGE])?;
        let mut page = Page { rows: Vec::new(), damaged: 0 };
        let mut is_empty = true;
        while let Some(row) = rows.next()? {
            is_empty = false;
            self.after = Some((row.get(0)?, row.get(1)?));
            match decode(device, row, &metrics)? {
                Some(row) => page.rows.push(row),
                None => page.damaged += 1,
            }
        }
        Ok((!is_empty).then_some(page))
    }
}
