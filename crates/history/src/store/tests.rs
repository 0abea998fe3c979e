//! The store against a map, with so few windows in `recent` that they are moved all the time.

use std::collections::{BTreeMap, BTreeSet};

use gateway_core::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::batch::ReadingRow;
use crate::buckets::Buckets;
use crate::retention::{Before, Progress};
use crate::row::Summary;
use crate::series;
use crate::tiers::Tier;

const ALWAYS: (Timestamp, Timestamp) = (Timestamp::from_millis(i64::MIN), Timestamp::MAX);
const FIVE_MINUTES: i64 = 300_000;
const MAX_RECENT: usize = 10;

fn at(window: i64) -> Timestamp {
    Timestamp::from_millis(window * FIVE_MINUTES)
}

fn row(start: i64, length: i64, revision: u32, value: f64) -> Row {
    let summary = Summary { avg: value, min: value - 1.0, max: value + 2.0, std: value / 7.0, count: 3 };
    let metrics = vec![("temperature".into(), summary)];
    Row { start: at(start), end: at(start + length), revision, metrics }
}

fn open(path: &Path) -> Store {
    Store { max_recent: MAX_RECENT, ..Store::open(path).unwrap() }
}

#[derive(Debug, Clone)]
enum Deed {
    Append(Vec<(u8, i64, i64, u32)>),
    Prune(i64),
    Reopen,
}

fn deed() -> impl Strategy<Value = Deed> {
    // Some hours around the end of a day; windows of two and of fourteen hours too.
    let start = prop_oneof![0..12_i64, 270..300_i64];
    let length = prop_oneof![4 => 1..3_i64, 1 => Just(24_i64), 1 => Just(168_i64)];
    let window = (0..3_u8, start, length, 0..4_u32);
    prop_oneof![
        6 => prop::collection::vec(window, 0..20).prop_map(Deed::Append),
        1 => prop_oneof![0..12_i64, 270..300_i64].prop_map(Deed::Prune),
        1 => Just(Deed::Reopen),
    ]
}

type Key = (u8, i64, i64);

/// What a store should hold.
#[derive(Default)]
struct Model {
    kept: BTreeMap<Key, Row>,
    /// With those that were removed: hours and days still have them.
    all: BTreeMap<Key, Row>,
    recent: BTreeSet<Key>,
    recent_count: usize,
    mark: i64,
}

impl Model {
    fn append(&mut self, key: Key, row: &Row) {
        let (_, start, length) = key;
        if start < self.mark {
            return;
        }
        let stored = self.kept.get(&key).map(|row| row.revision);
        if stored.is_some_and(|stored| stored >= row.revision) {
            return;
        }
        if stored.is_none() || self.recent.contains(&key) {
            self.recent.insert(key);
            self.recent_count += 1;
        } else if Tier::ALL.into_iter().any(|tier| {
            let (start, length) = (start * FIVE_MINUTES, length * FIVE_MINUTES);
            tier.counts(start, length) && tier.start_of(start) < self.mark * FIVE_MINUTES
        }) {
            return;
        }
        self.kept.insert(key, row.clone());
        self.all.insert(key, row.clone());
    }

    fn move_recent(&mut self) {
        self.recent.clear();
        self.recent_count = 0;
    }

    /// Returns how many go.
    fn prune(&mut self, before: i64) -> u64 {
        let newest = self.kept.keys().map(|(_, start, _)| *start).filter(|start| *start < before).max();
        if newest.is_some_and(|newest| newest >= self.mark) {
            if self.recent.iter().any(|(_, start, _)| *start < before) {
                self.move_recent();
            }
            self.mark = newest.unwrap() + 1;
        }
        let count = self.kept.len();
        let mark = self.mark;
        self.kept.retain(|(_, start, _), _| *start >= mark);
        (count - self.kept.len()) as u64
    }

    /// Hours or days of a device, straight from count, sum and sum of squares.
    fn rolled(&self, device: u8, tier: Tier) -> Vec<(i64, Summary)> {
        let mut sums: BTreeMap<i64, (f64, f64, f64, Summary)> = BTreeMap::new();
        for ((of, start, length), row) in &self.all {
            let (start, length) = (start * FIVE_MINUTES, length * FIVE_MINUTES);
            if *of != device || !tier.counts(start, length) {
                continue;
            }
            let part = row.metrics[0].1;
            let (count, sum, squares, whole) =
                sums.entry(tier.start_of(start)).or_insert((0.0, 0.0, 0.0, part));
            *count += part.count as f64;
            *sum += part.avg * part.count as f64;
            *squares += (part.std.powi(2) + part.avg.powi(2)) * part.count as f64;
            whole.min = whole.min.min(part.min);
            whole.max = whole.max.max(part.max);
        }
        let whole = |(start, (count, sum, squares, whole)): (i64, (f64, f64, f64, Summary))| {
            let avg = sum / count;
            let std = (squares / count - avg * avg).max(0.0).sqrt();
            (start, Summary { avg, std, count: count as u64, ..whole })
        };
        sums.into_iter().map(whole).collect()
    }
}

fn rolled(store: &Store, device: &str, tier: Tier) -> Vec<(i64, Summary)> {
    let mut buckets = Buckets::new(tier.length());
    if let Some(series) = series::find(&store.file, device, "temperature").unwrap() {
        let range = (-1_000_000_000_000, 1_000_000_000_000);
        series::scan_tier(&store.file, tier, series, range, &mut buckets).unwrap();
    }
    buckets.into_points().into_iter().map(|point| (point.start.as_millis(), point.summary)).collect()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

fn is_same(found: &[(i64, Summary)], expected: &[(i64, Summary)]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|((at, a), (expected_at, b))| {
            // Squares are compared: the root of next to nothing is no comparison.
            at == expected_at
                && (a.min, a.max, a.count) == (b.min, b.max, b.count)
                && near(a.avg, b.avg)
                && near(a.std.powi(2), b.std.powi(2))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_map_that_keeps_the_highest_revision_and_its_tiers_are_that_map_merged(
        deeds in prop::collection::vec(deed(), 1..20)
    ) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("history.db");
        let mut store = open(&path);
        let mut model = Model { mark: i64::MIN / FIVE_MINUTES, ..Model::default() };
        for (number, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Append(windows) => {
                    let mut batch = Vec::new();
                    for (device, start, length, revision) in windows {
                        let row = row(start, length, revision, number as f64);
                        batch.push((format!("device-{device}").into_boxed_str(), row.clone()));
                        model.append((device, start, length), &row);
                    }
                    store.append(&batch).unwrap();
                    if model.recent_count > MAX_RECENT {
                        model.move_recent();
                    }
                }
                Deed::Prune(before) => {
                    prop_assert_eq!(store.prune(at(before)).unwrap(), model.prune(before));
                }
                Deed::Reopen => {
                    drop(store);
                    store = open(&path);
                    model.recent_count = model.recent.len();
                }
            }
            for device in 0..3 {
                let expected: Vec<Row> =
                    model.kept.iter().filter(|((of, ..), _)| *of == device).map(|(_, row)| row.clone()).collect();
                let name = format!("device-{device}");
                prop_assert_eq!(store.read(&name, ALWAYS.0, ALWAYS.1, usize::MAX).unwrap(), expected);
                for tier in Tier::ALL {
                    let (found, expected) = (rolled(&store, &name, tier), model.rolled(device, tier));
                    prop_assert!(is_same(&found, &expected), "{:?}: {:?} is not {:?}", tier, found, expected);
                }
            }
        }
    }
}

/// A store with a day of windows of each of some devices, which have been moved.
fn store_with_a_day(folder: &TempDir) -> Store {
    let mut store = Store::open(&folder.path().join("history.db")).unwrap();
    for device in 0..20 {
        let name = format!("device-{device}").into_boxed_str();
        let windows: Vec<_> = (0..600).map(|n| (name.clone(), row(n, 1, 0, n as f64))).collect();
        store.append(&windows).unwrap();
    }
    store.settle().unwrap();
    store
}

#[test]
fn trimming_takes_a_portion_at_a_time_and_ends() {
    let folder = TempDir::new().unwrap();
    let mut store = store_with_a_day(&folder);
    let before = Before { windows: 500 * FIVE_MINUTES, ..Before::NOTHING };
    let mut portions = 0;
    let mut rows = 12_000;
    while store.trim(&before, u64::MAX).unwrap() == Progress::More {
        portions += 1;
        let left: i64 = store.file.query_row("SELECT count(*) FROM windows", [], |row| row.get(0)).unwrap();
        assert!(rows - left <= 2_000, "{left} of {rows} are left");
        rows = left;
    }
    assert_eq!((portions, rows), (5, 2_000));
    let everything = Before { windows: i64::MAX, hours: i64::MAX, days: i64::MAX, readings: i64::MAX };
    assert_eq!(store.devices().unwrap().len(), 20);
    while store.trim(&everything, u64::MAX).unwrap() == Progress::More {}
    assert!(store.devices().unwrap().is_empty());
    assert_eq!(store.span().unwrap(), None);
}

#[test]
fn a_file_that_is_too_large_loses_readings_first_and_keeps_hours_longer_than_windows() {
    let folder = TempDir::new().unwrap();
    let mut store = store_with_a_day(&folder);
    let windows: Vec<_> = (600..6_000).map(|n| ("lounge".into(), row(n, 1, 0, 1.0))).collect();
    store.append(&windows).unwrap();
    let reading = |n: i64| ReadingRow {
        device: "lounge".into(),
        at: at(n),
        number: 0,
        values: vec![("temperature".into(), 1.0)],
    };
    store.append_batch(&Batch { readings: (0..3_000).map(reading).collect(), ..Batch::default() }).unwrap();
    let with_readings = store.used_bytes().unwrap();
    store.shrink_to(with_readings - 4096).unwrap();
    assert_eq!(store.read("lounge", ALWAYS.0, ALWAYS.1, usize::MAX).unwrap().len(), 5_400);
    store.shrink_to(with_readings / 2).unwrap();
    assert!(store.used_bytes().unwrap() <= with_readings / 2);
    let count = |table| -> i64 {
        store.file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("readings"), count("recent_readings")), (0, 0));
    assert_eq!(rolled(&store, "lounge", Tier::Hours).len(), 450, "all hours are there");
    assert!(count("windows") > 1_000, "{} windows", count("windows"));
    store.shrink_to(0).unwrap();
    assert!(store.devices().unwrap().is_empty());
}

#[test]
fn a_clock_that_ran_ahead_takes_what_is_there_and_keeps_out_nothing_newer() {
    let folder = TempDir::new().unwrap();
    let mut store = store_with_a_day(&folder);
    store.prune(Timestamp::MAX).unwrap();
    store.append(&[("lounge".into(), row(600, 1, 0, 1.0)), ("lounge".into(), row(599, 1, 0, 1.0))]).unwrap();
    let rows = store.read("lounge", ALWAYS.0, ALWAYS.1, 9).unwrap();
    assert_eq!(rows.iter().map(|row| row.start).collect::<Vec<_>>(), [at(600)]);
}

#[test]
fn a_damaged_row_of_a_tier_is_left_out_and_made_again_with_the_next_windows() {
    let folder = TempDir::new().unwrap();
    let mut store = store_with_a_day(&folder);
    let whole = rolled(&store, "device-3", Tier::Hours);
    store.file.execute("UPDATE hours SET metrics = x'00' WHERE start = 49 * 3600000", []).unwrap();
    assert_eq!(rolled(&store, "device-3", Tier::Hours).len(), whole.len() - 1);
    store.append(&[("device-3".into(), row(590, 1, 1, 590.0))]).unwrap();
    assert_eq!(rolled(&store, "device-3", Tier::Hours), whole);
}
