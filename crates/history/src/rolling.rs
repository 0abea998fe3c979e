//! Moves rows to where they are read, and keeps the tiers equal to the windows below them.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction};

use crate::blob::{self, Key};
use crate::marks::{self, Part};
use crate::merge::MergedMetrics;
use crate::tiers::{self, Bucket, Tier};

/// Up to where windows and rows of tiers were removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    pub(crate) windows: i64,
    hours: i64,
    days: i64,
}

impl Marks {
    pub(crate) fn of(file: &Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            windows: marks::get(file, Part::Windows)?,
            hours: marks::get(file, Part::Hours)?,
            days: marks::get(file, Part::Days)?,
        })
    }

    /// Whether a row of a tier is one that retention has not removed.
    const fn keeps(&self, bucket: Bucket) -> bool {
        bucket.start
            >= match bucket.tier {
                Tier::Hours => self.hours,
                Tier::Days => self.days,
            }
    }

    /// Whether all windows of a row are still there.
    const fn has_all_of(&self, bucket: Bucket) -> bool {
        bucket.start >= self.windows
    }

    /// Whether a window in `windows` may be replaced: all rows that it is in can be made again.
    pub(crate) fn may_correct(&self, key: Key) -> bool {
        key.start >= self.windows && Bucket::of_window(key).all(|bucket| self.has_all_of(bucket))
    }
}

/// Moves the rows of `recent` to `windows`, where each page is then written once for tens of windows, and brings the tiers
/// up to date.
pub(crate) fn move_recent(file: &Transaction<'_>) -> rusqlite::Result<()> {
    let marks = Marks::of(file)?;
    let moved = buckets_of_recent(file, &marks)?;
    file.execute_batch(
        "INSERT INTO windows (device, start, length, revision, metrics)
         SELECT device, start, length, revision, metrics FROM recent ORDER BY device, start, length;
         DELETE FROM recent;",
    )?;
    for (bucket, more) in moved {
        match more {
            None => tiers::recompute(file, bucket)?,
            Some(more) => tiers::add(file, bucket, &more)?,
        }
    }
    Ok(())
}

/// The rows of tiers that the windows in `recent` are in. Of those that cannot be made again, what they get in addition.
fn buckets_of_recent(
    file: &Connection,
    marks: &Marks,
) -> rusqlite::Result<BTreeMap<Bucket, Option<MergedMetrics>>> {
    let mut buckets: BTreeMap<Bucket, Option<MergedMetrics>> = BTreeMap::new();
    let mut statement = file.prepare_cached("SELECT start, length, revision, metrics, device FROM recent")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (start, length, device) = (row.get(0)?, row.get(1)?, row.get(4)?);
        let key = Key { device, start, length, revision: 0 };
        for bucket in Bucket::of_window(key).filter(|bucket| marks.keeps(*bucket)) {
            let more = buckets
                .entry(bucket)
                .or_insert_with(|| (!marks.has_all_of(bucket)).then(MergedMetrics::default));
            if let Some(more) = more {
                more.add(&blob::entries_of(device, row)?);
            }
        }
    }
    Ok(buckets)
}

/// Makes the rows of tiers again that a window in `windows` is in.
pub(crate) fn after_correction(file: &Connection, marks: &Marks, key: Key) -> rusqlite::Result<()> {
    Bucket::of_window(key)
        .filter(|bucket| marks.keeps(*bucket))
        .try_for_each(|bucket| tiers::recompute(file, bucket))
}

/// Makes all rows of tiers from the windows: for a file that has had none.
pub(crate) fn build_tiers(file: &Connection) -> rusqlite::Result<()> {
    let devices: Vec<i64> =
        file.prepare("SELECT id FROM device")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for device in devices {
        for tier in Tier::ALL {
            build_tier(file, device, tier)?;
        }
    }
    Ok(())
}

fn build_tier(file: &Connection, device: i64, tier: Tier) -> rusqlite::Result<()> {
    let mut next = file.prepare_cached("SELECT min(start) FROM windows WHERE device = ?1 AND start >= ?2")?;
    let mut from = i64::MIN;
    while let Some(first) = next.query_row([device, from], |row| row.get::<_, Option<i64>>(0))? {
        let start = tier.start_of(first);
        tiers::recompute(file, Bucket { device, tier, start })?;
        // A damaged file may have any time in it.
        let Some(after) = start.checked_add(tier.length()) else { break };
        from = after;
    }
    Ok(())
}
