//! One metric of one device over a stretch of time, in at most so many points: from the coarsest tier that has enough.

use gateway_core::Timestamp;
use rusqlite::{Connection, params};

use crate::blob::{self, Key};
use crate::buckets::{Buckets, step_for};
use crate::error::{HistoryError, during};
use crate::marks::{self, Part};
use crate::merge::Merged;
use crate::names::{self, NameTable};
use crate::readings;
use crate::row::Summary;
use crate::store::Store;
use crate::tiers::{Tier, is_tile};

/// Points of one answer, at least and at most.
const POINTS: (usize, usize) = (2, 100_000);
/// The length of windows where none is there.
const FIVE_MINUTES: i64 = 300_000;

/// What is wanted of a series: what starts at `from` or later and before `to`; an hour or a day in which `from` lies is
/// given as a whole.
#[derive(Debug, Clone, Copy)]
pub struct SeriesQuery<'a> {
    pub device: &'a str,
    pub metric: &'a str,
    pub from: Timestamp,
    pub to: Timestamp,
    /// 2 at least; what is less counts as 2.
    pub max_points: usize,
}

/// Where points come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Readings,
    Windows,
    Hours,
    Days,
}

/// A series in points.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// How far apart points are where nothing is missing, in milliseconds. Of readings that are given one by one, how far
    /// they mostly are.
    pub step_ms: i64,
    /// Where most of it comes from. The oldest part may come from a coarser tier.
    pub source: Source,
    /// In order of time. A gap is a missing one.
    pub points: Vec<Point>,
}

/// What is known of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The start of the first row in it; a single reading's own time.
    pub start: Timestamp,
    /// The end of the last; a single reading's own time.
    pub end: Timestamp,
    pub summary: Summary,
}

/// A series by its numbers in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    pub(crate) device: i64,
    pub(crate) metric: u32,
}

impl Store {
    /// A series in at most `max_points` points. A device or metric that is not known has none.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn series(&self, query: &SeriesQuery<'_>) -> Result<Points, HistoryError> {
        let find = || {
            // All of it is read as it was at one instant: a writer may move rows meanwhile.
            let _snapshot = self.file.unchecked_transaction()?;
            let series = find(&self.file, query.device, query.metric)?;
            let (from, to) = (query.from.as_millis(), query.to.as_millis());
            let max_points = query.max_points.clamp(POINTS.0, POINTS.1);
            let max_points = i64::try_from(max_points).unwrap_or(i64::MAX);
            self.points(series.filter(|_| from < to), (from, to), max_points)
        };
        find().map_err(during("read", &self.path))
    }

    fn points(
        &self,
        series: Option<Series>,
        (from, to): (i64, i64),
        max_points: i64,
    ) -> rusqlite::Result<Points> {
        let span = to.saturating_sub(from);
        let Some(series) = series else {
            let step_ms = step_for(from, to.max(from), FIVE_MINUTES, max_points);
            return Ok(Points { step_ms, source: Source::Windows, points: Vec::new() });
        };
        let unit = newest_length(&self.file, series.device, to)?.unwrap_or(FIVE_MINUTES);
        let is_enough = |length: i64| span / length >= max_points;
        let tier = self.tier_for(unit, is_enough);
        if let Some(tier) = tier {
            let from = tier.start_of(from);
            let mut buckets = Buckets::new(step_for(from, to, tier.length(), max_points));
            scan_tier(&self.file, tier, series, (from, to), &mut buckets)?;
            let source = if tier == Tier::Hours { Source::Hours } else { Source::Days };
            return Ok(Points { step_ms: buckets.step(), source, points: buckets.into_points() });
        }
        if self.has_tiers && !is_enough(unit) {
            let mut single = SingleReadings::new(step_for(from, to, 1, max_points), max_points);
            readings::scan(&self.file, (series.device, series.metric), (from, to), |at, value| {
                single.add(at, value);
            })?;
            if let Some((first, last)) = single.ends() {
                // Before readings were kept, and after that, there are windows.
                let mut around = Buckets::new(step_for(from, to, unit, max_points));
                self.scan_windows_and_older(
                    series,
                    (from, first.saturating_sub(unit).saturating_add(1)),
                    &mut around,
                )?;
                self.scan_windows_and_older(series, (last.saturating_add(1).max(from), to), &mut around)?;
                return Ok(single.into_points(around));
            }
        }
        let mut buckets = Buckets::new(step_for(from, to, unit, max_points));
        self.scan_windows_and_older(series, (from, to), &mut buckets)?;
        Ok(Points { step_ms: buckets.step(), source: Source::Windows, points: buckets.into_points() })
    }

    /// The coarsest tier with enough rows; none where it takes windows.
    pub(crate) fn tier_for(&self, unit: i64, is_enough: impl Fn(i64) -> bool) -> Option<Tier> {
        let fits = |tier: &Tier| self.has_tiers && unit < tier.length() && is_enough(tier.length());
        Tier::ALL.into_iter().rev().find(fits)
    }

    /// Windows, and where retention has removed them, what coarser tiers still have.
    pub(crate) fn scan_windows_and_older(
        &self,
        series: Series,
        (from, to): (i64, i64),
        buckets: &mut Buckets,
    ) -> rusqlite::Result<()> {
        let mut from = from;
        if self.has_tiers {
            let removed = marks::get(&self.file, Part::Windows)?;
            if removed > from {
                // The hour in which the mark lies has only a part of its windows.
                let whole =
                    Tier::Hours.start_of(removed.saturating_sub(1)).saturating_add(Tier::Hours.length());
                let until = whole.min(to);
                scan_tier(&self.file, Tier::Hours, series, (Tier::Hours.start_of(from), until), buckets)?;
                from = until;
            }
        }
        scan_windows(&self.file, series, (from, to), |start, length, summary| {
            if is_tile(start, length) {
                buckets.add(start, start.saturating_add(length), summary);
            }
        })
    }
}

/// The numbers of a series; none where one of its names is not known.
pub(crate) fn find(file: &Connection, device: &str, metric: &str) -> rusqlite::Result<Option<Series>> {
    let device = names::find(file, NameTable::Device, device)?;
    let metric = names::find(file, NameTable::Metric, metric)?;
    let metric = metric.and_then(|metric| u32::try_from(metric).ok());
    Ok(device.zip(metric).map(|(device, metric)| Series { device, metric }))
}

/// How long the newest window of a device before `to` is.
pub(crate) fn newest_length(file: &Connection, device: i64, to: i64) -> rusqlite::Result<Option<i64>> {
    // `recent` is in order of time: a device that still sends is found soon.
    let newest = "
        SELECT length FROM (
          SELECT * FROM (SELECT start, length FROM windows WHERE device = ?1 AND start < ?2
                         ORDER BY start DESC LIMIT 1)
          UNION ALL
          SELECT * FROM (SELECT start, length FROM recent WHERE device = ?1 AND start < ?2
                         ORDER BY start DESC LIMIT 1)
        ) ORDER BY start DESC LIMIT 1";
    let mut statement = file.prepare_cached(newest)?;
    let mut rows = statement.query([device, to])?;
    let length: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(length.filter(|length| *length > 0))
}

/// The rows of a tier and what is not in them yet; before its mark, the tier above.
pub(crate) fn scan_tier(
    file: &Connection,
    tier: Tier,
    series: Series,
    (from, to): (i64, i64),
    buckets: &mut Buckets,
) -> rusqlite::Result<()> {
    let mut from = from;
    if tier == Tier::Hours {
        let removed = marks::get(file, Part::Hours)?;
        if removed > from {
            let whole = Tier::Days.start_of(removed.saturating_sub(1)).saturating_add(Tier::Days.length());
            let until = whole.min(to);
            scan_rolled(file, Tier::Days, series, (Tier::Days.start_of(from), until), buckets)?;
            from = until;
        }
    }
    scan_rolled(file, tier, series, (from, to), buckets)
}

fn scan_rolled(
    file: &Connection,
    tier: Tier,
    series: Series,
    (from, to): (i64, i64),
    buckets: &mut Buckets,
) -> rusqlite::Result<()> {
    if from >= to {
        return Ok(());
    }
    // What is still in `recent` belongs to whole rows.
    let end = tier.start_of(to.saturating_sub(1)).saturating_add(tier.length());
    let query = match tier {
        Tier::Hours => "SELECT start, metrics FROM hours WHERE device = ?1 AND start >= ?2 AND start < ?3",
        Tier::Days => "SELECT start, metrics FROM days WHERE device = ?1 AND start >= ?2 AND start < ?3",
    };
    let mut statement = file.prepare_cached(query)?;
    let mut rows = statement.query(params![series.device, from, end])?;
    while let Some(row) = rows.next()? {
        let start = row.get(0)?;
        let key = Key { device: series.device, start, length: tier.length(), revision: 0 };
        if let Some(summary) = blob::find(key, row.get_ref(1)?.as_blob()?, series.metric) {
            buckets.add(start, start.saturating_add(tier.length()), &summary);
        }
    }
    scan_recent(file, series, (from, end), |start, length, summary| {
        if tier.counts(start, length) {
            let start = tier.start_of(start);
            buckets.add(start, start.saturating_add(tier.length()), summary);
        }
    })
}

/// Gives `each` start, length and summary of every window of a series, in no order.
pub(crate) fn scan_windows(
    file: &Connection,
    series: Series,
    (from, to): (i64, i64),
    mut each: impl FnMut(i64, i64, &Summary),
) -> rusqlite::Result<()> {
    if from >= to {
        return Ok(());
    }
    let mut statement = file.prepare_cached(
        "SELECT start, length, revision, metrics FROM windows WHERE device = ?1 AND start >= ?2 AND start < ?3",
    )?;
    let rows = statement.query(params![series.device, from, to])?;
    visit(rows, series, &mut each)?;
    scan_recent(file, series, (from, to), each)
}

/// The same of `recent`, which is in order of time: it is looked at once for each start, not for each window of any device.
fn scan_recent(
    file: &Connection,
    series: Series,
    (from, to): (i64, i64),
    mut each: impl FnMut(i64, i64, &Summary),
) -> rusqlite::Result<()> {
    let mut statement = file.prepare_cached(
        "WITH RECURSIVE starts (start) AS (
           SELECT min(start) FROM recent WHERE start >= ?2 AND start < ?3
           UNION ALL
           SELECT (SELECT min(start) FROM recent WHERE start > starts.start AND start < ?3)
           FROM starts WHERE starts.start IS NOT NULL
         )
         SELECT r.start, r.length, r.revision, r.metrics
         FROM starts CROSS JOIN recent r ON r.start = starts.start AND r.device = ?1",
    )?;
    let rows = statement.query(params![series.device, from, to])?;
    visit(rows, series, &mut each)
}

fn visit(
    mut rows: rusqlite::Rows<'_>,
    series: Series,
    each: &mut impl FnMut(i64, i64, &Summary),
) -> rusqlite::Result<()> {
    while let Some(row) = rows.next()? {
        let (start, length) = (row.get(0)?, row.get(1)?);
        let Ok(revision) = u32::try_from(row.get::<_, i64>(2)?) else { continue };
        let key = Key { device: series.device, start, length, revision };
        if let Some(summary) = blob::find(key, row.get_ref(3)?.as_blob()?, series.metric) {
            each(start, length, &summary);
        }
    }
    Ok(())
}

/// Readings one by one while they are few enough, else in buckets.
struct SingleReadings {
    max_points: usize,
    single: Vec<(i64, f64)>,
    buckets: Buckets,
    ends: Option<(i64, i64)>,
}

impl SingleReadings {
    fn new(step: i64, max_points: i64) -> Self {
        let max_points = usize::try_from(max_points).unwrap_or(usize::MAX);
        Self { max_points, single: Vec::new(), buckets: Buckets::new(step), ends: None }
    }

    fn add(&mut self, at: i64, value: f64) {
        self.ends = Some(self.ends.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        if self.single.len() <= self.max_points {
            self.single.push((at, value));
        }
        self.buckets.add(at, at, &of_one(value));
    }

    const fn ends(&self) -> Option<(i64, i64)> {
        self.ends
    }

    fn into_points(self, around: Buckets) -> Points {
        let mut points = around.into_points();
        let mut step_ms = self.buckets.step();
        if self.single.len() + points.len() <= self.max_points {
            step_ms = usual_distance(&self.single).unwrap_or(step_ms);
            points.extend(self.single.iter().map(|(at, value)| {
                let at = Timestamp::from_millis(*at);
                Point { start: at, end: at, summary: of_one(*value) }
            }));
        } else {
            points.extend(self.buckets.into_points());
        }
        points.sort_by_key(|point| point.start);
        Points { step_ms, source: Source::Readings, points }
    }
}

fn of_one(value: f64) -> Summary {
    let mut merged = Merged::EMPTY;
    merged.add(&Summary { avg: value, min: value, max: value, std: 0.0, count: 1 });
    merged.summary().unwrap_or(Summary { avg: value, min: value, max: value, std: 0.0, count: 1 })
}

/// The median of the distances between readings.
fn usual_distance(readings: &[(i64, f64)]) -> Option<i64> {
    let pairs = readings.iter().zip(readings.iter().skip(1));
    let mut distances: Vec<i64> = pairs.map(|((a, _), (b, _))| b.saturating_sub(*a)).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().filter(|distance| *distance > 0)
}

#[cfg(test)]
mod tests;
