//! What one reading costs: `cargo bench -p anomaly`.

use std::hint::black_box;

use anomaly::SeriesModel;
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::ports::Detector;
use gateway_core::{MetricKind, Moment, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn observe(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let values: Vec<f64> = (0..4096).map(|_| rng.random_range(20.0..22.0)).collect();
    let mut next = values.iter().cycle();
    let mut model = SeriesModel::new(MetricKind::Gauge);
    let mut at = 0;
    c.bench_function("SeriesModel::observe, one gauge", |b| {
        b.iter(|| {
            at += 1000;
            model.observe(
                Moment::utc(Timestamp::from_millis(at)),
                black_box(next.next().copied().unwrap_or(0.0)),
            )
        });
    });

    let mut models = vec![SeriesModel::new(MetricKind::Gauge); 10_000];
    let mut index = 0;
    c.bench_function("SeriesModel::observe, 10,000 gauges in turn", |b| {
        b.iter(|| {
            index = (index + 1) % models.len();
            at += 1;
            models.get_mut(index).map(|model| {
                model.observe(
                    Moment::utc(Timestamp::from_millis(at)),
                    black_box(next.next().copied().unwrap_or(0.0)),
                )
            })
        });
    });
}

criterion_group!(benches, observe);
criterion_main!(benches);
