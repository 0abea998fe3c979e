//! What one reading costs: `cargo bench -p anomaly`.

use std::hint::black_box;

use anomaly::{Quantity, SeriesModel};
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::ports::Detector;
use gateway_core::{MetricKind, Moment, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const SECOND: i64 = 1000;
const FIVE_MINUTES: i64 = 300 * SECOND;
/// What the models have learnt before they are measured: past the trial of 288 samples.
const LEARNT: usize = 4096;

/// One series of `kind`, a reading every `step` milliseconds.
fn one(c: &mut Criterion, name: &str, kind: MetricKind, step: i64, values: &[f64]) {
    let mut model = SeriesModel::new(Quantity::new(kind, "power"));
    let mut at = 0;
    let mut next = values.iter().copied().cycle();
    let mut observe = || {
        at += step;
        model.observe(Moment::utc(Timestamp::from_millis(at)), black_box(next.next().unwrap_or(0.0)))
    };
    for _ in 0..LEARNT {
        observe();
    }
    c.bench_function(name, |b| b.iter(&mut observe));
}

/// Many series in turn, so that their state is seldom in the processor's cache. All have learnt the trial.
fn many(c: &mut Criterion, values: &[f64]) {
    let mut model = SeriesModel::new(Quantity::watched());
    let mut at = 0;
    for value in values.iter().take(300) {
        at += FIVE_MINUTES;
        model.observe(Moment::utc(Timestamp::from_millis(at)), *value);
    }
    let mut models = vec![model; 10_000];
    let mut next = values.iter().copied().cycle();
    let mut index = 0;
    c.bench_function("10,000 gauges in turn, every 5 minutes", |b| {
        b.iter(|| {
            index = (index + 1) % models.len();
            at += if index == 0 { FIVE_MINUTES } else { 0 };
            let value = black_box(next.next().unwrap_or(0.0));
            models.get_mut(index).map(|model| model.observe(Moment::utc(Timestamp::from_millis(at)), value))
        });
    });
}

fn observe(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let gauge: Vec<f64> = (0..LEARNT).map(|_| rng.random_range(20.0..22.0)).collect();
    let state: Vec<f64> = (0..LEARNT).map(|_| f64::from(rng.random_range(0..10) / 9)).collect();
    let counter: Vec<f64> = (0..1_000_000)
        .scan(0.0, |count, _| {
            *count += rng.random_range(0.0..2.0);
            Some(*count)
        })
        .collect();
    one(c, "a gauge every 5 minutes", MetricKind::Gauge, FIVE_MINUTES, &gauge);
    one(c, "a gauge every second", MetricKind::Gauge, SECOND, &gauge);
    one(c, "a counter every 5 minutes", MetricKind::Counter, FIVE_MINUTES, &counter);
    one(c, "a state every 5 minutes", MetricKind::State, FIVE_MINUTES, &state);
    many(c, &gauge);
}

criterion_group!(benches, observe);
criterion_main!(benches);
