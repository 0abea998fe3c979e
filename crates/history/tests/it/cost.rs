//! What a building of 200 devices with four metrics and windows of five minutes costs the disk. Alone in its process, whose
//! writes it counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking; this one shows figures"
)]

use gateway_core::Timestamp;
use history::{Row, Store, Summary};
use testkit::alone;

const DEVICES: i64 = 200;
const METRICS: [&str; 4] = ["temperature", "humidity", "co2", "illuminance"];
const WINDOWS_A_DAY: i64 = 288;
const DAYS: i64 = 2;

fn window(device: i64, number: i64) -> (Box<str>, Row) {
    let start = Timestamp::from_millis(1_795_168_800_000 + number * 300_000);
    let metric = |(nth, name): (usize, &&str)| {
        let avg = (device * 31 + number * 7 + nth as i64) as f64 / 30.0;
        ((*name).into(), Summary { avg, min: avg - 0.1, max: avg + 0.3, std: avg / 7.0, count: 30 })
    };
    let metrics = METRICS.iter().enumerate().map(metric).collect();
    let end = start + std::time::Duration::from_secs(300);
    (format!("device-{device}").into(), Row { start, end, revision: 0, metrics })
}

/// Bytes that this process has asked the kernel to write.
fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.parse().unwrap()
}

#[test]
fn a_metric_takes_at_most_60_bytes_on_the_disk_and_350_are_written_for_it() {
    alone("cost::a_metric_takes_at_most_60_bytes_on_the_disk_and_350_are_written_for_it", measure);
}

fn measure() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("history.db");
    let mut store = Store::open(&path).unwrap();
    let before = bytes_written();
    for number in 0..DAYS * WINDOWS_A_DAY {
        let all: Vec<_> = (0..DEVICES).map(|device| window(device, number)).collect();
        store.append(&all).unwrap();
    }
    let used = store.used_bytes().unwrap();
    drop(store);
    let written = bytes_written() - before;
    let metrics = (DAYS * WINDOWS_A_DAY * DEVICES * METRICS.len() as i64) as f64;
    let (used_each, written_each) = (used as f64 / metrics, written as f64 / metrics);
    println!(
        "on disk {used_each:.1} bytes a metric and window, {:.1} MB a day; written {written_each:.1}, {:.1} MB a day",
        used as f64 / DAYS as f64 / 1e6,
        written as f64 / DAYS as f64 / 1e6
    );
    assert!(used_each <= 60.0, "{used_each} bytes");
    assert!(written_each <= 350.0, "{written_each} bytes");
}
