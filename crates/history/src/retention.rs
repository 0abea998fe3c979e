//! Removal of what is older than it is kept, and of the oldest if the file has grown too large: one portion, one short
//! transaction at a time.

use gateway_core::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::alerts;
use crate::error::{HistoryError, during};
use crate::marks::{self, Part};
use crate::store::Store;
use crate::tiers::Tier;

/// Rows removed in one transaction, at most (and those with the same start as the last).
const PORTION: i64 = 2_000;

/// A file that is too large loses a part of its time at once: one in so many.
const PARTS: i64 = 16;

/// What goes: that which starts before these, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) windows: i64,
    /// Of alerts too.
    pub(crate) hours: i64,
    pub(crate) days: i64,
    pub(crate) readings: i64,
}

impl Before {
    pub(crate) const NOTHING: Self =
        Self { windows: i64::MIN, hours: i64::MIN, days: i64::MIN, readings: i64::MIN };

    const fn parts(&self) -> [(Part, i64); 5] {
        [
            (Part::Readings, self.readings),
            (Part::Windows, self.windows),
            (Part::Hours, self.hours),
            (Part::Alerts, self.hours),
            (Part::Days, self.days),
        ]
    }
}

/// Whether there is more to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
}

impl Store {
    /// Removes the windows that start before `before`, in portions, and the devices of which nothing is left. The hours and
    /// days that they are in stay as they are. Returns how many windows.
    ///
    /// # Errors
    /// Where the file cannot be written; what was removed before stays removed.
    pub fn prune(&mut self, before: Timestamp) -> Result<u64, HistoryError> {
        self.condemn(Part::Windows, before.as_millis())?;
        let mut removed = 0;
        loop {
            match self.remove_portion(Part::Windows)? {
                0 => break,
                portion => removed += portion,
            }
        }
        self.forget_devices()?;
        Ok(removed)
    }

    /// Removes the oldest, a part of the time after the other, until at most `max_bytes` are used.
    ///
    /// # Errors
    /// Where the file cannot be written; what was removed before stays removed.
    pub fn shrink_to(&mut self, max_bytes: u64) -> Result<(), HistoryError> {
        while self.trim(&Before::NOTHING, max_bytes)? == Progress::More {}
        Ok(())
    }

    /// Removes one portion of what is too old, or too much for `max_bytes`.
    ///
    /// # Errors
    /// Where the file cannot be written; what was removed before stays removed.
    pub(crate) fn trim(&mut self, before: &Before, max_bytes: u64) -> Result<Progress, HistoryError> {
        for (part, before) in before.parts() {
            self.condemn(part, before)?;
            if self.remove_portion(part)? > 0 {
                return Ok(Progress::More);
            }
        }
        self.forget_devices()?;
        if self.used_bytes()? <= max_bytes {
            return Ok(Progress::Done);
        }
        let fails = during("read", &self.path);
        let Some((parts, before)) = oldest(&self.file).map_err(fails)? else { return Ok(Progress::Done) };
        parts.iter().try_for_each(|part| self.condemn(*part, before))?;
        Ok(Progress::More)
    }

    /// Moves the mark up to where a part is removed; what is before it never comes back. It is never moved beyond what is there:
    /// a clock that ran ahead for a while must not keep out what comes when it is right again.
    fn condemn(&mut self, part: Part, before: i64) -> Result<(), HistoryError> {
        let fails = during("write to", &self.path);
        if before <= marks::get(&self.file, part).map_err(&fails)? {
            return Ok(());
        }
        let Some(newest) = newest_before(&self.file, part, before).map_err(&fails)? else { return Ok(()) };
        if has_recent_before(&self.file, part, before).map_err(&fails)? {
            // Hours and days get what is in `recent` before it goes.
            self.settle()?;
        }
        marks::advance(&self.file, part, newest.saturating_add(1)).map_err(&fails)
    }

    /// Removes a portion of what lies before the mark; returns how many rows.
    fn remove_portion(&mut self, part: Part) -> Result<u64, HistoryError> {
        let fails = during("write to", &self.path);
        let before = marks::get(&self.file, part).map_err(&fails)?;
        if before == i64::MIN {
            return Ok(0);
        }
        let transaction = self.file.transaction().map_err(&fails)?;
        let removed = match part {
            Part::Windows => remove(&transaction, "windows", before),
            Part::Hours => remove(&transaction, "hours", before),
            Part::Days => remove(&transaction, "days", before),
            Part::Readings => remove(&transaction, "readings", before),
            Part::Alerts => remove_alerts(&transaction, before),
        };
        let removed = removed.map_err(&fails)?;
        transaction.commit().map_err(&fails)?;
        self.has_removed |= removed > 0;
        Ok(removed)
    }

    /// Removes the names of devices of which nothing is left.
    fn forget_devices(&mut self) -> Result<(), HistoryError> {
        if !std::mem::take(&mut self.has_removed) {
            return Ok(());
        }
        self.names.forget();
        let query = "
            DELETE FROM device WHERE NOT EXISTS (SELECT 1 FROM windows t WHERE t.device = device.id)
            AND NOT EXISTS (SELECT 1 FROM hours t WHERE t.device = device.id)
            AND NOT EXISTS (SELECT 1 FROM days t WHERE t.device = device.id)
            AND NOT EXISTS (SELECT 1 FROM alerts t WHERE t.device = device.id)
            AND NOT EXISTS (SELECT 1 FROM readings t WHERE t.device = device.id)
            AND id NOT IN (SELECT device FROM recent) AND id NOT IN (SELECT device FROM recent_readings)";
        self.file.execute(query, []).map_err(during("write to", &self.path))?;
        Ok(())
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

    /// The first start and the last end of all windows, hours, days and readings; none where there is nothing.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn span(&self) -> Result<Option<(Timestamp, Timestamp)>, HistoryError> {
        let find = || -> rusqlite::Result<Option<(i64, i64)>> {
            let mut all = vec![
                span_of_windows(&self.file)?
                    .map(|(first, last, length)| (first, last.saturating_add(length))),
            ];
            if self.has_tiers {
                let readings = span_of_readings(&self.file)?;
                all.push(readings.map(|(first, last)| (first, last.saturating_add(1))));
                for (table, tier) in [("hours", Tier::Hours), ("days", Tier::Days)] {
                    let span = span_by_device(&self.file, table)?;
                    all.push(span.map(|(first, last)| (first, last.saturating_add(tier.length()))));
                }
            }
            Ok(all.into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))))
        };
        let span = find().map_err(during("read", &self.path))?;
        Ok(span.map(|(first, last)| (Timestamp::from_millis(first), Timestamp::from_millis(last))))
    }
}

/// Whether rows of the part that start before then have not been moved to where they are removed.
fn has_recent_before(file: &Connection, part: Part, before: i64) -> rusqlite::Result<bool> {
    let query = match part {
        Part::Windows => "SELECT 1 FROM recent WHERE start < ?1",
        Part::Readings => "SELECT 1 FROM recent_readings WHERE start < ?1",
        Part::Hours | Part::Days | Part::Alerts => return Ok(false),
    };
    file.prepare_cached(query)?.exists([before])
}

/// Removes rows of a table in order of device and start, a portion in all.
fn remove(file: &Transaction<'_>, table: &str, before: i64) -> rusqlite::Result<u64> {
    let mut removed: i64 = 0;
    let devices = format!(
        "SELECT id FROM device WHERE EXISTS (SELECT 1 FROM {table} t WHERE t.device = device.id AND t.start < ?1)"
    );
    let mut devices = file.prepare_cached(&devices)?;
    let mut devices = devices.query([before])?;
    while removed < PORTION
        && let Some(device) = devices.next()?
    {
        let device: i64 = device.get(0)?;
        let last = format!(
            "SELECT start FROM {table} WHERE device = ?1 AND start < ?2 ORDER BY start LIMIT 1 OFFSET ?3"
        );
        let last: Option<i64> = file
            .prepare_cached(&last)?
            .query_row(params![device, before, PORTION - removed - 1], |row| row.get(0))
            .optional()?;
        let delete = format!("DELETE FROM {table} WHERE device = ?1 AND start <= ?2 AND start < ?3");
        let deleted =
            file.prepare_cached(&delete)?.execute(params![device, last.unwrap_or(i64::MAX), before])?;
        removed = removed.saturating_add(i64::try_from(deleted).unwrap_or(i64::MAX));
    }
    Ok(u64::try_from(removed).unwrap_or(0))
}

fn remove_alerts(file: &Transaction<'_>, before: i64) -> rusqlite::Result<u64> {
    let removed = file
        .prepare_cached(
            "DELETE FROM alerts WHERE number IN (SELECT number FROM alerts WHERE since < ?1 ORDER BY since LIMIT ?2)",
        )?
        .execute([before, PORTION])?;
    Ok(removed as u64)
}

/// The start of the newest row of a part that starts before then.
fn newest_before(file: &Connection, part: Part, before: i64) -> rusqlite::Result<Option<i64>> {
    let by_device = |table: &str| {
        format!(
            "SELECT max(newest) FROM (SELECT (SELECT max(start) FROM {table} t WHERE t.device = d.id AND t.start < ?1) AS newest FROM device d)"
        )
    };
    let queries = match part {
        Part::Windows => {
            vec![by_device("windows"), "SELECT max(start) FROM recent WHERE start < ?1".to_owned()]
        }
        Part::Readings => {
            vec![by_device("readings"), "SELECT max(start) FROM recent_readings WHERE start < ?1".to_owned()]
        }
        Part::Hours => vec![by_device("hours")],
        Part::Days => vec![by_device("days")],
        Part::Alerts => vec!["SELECT max(since) FROM alerts WHERE since < ?1".to_owned()],
    };
    let mut newest = None;
    for query in queries {
        newest = newest.max(file.prepare_cached(&query)?.query_row([before], |row| row.get(0))?);
    }
    Ok(newest)
}

/// What to remove first where the file is too large, and up to when. Single readings go first. Of windows and hours those
/// that probably take more space: both have the same rows, so that time divided by their length tells.
fn oldest(file: &Connection) -> rusqlite::Result<Option<(&'static [Part], i64)>> {
    let cut = |(first, last): (i64, i64)| {
        first.saturating_add(last.saturating_sub(first) / PARTS).saturating_add(1)
    };
    if let Some(span) = span_of_readings(file)? {
        return Ok(Some((&[Part::Readings], cut(span))));
    }
    let hours = span_by_device(file, "hours")?.into_iter().chain(alerts::span(file)?);
    let hours = hours.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let rows = |(first, last): (i64, i64), length: i64| last.saturating_sub(first) / length.max(1) + 1;
    let windows = span_of_windows(file)?.map(|(first, last, length)| {
        (rows((first, last), length), &[Part::Windows] as &[_], cut((first, last)))
    });
    let hours =
        hours.map(|span| (rows(span, Tier::Hours.length()), &[Part::Hours, Part::Alerts] as &[_], cut(span)));
    let days = span_by_device(file, "days")?
        .map(|span| (rows(span, Tier::Days.length()), &[Part::Days] as &[_], cut(span)));
    let largest = [days, hours, windows].into_iter().flatten().max_by_key(|(rows, ..)| *rows);
    Ok(largest.map(|(_, parts, before)| (parts, before)))
}

/// The first and the last start of all windows, and how long the last one is.
fn span_of_windows(file: &Connection) -> rusqlite::Result<Option<(i64, i64, i64)>> {
    let recent = ends(file, "SELECT min(start), max(start) FROM recent")?;
    let settled = span_by_device(file, "windows")?;
    let Some((first, last)) = recent.into_iter().chain(settled).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    else {
        return Ok(None);
    };
    let length = "SELECT max(length) FROM (
        SELECT length FROM recent WHERE start = ?1 UNION ALL
        SELECT (SELECT max(length) FROM windows w WHERE w.device = d.id AND w.start = ?1) FROM device d)";
    let length: Option<i64> = file.prepare_cached(length)?.query_row([last], |row| row.get(0))?;
    Ok(Some((first, last, length.unwrap_or(1))))
}

fn span_of_readings(file: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let recent = ends(file, "SELECT min(start), max(start) FROM recent_readings")?;
    let settled = span_by_device(file, "readings")?;
    Ok(recent.into_iter().chain(settled).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))))
}

/// Per device the ends are one look each; over all of the table they would be a walk through it.
fn span_by_device(file: &Connection, table: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    let query = format!(
        "SELECT min(oldest), max(newest) FROM (SELECT
           (SELECT min(start) FROM {table} t WHERE t.device = d.id) AS oldest,
           (SELECT max(start) FROM {table} t WHERE t.device = d.id) AS newest FROM device d)"
    );
    ends(file, &query)
}

fn ends(file: &Connection, query: &str) -> rusqlite::Result<Option<(i64, i64)>> {
    file.prepare_cached(query)?.query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?)))
}
