//! A file of version 1, which had windows alone: readers read it as it is, a writer converts it in place.
//! `history-v1.db` was written by the last program of version 1: two devices, each with 150 windows of ten minutes from
//! 2026-11-20T10:00:00Z on; the first half of them was moved to `windows`.

use std::path::PathBuf;

use gateway_core::Timestamp;
use history::{AlertQuery, Points, SeriesQuery, Source, Store};
use tempfile::TempDir;

const BEGIN: i64 = 1_795_168_800_000;
const HOUR: i64 = 3_600_000;

fn copy() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    std::fs::write(&path, include_bytes!("history-v1.db")).unwrap();
    (folder, path)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + millis)
}

fn hours(store: &Store) -> Points {
    let query = SeriesQuery {
        device: "porch",
        metric: "temperature",
        from: at(0),
        to: at(25 * HOUR),
        max_points: 25,
    };
    store.series(&query).unwrap()
}

#[test]
fn a_reader_takes_the_windows_of_version_1_and_changes_nothing() {
    let (_folder, path) = copy();
    let before = std::fs::read(&path).unwrap();
    let store = Store::open_read_only(&path).unwrap();
    let found = hours(&store);
    assert_eq!((found.source, found.step_ms, found.points.len()), (Source::Windows, HOUR, 25));
    assert!(
        store.sparkline("lounge", None, at(0), at(HOUR), 6).unwrap().unwrap().1.iter().all(Option::is_some)
    );
    let alerts = AlertQuery { device: None, from: at(0), to: at(HOUR), before: None, limit: 9 };
    assert_eq!(store.alerts(&alerts).unwrap(), []);
    assert_eq!(store.span().unwrap(), Some((at(0), at(25 * HOUR))));
    drop(store);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_writer_converts_version_1_and_all_windows_are_in_hours_and_days() {
    let (_folder, path) = copy();
    let windows = hours(&Store::open_read_only(&path).unwrap());
    drop(Store::open(&path).unwrap());
    let store = Store::open(&path).unwrap();
    assert_eq!(store.read("porch", at(0), at(25 * HOUR), usize::MAX).unwrap().len(), 150);
    let hours = hours(&store);
    assert_eq!(hours.source, Source::Hours);
    for (hour, window) in hours.points.iter().zip(&windows.points) {
        assert_eq!((hour.start, hour.end), (window.start, window.end));
        assert_eq!(
            (hour.summary.count, hour.summary.min, hour.summary.max),
            (60, window.summary.min, window.summary.max)
        );
        assert!((hour.summary.avg - window.summary.avg).abs() < 1e-9);
        assert!((hour.summary.std - window.summary.std).abs() < 1e-9);
    }
    assert_eq!(hours.points.len(), windows.points.len());
    let sql = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = sql.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let days: i64 = sql.query_row("SELECT count(*) FROM days", [], |row| row.get(0)).unwrap();
    assert_eq!((version, days), (2, 2));
}
