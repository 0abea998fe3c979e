//! Which tier a series comes from, and what a gap, a mark or single readings make of it.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::batch::{Batch, ReadingRow};
use crate::retention::{Before, Progress};
use crate::row::Row;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// 2026-11-20T00:00:00Z.
const BEGIN: i64 = 1_795_132_800_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + millis)
}

/// Windows whose mean is their number.
fn windows(range: std::ops::Range<i64>, length: i64) -> Vec<(Box<str>, Row)> {
    range
        .map(|n| {
            let (avg, start) = (n as f64, at(n * length));
            let summary = Summary { avg, min: avg - 1.0, max: avg + 1.0, std: 0.5, count: 10 };
            let end = start + Duration::from_millis(length.unsigned_abs());
            ("lounge".into(), Row { start, end, revision: 0, metrics: vec![("temperature".into(), summary)] })
        })
        .collect()
}

fn store_with(windows: &[(Box<str>, Row)]) -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open(&folder.path().join("history.db")).unwrap();
    store.append(windows).unwrap();
    (folder, store)
}

fn series(store: &Store, from: i64, to: i64, max_points: usize) -> Points {
    let (from, to) = (at(from), at(to));
    store.series(&SeriesQuery { device: "lounge", metric: "temperature", from, to, max_points }).unwrap()
}

fn starts(points: &Points) -> Vec<i64> {
    points.points.iter().map(|point| point.start.as_millis() - BEGIN).collect()
}

#[test]
fn the_coarsest_tier_with_enough_points_is_taken() {
    let (_folder, store) = store_with(&windows(0..288 * 10, FIVE_MINUTES));
    for (days, max_points, source, step) in [
        (1, 288, Source::Windows, FIVE_MINUTES),
        (1, 24, Source::Hours, HOUR),
        (10, 240, Source::Hours, HOUR),
        (10, 400, Source::Windows, 8 * FIVE_MINUTES),
        (10, 10, Source::Days, DAY),
        (10, 5, Source::Days, 3 * DAY),
    ] {
        let found = series(&store, 0, days * DAY, max_points);
        assert_eq!((found.source, found.step_ms), (source, step), "{days} days in {max_points} points");
        assert!(found.points.len() <= max_points, "{} of {max_points} points", found.points.len());
        let count: u64 = found.points.iter().map(|point| point.summary.count).sum();
        assert_eq!(count, 2_880 * days as u64, "no value is missing or there twice");
    }
}

#[test]
fn an_hour_is_what_its_windows_are_together() {
    let (_folder, mut store) = store_with(&windows(0..30, FIVE_MINUTES));
    store.settle().unwrap();
    store.append(&windows(30..33, FIVE_MINUTES)).unwrap();
    let found = series(&store, 0, 3 * HOUR, 3);
    assert_eq!((found.source, starts(&found)), (Source::Hours, vec![0, HOUR, 2 * HOUR]));
    let Summary { avg, min, max, count, .. } = found.points[2].summary;
    assert_eq!((avg, min, max, count), (28.0, 23.0, 33.0, 90), "moved windows and recent ones");
}

#[test]
fn where_nothing_was_heard_there_is_no_point() {
    let mut rows = windows(0..12, FIVE_MINUTES);
    rows.extend(windows(24..36, FIVE_MINUTES));
    let (_folder, store) = store_with(&rows);
    assert_eq!(starts(&series(&store, 0, 3 * HOUR, 3)), [0, 2 * HOUR]);
    assert_eq!(starts(&series(&store, 0, 3 * HOUR, 100)).len(), 24);
}

#[test]
fn a_name_that_is_not_known_and_a_time_that_ends_before_it_begins_have_no_points() {
    let (_folder, store) = store_with(&windows(0..12, FIVE_MINUTES));
    let ask = |device, metric, from, to| {
        let query = SeriesQuery { device, metric, from: at(from), to: at(to), max_points: 10 };
        store.series(&query).unwrap().points.len()
    };
    assert_eq!(ask("lounge", "temperature", 0, HOUR), 6);
    assert_eq!(ask("porch", "temperature", 0, HOUR), 0);
    assert_eq!(ask("lounge", "humidity", 0, HOUR), 0);
    assert_eq!(ask("lounge", "temperature", HOUR, 0), 0);
}

#[test]
fn the_whole_of_time_can_be_asked_for() {
    let (_folder, store) = store_with(&windows(0..12, FIVE_MINUTES));
    let (from, to) = (Timestamp::from_millis(i64::MIN), Timestamp::MAX);
    let query = SeriesQuery { device: "lounge", metric: "temperature", from, to, max_points: 0 };
    assert_eq!(store.series(&query).unwrap().points.len(), 1);
}

#[test]
fn what_a_tier_has_no_more_comes_from_the_one_above() {
    let (_folder, mut store) = store_with(&windows(0..288 * 3, FIVE_MINUTES));
    // The windows of the first day and a half, and the hours of the first day.
    let before = Before { windows: BEGIN + 36 * HOUR + 600_000, hours: BEGIN + DAY, ..Before::NOTHING };
    while store.trim(&before, u64::MAX).unwrap() == Progress::More {}
    let found = series(&store, 0, 3 * DAY, 864);
    assert_eq!(found.source, Source::Windows);
    let starts = starts(&found);
    assert_eq!(starts[..3], [0, DAY, DAY + HOUR], "a day, then hours");
    assert_eq!(starts[13..16], [36 * HOUR, 37 * HOUR, 37 * HOUR + FIVE_MINUTES], "then windows");
    let count: u64 = found.points.iter().map(|point| point.summary.count).sum();
    assert_eq!(count, 8_640, "no value is missing or there twice");
}

#[test]
fn windows_longer_than_an_hour_come_as_they_are_until_days_are_enough() {
    let (_folder, mut store) = store_with(&windows(0..120, 2 * HOUR));
    store.settle().unwrap();
    let found = series(&store, 0, 10 * DAY, 120);
    assert_eq!((found.source, found.points.len()), (Source::Windows, 120));
    let found = series(&store, 0, 10 * DAY, 10);
    assert_eq!((found.source, found.points.len()), (Source::Days, 10));
    assert_eq!(found.points[0].summary.count, 120);
}

#[test]
fn readings_are_given_one_by_one_where_windows_are_too_few() {
    let (_folder, mut store) = store_with(&windows(0..24, FIVE_MINUTES));
    // Readings were kept from the second hour on.
    let reading = |n: i64| ReadingRow {
        device: "lounge".into(),
        at: at(HOUR + n * 30_000),
        number: 0,
        values: vec![("temperature".into(), n as f64)],
    };
    let readings = (0..120).map(reading).collect();
    store.append_batch(&Batch { readings, ..Batch::default() }).unwrap();
    let found = series(&store, 0, 2 * HOUR, 200);
    assert_eq!((found.source, found.step_ms), (Source::Readings, 30_000));
    assert_eq!(starts(&found)[10..14], [50 * 60_000, 55 * 60_000, HOUR, HOUR + 30_000]);
    assert_eq!(found.points.len(), 12 + 120);
    let found = series(&store, HOUR, 2 * HOUR, 60);
    assert_eq!((found.source, found.step_ms, found.points.len()), (Source::Readings, 60_000, 60));
    assert_eq!(found.points[1].summary.avg, 2.5);
    assert_eq!(series(&store, 0, 2 * HOUR, 24).source, Source::Windows);
}

#[test]
fn of_overlapping_windows_each_value_counts_once() {
    let sliding: Vec<_> = (0..60)
        .map(|n| {
            let (device, mut row) = windows(n..n + 1, 60_000).remove(0);
            row.end = row.start + Duration::from_secs(300);
            (device, row)
        })
        .collect();
    let (_folder, mut store) = store_with(&sliding);
    assert_eq!(series(&store, 0, HOUR, 100).points.len(), 12);
    store.settle().unwrap();
    let (from, to) = (Tier::Hours.start_of(BEGIN), BEGIN + HOUR);
    let found = find(&store.file, "lounge", "temperature").unwrap().unwrap();
    let mut hour = Buckets::new(HOUR);
    scan_tier(&store.file, Tier::Hours, found, (from, to), &mut hour).unwrap();
    assert_eq!(hour.into_points()[0].summary.count, 120);
}

#[test]
fn a_sparkline_has_a_mean_or_nothing_for_each_part() {
    let mut rows = windows(0..12, FIVE_MINUTES);
    rows.extend(windows(24..36, FIVE_MINUTES));
    let (_folder, store) = store_with(&rows);
    let line =
        |device, metric, buckets| store.sparkline(device, metric, at(0), at(3 * HOUR), buckets).unwrap();
    let (name, means) = line("lounge", None, 3).unwrap();
    assert_eq!((&*name, means), ("temperature", vec![Some(5.5), None, Some(29.5)]));
    let (_, means) = line("lounge", Some("temperature"), 36).unwrap();
    assert_eq!((means[11], means[12], means[24]), (Some(11.0), None, Some(24.0)));
    assert_eq!(line("porch", None, 3), None);
    assert_eq!(line("lounge", Some("humidity"), 3), None);
    let backwards = store.sparkline("lounge", None, at(HOUR), at(0), 2).unwrap().unwrap();
    assert_eq!(backwards.1, [None, None]);
}
