//! How long questions to a month of 1,000 series take, and how much of the disk they use: a building of 250 devices with four
//! metrics each and windows of five minutes.
//!
//! Criterion measures the usual case; p50 and p99 over many different series are printed before it, with the file in the
//! system's cache and without.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a benchmark shows figures, and fails by panicking"
)]

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::Timestamp;
use history::{AlertQuery, AlertRow, Batch, Format, Row, SeriesQuery, Store, Summary};

const DEVICES: i64 = 250;
const METRICS: [&str; 4] = ["temperature", "humidity", "co2", "illuminance"];
const WINDOWS_A_DAY: i64 = 288;
const DAYS: i64 = 30;
/// 2026-11-20T00:00:00Z.
const BEGIN: i64 = 1_795_132_800_000;
const DAY: i64 = 86_400_000;
/// Questions of which p50 and p99 are taken.
const QUESTIONS: i64 = 1_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN + millis)
}

fn name(device: i64) -> Box<str> {
    format!("device-{device}").into()
}

fn window(device: i64, number: i64) -> (Box<str>, Row) {
    let start = at(number * 300_000);
    let metric = |(nth, name): (usize, &&str)| {
        let avg = (device * 31 + number * 7 + nth as i64) as f64 / 30.0;
        ((*name).into(), Summary { avg, min: avg - 0.1, max: avg + 0.3, std: avg / 7.0, count: 30 })
    };
    let metrics = METRICS.iter().enumerate().map(metric).collect();
    (name(device), Row { start, end: start + Duration::from_secs(300), revision: 0, metrics })
}

fn alert(device: i64, number: i64) -> AlertRow {
    let since = at(number * DAY / 10);
    AlertRow {
        device: name(device),
        rule: "too-hot".into(),
        metric: Some("temperature".into()),
        since,
        at: since,
        is_cleared: false,
        payload: format!(r#"{{"id":"{number}","message":"{}"}}"#, "x".repeat(400)).into(),
    }
}

/// A month, appended as a gateway does: all devices at each window's end.
fn month(path: &Path) -> Store {
    let mut store = Store::open(path).unwrap();
    for number in 0..DAYS * WINDOWS_A_DAY {
        let all: Vec<_> = (0..DEVICES).map(|device| window(device, number)).collect();
        store.append(&all).unwrap();
    }
    let alerts = (0..DAYS * 10).flat_map(|number| (0..10).map(move |device| alert(device, number))).collect();
    store.append_batch(&Batch { alerts, ..Batch::default() }).unwrap();
    store
}

fn series(store: &Store, device: i64, metric: &str, max_points: usize) -> usize {
    let device = name(device);
    let query = SeriesQuery { device: &device, metric, from: at(0), to: at(DAYS * DAY), max_points };
    store.series(&query).unwrap().points.len()
}

fn overview(store: &Store, days: i64) -> usize {
    let line = |device| {
        let (from, to) = (at((DAYS - days) * DAY), at(DAYS * DAY));
        let (_, means) = store.sparkline(&name(device), None, from, to, 48).unwrap().unwrap();
        means.iter().flatten().count()
    };
    (0..100).map(line).sum()
}

/// Takes the file out of the system's cache.
fn forget(path: &Path) {
    let input = format!("if={}", path.display());
    let done = Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status().unwrap();
    assert!(done.success());
}

#[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn percentiles(what: &str, count: i64, mut before: impl FnMut(), mut question: impl FnMut(i64) -> usize) {
    let mut times: Vec<Duration> = (0..count)
        .map(|number| {
            before();
            let began = std::time::Instant::now();
            black_box(question(number));
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms", at(50), at(99), at(100));
}

fn questions(criterion: &mut Criterion) {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let store = month(&path);
    let used = store.used_bytes().unwrap() as f64;
    drop(store);
    let series_days = (DEVICES * METRICS.len() as i64 * DAYS) as f64;
    println!("{:.0} MB on disk, {:.0} bytes a series and day", used / 1e6, used / series_days);

    let store = Store::open_read_only(&path).unwrap();
    let pick = |number: i64| (number * 7 % DEVICES, METRICS[(number % 4) as usize]);
    for (points, tier) in [(720, "hours"), (2_000, "windows")] {
        percentiles(
            &format!("one series, 30 days in {points} points ({tier})"),
            QUESTIONS,
            || {},
            |number| {
                let (device, metric) = pick(number);
                series(&store, device, metric, points)
            },
        );
        percentiles(
            &format!("the same, file opened anew and not in the cache ({tier})"),
            100,
            || forget(&path),
            |number| {
                let (device, metric) = pick(number);
                series(&Store::open_read_only(&path).unwrap(), device, metric, points)
            },
        );
    }
    for days in [1, 30] {
        let what = format!("sparklines of 100 devices, 48 parts of {days} days");
        percentiles(&what, 50, || {}, |_| overview(&store, days));
    }
    percentiles(
        "the same 30 days, not in the cache",
        10,
        || forget(&path),
        |_| overview(&Store::open_read_only(&path).unwrap(), 30),
    );
    percentiles(
        "100 alerts of 3,000",
        100,
        || {},
        |_| {
            let query =
                AlertQuery { device: None, from: at(0), to: at(DAYS * DAY), before: None, limit: 100 };
            store.alerts(&query).unwrap().len()
        },
    );
    let devices: Vec<_> = (0..10).map(name).collect();
    percentiles(
        "export of 10 devices, 345,600 rows",
        3,
        || {},
        |_| {
            let range = (at(0), at(DAYS * DAY));
            store.export(&devices, range, Format::Csv, std::io::sink()).unwrap().rows as usize
        },
    );

    let mut group = criterion.benchmark_group("history");
    group.bench_function("one series, 30 days in 720 points", |bencher| {
        bencher.iter(|| series(&store, 17, "co2", black_box(720)));
    });
    group.bench_function("one series, 30 days in 2,000 points", |bencher| {
        bencher.iter(|| series(&store, 17, "co2", black_box(2_000)));
    });
    group.sample_size(10).bench_function("sparklines of 100 devices, one day", |bencher| {
        bencher.iter(|| overview(&store, black_box(1)));
    });
    group.finish();
    drop(store);
    conversion(&path);
}

/// Of the same file without what version 2 has in addition.
fn conversion(path: &Path) {
    let file = rusqlite::Connection::open(path).unwrap();
    for table in ["hours", "days", "mark", "alerts", "readings", "recent_readings"] {
        file.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    file.pragma_update(None, "user_version", 1).unwrap();
    drop(file);
    percentiles(
        "conversion from version 1",
        1,
        || {},
        |_| Store::open(path).unwrap().devices().unwrap().len(),
    );
    let mut store = Store::open(path).unwrap();
    percentiles(
        "removal of a day, 72,000 windows in 36 portions",
        10,
        || {},
        |day| store.prune(at((day + 1) * DAY)).unwrap() as usize,
    );
}

criterion_group!(benches, questions);
criterion_main!(benches);
