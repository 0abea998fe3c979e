//! What goes in comes out: held against a map, on real files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::ops::ControlFlow;
use std::path::PathBuf;

use gateway_core::Timestamp;
use history::{HistoryError, Row, Store, Summary, Visited};
use tempfile::TempDir;

const FIVE_MINUTES: i64 = 300_000;

fn at(window: i64) -> Timestamp {
    Timestamp::from_millis(1_795_168_800_000 + window * FIVE_MINUTES)
}

const ALWAYS: (Timestamp, Timestamp) = (Timestamp::from_millis(i64::MIN), Timestamp::MAX);

fn summary(value: f64) -> Summary {
    Summary { avg: value, min: value - 0.1, max: value + 1.0 / 3.0, std: 0.1, count: 30 }
}

fn row(window: i64, revision: u32, value: f64) -> Row {
    let metrics = vec![("temperature".into(), summary(value)), ("co2".into(), summary(value * 30.0))];
    Row { start: at(window), end: at(window + 1), revision, metrics }
}

fn windows(device: &str, range: std::ops::Range<i64>) -> Vec<(Box<str>, Row)> {
    range.map(|window| (device.into(), row(window, 0, window as f64 / 7.0))).collect()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    (folder, path)
}

fn all(store: &Store, device: &str) -> Vec<Row> {
    store.read(device, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap()
}

#[test]
fn windows_come_out_in_order_of_start_bit_for_bit_whatever_order_they_came_in() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    let mut given = windows("lounge", 0..50);
    given.reverse();
    store.append(&given).unwrap();
    store.append(&windows("porch", 0..3)).unwrap();
    given.reverse();
    let expected: Vec<Row> = given.into_iter().map(|(_, row)| row).collect();
    assert_eq!(all(&store, "lounge"), expected);
    drop(store);
    let store = Store::open_read_only(&path).unwrap();
    assert_eq!(all(&store, "lounge"), expected);
    assert_eq!(store.devices().unwrap(), ["lounge".into(), "porch".into()] as [Box<str>; 2]);
    assert!(all(&store, "nobody").is_empty());
}

#[test]
fn a_read_goes_from_the_first_instant_up_to_the_second_and_stops_at_its_limit() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    store.append(&windows("lounge", 0..10)).unwrap();
    let starts = |from, to, limit| -> Vec<_> {
        let rows = store.read("lounge", at(from), at(to), limit).unwrap();
        rows.into_iter().map(|row| row.start).collect()
    };
    assert_eq!(starts(2, 5, 100), [at(2), at(3), at(4)]);
    assert_eq!(starts(2, 5, 2), [at(2), at(3)]);
    assert_eq!(starts(2, 5, 0), []);
    assert_eq!(starts(5, 2, 9), []);
}

#[test]
fn a_visitor_that_has_had_enough_is_left_alone() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    store.append(&windows("lounge", 0..10)).unwrap();
    let mut seen = 0;
    let visited = store
        .visit("lounge", ALWAYS.0, ALWAYS.1, |_| {
            seen += 1;
            if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!((seen, visited), (3, Visited { rows: 3, damaged: 0 }));
}

#[test]
fn a_correction_replaces_also_what_was_moved_and_an_older_one_never_does() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    store.append(&windows("lounge", 0..20_000)).unwrap();
    store.append(&[("lounge".into(), row(7, 2, 99.0))]).unwrap();
    store.append(&[("lounge".into(), row(7, 1, 50.0))]).unwrap();
    store.append(&[("lounge".into(), row(7, 2, 51.0))]).unwrap();
    let seven = store.read("lounge", at(7), at(8), 9).unwrap();
    assert_eq!(seven, [row(7, 2, 99.0)]);
    assert_eq!(all(&store, "lounge").len(), 20_000);
}

#[test]
fn a_reader_sees_what_a_writer_has_appended_while_it_has_the_file_open() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    store.append(&windows("lounge", 0..1)).unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    store.append(&windows("lounge", 1..2)).unwrap();
    assert_eq!(all(&reader, "lounge").len(), 2);
}

#[test]
fn what_is_no_history_or_of_a_newer_schema_is_refused_and_stays_as_it_was() {
    let (folder, path) = folder();
    assert!(matches!(Store::open_read_only(&path), Err(HistoryError::Sqlite { .. })));
    drop(Store::open(&path).unwrap());
    let sql = rusqlite::Connection::open(&path).unwrap();
    sql.pragma_update(None, "user_version", 3).unwrap();
    drop(sql);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(HistoryError::NewerSchema { found: 3, .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    assert!(matches!(Store::open(&other), Err(HistoryError::NotAHistory { .. })));
}

#[test]
fn pruning_takes_what_starts_before_and_what_comes_for_that_time_later_is_left_out() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    store.append(&windows("gone", 0..5_000)).unwrap();
    store.append(&windows("lounge", 0..12_000)).unwrap();
    store.append(&windows("lounge", 12_000..12_010)).unwrap();
    assert_eq!(store.prune(at(12_005)).unwrap(), 17_005);
    assert_eq!(all(&store, "lounge").first().unwrap().start, at(12_005));
    store.append(&windows("gone", 0..1)).unwrap();
    store.append(&windows("gone", 12_005..12_006)).unwrap();
    assert_eq!(all(&store, "gone").len(), 1);
}

#[test]
fn a_file_that_is_too_large_loses_its_oldest_windows_and_does_not_grow_again() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    for part in 0..20 {
        store.append(&windows("lounge", part * 2_000..(part + 1) * 2_000)).unwrap();
        store.shrink_to(1 << 20).unwrap();
        assert!(store.used_bytes().unwrap() <= 1 << 20);
    }
    let rows = all(&store, "lounge");
    assert!(rows.len() > 5_000, "{} windows are left", rows.len());
    assert_eq!(rows.last().unwrap().start, at(39_999));
    assert!(rows.windows(2).all(|pair| pair[0].end == pair[1].start), "the oldest go first");
    drop(store);
    assert!(std::fs::metadata(&path).unwrap().len() < 4 << 20);
}

#[test]
fn a_wrong_bit_in_a_row_leaves_out_that_row_alone_and_is_counted() {
    let (_folder, path) = folder();
    let mut store = Store::open(&path).unwrap();
    store.append(&windows("lounge", 0..10)).unwrap();
    drop(store);
    let sql = rusqlite::Connection::open(&path).unwrap();
    let start = at(4).as_millis();
    let mut blob: Vec<u8> =
        sql.query_row("SELECT metrics FROM recent WHERE start = ?1", [start], |row| row.get(0)).unwrap();
    blob[9] ^= 0x10;
    sql.execute("UPDATE recent SET metrics = ?2 WHERE start = ?1", rusqlite::params![start, blob]).unwrap();
    let store = Store::open_read_only(&path).unwrap();
    let visited = store.visit("lounge", ALWAYS.0, ALWAYS.1, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(visited, Visited { rows: 9, damaged: 1 });
    assert_eq!(all(&store, "lounge").len(), 9);
}
