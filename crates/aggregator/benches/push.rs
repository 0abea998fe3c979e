//! What a reading costs on its way into a window, and what closing a round of windows costs.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::time::Duration;

use aggregator::{Aggregator, Settings};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use gateway_core::{Aggregate, DeviceId, MetricId, Now, Reading, Timestamp};

const START: i64 = 1_795_168_800_000;
/// Every series speaks this often.
const ROUND: i64 = 10_000;

fn now(millis: i64) -> Now {
    Now::at(Timestamp::from_millis(START + millis))
}

/// One round: each device sends its metrics at one instant; the round lasts [`ROUND`] milliseconds.
fn round(devices: u32, metrics: u32, number: i64, mut each: impl FnMut(&Reading, Now)) {
    for device in 0..devices {
        let now = now(number * ROUND + i64::from(device) * ROUND / i64::from(devices));
        for metric in 0..metrics {
            let value = 20.0 + f64::from((device * 7 + metric * 3) % 100) / 10.0 + (number % 13) as f64;
            let reading = Reading { device: DeviceId(device), metric: MetricId(metric), value, at: now.at };
            each(&reading, now);
        }
    }
}

/// Windows of five minutes, closed when they are due: what a gateway does all day.
fn steady(criterion: &mut Criterion, name: &str, devices: u32, metrics: u32, settings: &Settings) {
    let mut aggregator = Aggregator::new(settings.clone());
    let (mut number, mut closed) = (0, Vec::new());
    let mut group = criterion.benchmark_group("push");
    group.throughput(Throughput::Elements(u64::from(devices * metrics)));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            round(devices, metrics, number, |reading, now| {
                black_box(aggregator.push(black_box(reading), now));
                if aggregator.next_deadline().is_some_and(|due| due <= now.at) {
                    aggregator.advance(now, &mut closed);
                    closed.clear();
                }
            });
            number += 1;
        });
    });
    group.finish();
}

fn push(criterion: &mut Criterion) {
    let tumbling = Settings::default();
    steady(criterion, "10,000 devices x 1 metric", 10_000, 1, &tumbling);
    steady(criterion, "3,334 devices x 3 metrics", 3_334, 3, &tumbling);
    let percentiles = Settings { percentiles: vec![50.0, 95.0], ..tumbling.clone() };
    steady(criterion, "3,334 devices x 3 metrics, percentiles", 3_334, 3, &percentiles);
    let hopping = Settings { every: Duration::from_secs(60), ..tumbling };
    steady(criterion, "3,334 devices x 3 metrics, hopping 5", 3_334, 3, &hopping);
}

fn close(criterion: &mut Criterion) {
    let mut full = Aggregator::new(Settings::default());
    (0..30).for_each(|number| {
        round(1000, 3, number, |reading, now| {
            black_box(full.push(reading, now));
        });
    });
    let due = now(310_000);
    let mut group = criterion.benchmark_group("close");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1,000 devices x 3 metrics", |bencher| {
        bencher.iter_batched(
            || (full.clone(), Vec::<Aggregate>::with_capacity(1000)),
            |(mut aggregator, mut out)| {
                aggregator.advance(due, &mut out);
                assert_eq!(out.len(), 1000);
                (aggregator, out)
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
    criterion.bench_function("close/nothing due", |bencher| {
        let mut out = Vec::new();
        bencher.iter(|| full.advance(black_box(now(300_000)), &mut out));
    });
}

criterion_group!(benches, push, close);
criterion_main!(benches);
