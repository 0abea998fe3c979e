//! Removal of windows: those older than `keep`, and the oldest if the file has grown too large.

use gateway_core::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{HistoryError, during};
use crate::names;
use crate::store::Store;

/// Windows of one device removed in one transaction, at most.
const PORTION: i64 = 2_000;

/// A file that is too large loses a part of its time at once: one in so many.
const PARTS: i64 = 16;

impl Store {
    /// Removes the windows that start before `before`, in portions, and the devices of which nothing is left. Returns
    /// how many windows.
    ///
    /// # Errors
    /// Where the file cannot be written; what was removed before stays removed.
    pub fn prune(&mut self, before: Timestamp) -> Result<u64, HistoryError> {
        let fails = during("write to", &self.path);
        let before = before.as_millis();
        let mut removed = prune_recent(&self.file, before).map_err(&fails)?;
        for (device, _) in names::devices(&self.file).map_err(&fails)? {
            loop {
                let portion = prune_device(&self.file, device, before).map_err(&fails)?;
                removed += portion;
                if portion == 0 {
                    break;
                }
            }
        }
        if removed > 0 {
            self.names.forget();
            forget_devices(&self.file).map_err(&fails)?;
        }
        Ok(removed)
    }

    /// Removes the oldest windows, a part of the time after the other, until at most `max_bytes` are used. Returns how
    /// many windows.
    ///
    /// # Errors
    /// Where the file cannot be written; what was removed before stays removed.
    pub fn shrink_to(&mut self, max_bytes: u64) -> Result<u64, HistoryError> {
        let mut removed = 0;
        while self.used_bytes()? > max_bytes {
            let fails = during("read", &self.path);
            let Some((oldest, newest)) = span(&self.file).map_err(&fails)? else { break };
            let part = newest.saturating_sub(oldest) / PARTS;
            removed += self.prune(Timestamp::from_millis(oldest.saturating_add(part).saturating_add(1)))?;
        }
        Ok(removed)
    }

    /// Bytes of the file that hold something: freed pages are used again before it grows. The write-ahead log, 4 MiB
    /// mostly, comes on top.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn used_bytes(&self) -> Result<u64, HistoryError> {
        let fails = during("read", &self.path);
        let pragma =
            |name| self.file.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(&fails);
        let used = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
        Ok(u64::try_from(used.saturating_mul(pragma("page_size")?)).unwrap_or(0))
    }
}

fn prune_recent(file: &Connection, before: i64) -> rusqlite::Result<u64> {
    // Bounded by itself: it never holds more than a portion or few.
    let removed = file.prepare_cached("DELETE FROM recent WHERE start < ?1")?.execute([before])?;
    Ok(removed as u64)
}

/// One portion, one transaction.
fn prune_device(file: &Connection, device: i64, before: i64) -> rusqlite::Result<u64> {
    let portion_ends: Option<i64> = file
        .prepare_cached(
            "SELECT start FROM windows WHERE device = ?1 AND start < ?2 ORDER BY start LIMIT 1 OFFSET ?3",
        )?
        .query_row(params![device, before, PORTION], |row| row.get(0))
        .optional()?;
    // Windows with the same start go together, so that each portion removes something.
    let upto = portion_ends.unwrap_or_else(|| before.saturating_sub(1));
    let removed = file
        .prepare_cached("DELETE FROM windows WHERE device = ?1 AND start <= ?2 AND start < ?3")?
        .execute(params![device, upto, before])?;
    Ok(removed as u64)
}

fn forget_devices(file: &Connection) -> rusqlite::Result<usize> {
    file.prepare_cached(
        "DELETE FROM device WHERE NOT EXISTS (SELECT 1 FROM windows w WHERE w.device = device.id)
         AND id NOT IN (SELECT device FROM recent)",
    )?
    .execute([])
}

/// The first and the last start of all windows.
fn span(file: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let ends = |query: &str| -> rusqlite::Result<Option<(i64, i64)>> {
        file.prepare_cached(query)?.query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)))
    };
    let recent = ends("SELECT min(start), max(start) FROM recent")?;
    // Per device the ends are one look each; over all of the table they would be a walk through it.
    let settled = ends(
        "SELECT min(oldest), max(newest) FROM (SELECT
           (SELECT min(start) FROM windows w WHERE w.device = d.id) AS oldest,
           (SELECT max(start) FROM windows w WHERE w.device = d.id) AS newest FROM device d)",
    )?;
    Ok(recent.into_iter().chain(settled).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))))
}
