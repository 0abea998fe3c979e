//! A series in few means: what an overview draws beside each device.

use gateway_core::Timestamp;
use rusqlite::Connection;

use crate::blob::{self, Key};
use crate::buckets::Buckets;
use crate::error::{HistoryError, during};
use crate::names::{self, NameTable};
use crate::series::{self, Series};
use crate::store::Store;
use crate::tiers::Tier;

/// Buckets of one answer, at most.
const MAX_BUCKETS: usize = 10_000;

/// The metric's name, and the mean in each bucket.
type Sparkline = (Box<str>, Vec<Option<f64>>);

impl Store {
    /// The time from `from` to `to` in `buckets` equal parts: the mean of a metric in each, none where nothing was stored.
    /// Without a metric, the first of the device's newest window. `None` where the device or the metric is not known.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn sparkline(
        &self,
        device: &str,
        metric: Option<&str>,
        from: Timestamp,
        to: Timestamp,
        buckets: usize,
    ) -> Result<Option<Sparkline>, HistoryError> {
        let find = || {
            let _snapshot = self.file.unchecked_transaction()?;
            let Some(device) = names::find(&self.file, NameTable::Device, device)? else { return Ok(None) };
            let Some((name, metric)) = find_metric(&self.file, device, metric)? else { return Ok(None) };
            let range = (from.as_millis(), to.as_millis());
            let means = self.means(Series { device, metric }, range, buckets.clamp(1, MAX_BUCKETS))?;
            Ok(Some((name, means)))
        };
        find().map_err(during("read", &self.path))
    }

    fn means(
        &self,
        series: Series,
        (from, to): (i64, i64),
        count: usize,
    ) -> rusqlite::Result<Vec<Option<f64>>> {
        let mut sums = vec![(0.0, 0.0); count];
        if from >= to {
            return Ok(vec![None; count]);
        }
        let parts = i64::try_from(count).unwrap_or(i64::MAX);
        let width = (to.saturating_sub(from) / parts).max(1);
        let unit = series::newest_length(&self.file, series.device, to)?.unwrap_or(1);
        // Rows in buckets as long as themselves: they come out as they are.
        let mut rows = Buckets::new(unit);
        match self.tier_for(unit, |length| length <= width) {
            Some(tier) => {
                rows = Buckets::new(tier.length());
                series::scan_tier(&self.file, tier, series, (tier.start_of(from), to), &mut rows)?;
            }
            None => self.scan_windows_and_older(series, (from, to), &mut rows)?,
        }
        for point in rows.into_points() {
            let (start, end) = (point.start.as_millis(), point.end.as_millis());
            let middle =
                start.saturating_add(end.saturating_sub(start) / 2).clamp(from, to.saturating_sub(1));
            let index = usize::try_from(middle.saturating_sub(from) / width).unwrap_or(0).min(count - 1);
            if let Some((sum, weight)) = sums.get_mut(index) {
                #[expect(clippy::cast_precision_loss, reason = "2^53 values are more than any device sends")]
                let values = point.summary.count as f64;
                *sum += point.summary.avg * values;
                *weight += values;
            }
        }
        Ok(sums.into_iter().map(|(sum, weight)| (weight > 0.0).then(|| sum / weight)).collect())
    }
}

/// The metric with that name, or the first of the newest window.
fn find_metric(
    file: &Connection,
    device: i64,
    metric: Option<&str>,
) -> rusqlite::Result<Option<(Box<str>, u32)>> {
    if let Some(name) = metric {
        let id = names::find(file, NameTable::Metric, name)?.and_then(|id| u32::try_from(id).ok());
        return Ok(id.map(|id| (name.into(), id)));
    }
    let Some(id) = first_metric(file, device)? else { return Ok(None) };
    let name =
        file.prepare_cached("SELECT name FROM metric WHERE id = ?1")?.query_row([id], |row| row.get(0));
    Ok(Some((name?, id)))
}

fn first_metric(file: &Connection, device: i64) -> rusqlite::Result<Option<u32>> {
    for table in ["recent", "windows"] {
        let query = format!(
            "SELECT start, length, revision, metrics FROM {table} WHERE device = ?1 ORDER BY start DESC LIMIT 1"
        );
        let mut statement = file.prepare_cached(&query)?;
        let mut rows = statement.query([device])?;
        if let Some(row) = rows.next()? {
            let entries = blob::entries_of(device, row)?;
            if let Some(entry) = entries.first() {
                return Ok(Some(entry.metric));
            }
        }
    }
    first_of_newest_day(file, device)
}

/// Where retention has removed the windows of a device that is silent.
fn first_of_newest_day(file: &Connection, device: i64) -> rusqlite::Result<Option<u32>> {
    let has_days = "SELECT 1 FROM sqlite_schema WHERE name = 'days'";
    if !file.prepare_cached(has_days)?.exists([])? {
        return Ok(None);
    }
    let mut statement =
        file.prepare_cached("SELECT start, metrics FROM days WHERE device = ?1 ORDER BY start DESC LIMIT 1")?;
    let mut rows = statement.query([device])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key = Key { device, start: row.get(0)?, length: Tier::Days.length(), revision: 0 };
    let entries = blob::decode(key, row.get_ref(1)?.as_blob()?).unwrap_or_default();
    Ok(entries.first().map(|entry| entry.metric))
}
