//! The tiers above the windows: one row for each device and hour, and one for each device and day (UTC).
//!
//! A row of a tier is what the rows of `windows` that count for it give together. Windows in `recent` are not in it: a reader
//! adds them. A window counts where it starts, if it is no longer than the tier's rows and starts at a multiple of its
//! length: of overlapping windows, every reading is then in one that counts.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::blob::{self, Entry, Key};
use crate::merge::MergedMetrics;

/// A tier, and how long its rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    Hours,
    Days,
}

impl Tier {
    pub(crate) const ALL: [Self; 2] = [Self::Hours, Self::Days];

    pub(crate) const fn length(self) -> i64 {
        match self {
            Self::Hours => 3_600_000,
            Self::Days => 86_400_000,
        }
    }

    /// The start of the row that `at` falls into.
    pub(crate) const fn start_of(self, at: i64) -> i64 {
        at.saturating_sub(at.rem_euclid(self.length()))
    }

    /// Whether a window is in a row of this tier.
    pub(crate) const fn counts(self, start: i64, length: i64) -> bool {
        length <= self.length() && is_tile(start, length)
    }
}

/// Whether a window is one of those that cover time without overlapping.
pub(crate) const fn is_tile(start: i64, length: i64) -> bool {
    length > 0 && start.rem_euclid(length) == 0
}

/// One row of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket {
    pub(crate) device: i64,
    pub(crate) tier: Tier,
    pub(crate) start: i64,
}

impl Bucket {
    pub(crate) const fn key(self) -> Key {
        Key { device: self.device, start: self.start, length: self.tier.length(), revision: 0 }
    }

    /// The rows that a window is in.
    pub(crate) fn of_window(key: Key) -> impl Iterator<Item = Self> {
        let Key { device, start, length, .. } = key;
        let in_tier = move |tier: &Tier| tier.counts(start, length);
        Tier::ALL.into_iter().filter(in_tier).map(move |tier| Self {
            device,
            tier,
            start: tier.start_of(start),
        })
    }
}

/// Makes a row again from the windows in `windows`, all of which must be there still.
pub(crate) fn recompute(file: &Connection, bucket: Bucket) -> rusqlite::Result<()> {
    let Bucket { device, tier, start } = bucket;
    let mut merged = MergedMetrics::default();
    let mut statement = file.prepare_cached(
        "SELECT start, length, revision, metrics FROM windows WHERE device = ?1 AND start >= ?2 AND start < ?3",
    )?;
    let mut rows = statement.query(params![device, start, start.saturating_add(tier.length())])?;
    while let Some(row) = rows.next()? {
        let (start, length) = (row.get(0)?, row.get(1)?);
        if tier.counts(start, length) {
            merged.add(&blob::entries_of(device, row)?);
        }
    }
    drop(rows);
    drop(statement);
    put(file, bucket, &merged)
}

/// Adds to a row what has come since: for a row of which not all windows are there any more.
pub(crate) fn add(file: &Connection, bucket: Bucket, more: &MergedMetrics) -> rusqlite::Result<()> {
    let mut merged = MergedMetrics::default();
    merged.add(&get(file, bucket)?);
    merged.add(&more.entries());
    put(file, bucket, &merged)
}

/// The metrics of a row; none where there is no such row, or damage made it unreadable.
fn get(file: &Connection, bucket: Bucket) -> rusqlite::Result<Vec<Entry>> {
    let query = match bucket.tier {
        Tier::Hours => "SELECT metrics FROM hours WHERE device = ?1 AND start = ?2",
        Tier::Days => "SELECT metrics FROM days WHERE device = ?1 AND start = ?2",
    };
    let read = |row: &rusqlite::Row<'_>| {
        Ok(row.get_ref(0)?.as_blob().ok().and_then(|blob| blob::decode(bucket.key(), blob)))
    };
    let stored = file.prepare_cached(query)?.query_row(params![bucket.device, bucket.start], read);
    Ok(stored.optional()?.flatten().unwrap_or_default())
}

fn put(file: &Connection, bucket: Bucket, merged: &MergedMetrics) -> rusqlite::Result<()> {
    let entries = merged.entries();
    let query = match (bucket.tier, entries.is_empty()) {
        (Tier::Hours, false) => "INSERT OR REPLACE INTO hours (device, start, metrics) VALUES (?1, ?2, ?3)",
        (Tier::Days, false) => "INSERT OR REPLACE INTO days (device, start, metrics) VALUES (?1, ?2, ?3)",
        (Tier::Hours, true) => "DELETE FROM hours WHERE device = ?1 AND start = ?2",
        (Tier::Days, true) => "DELETE FROM days WHERE device = ?1 AND start = ?2",
    };
    let mut statement = file.prepare_cached(query)?;
    if entries.is_empty() {
        statement.execute(params![bucket.device, bucket.start])?;
        return Ok(());
    }
    let blob = blob::encode(bucket.key(), &entries)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    statement.execute(params![bucket.device, bucket.start, blob])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_window_is_in_the_hour_and_the_day_in_which_it_starts() {
        let key = Key { device: 3, start: 25 * HOUR + 300_000, length: 300_000, revision: 0 };
        let buckets: Vec<_> =
            Bucket::of_window(key).map(|bucket| (bucket.tier, bucket.start / HOUR)).collect();
        assert_eq!(buckets, [(Tier::Hours, 25), (Tier::Days, 24)]);
    }

    #[test]
    fn a_window_of_two_hours_is_in_no_hour_and_one_of_a_week_in_no_day() {
        assert!(!Tier::Hours.counts(4 * HOUR, 2 * HOUR) && Tier::Days.counts(4 * HOUR, 2 * HOUR));
        assert!(!Tier::Days.counts(0, 168 * HOUR));
    }

    #[test]
    fn of_overlapping_windows_those_at_multiples_of_their_length_count() {
        let counting: Vec<i64> = (0..10).filter(|n| Tier::Hours.counts(n * 60_000, 300_000)).collect();
        assert_eq!(counting, [0, 5]);
        assert!(!Tier::Hours.counts(0, 0), "a window of no length is in nothing");
    }

    #[test]
    fn times_before_1970_fall_into_the_hour_that_begins_before_them() {
        assert_eq!(Tier::Hours.start_of(-1), -HOUR);
        assert_eq!(Tier::Hours.start_of(i64::MIN), i64::MIN);
    }
}
