//! What judging one window of a device costs: `cargo bench -p anomaly --bench combination`.

use std::hint::black_box;

use anomaly::multivariate::{Windows, fit};
use criterion::{Criterion, criterion_group, criterion_main};
use gateway_core::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Eight metrics in two modes, so that a mixture is picked.
fn window(rng: &mut StdRng) -> [f64; 8] {
    let mode = f64::from(u8::from(rng.random::<f64>() < 0.4)) * 10.0;
    NAMES.map(|_| mode + rng.random::<f64>())
}

fn judge(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut windows = Windows::default();
    for index in 0..1_000 {
        let (start, end) =
            (Timestamp::from_millis(index * 300_000), Timestamp::from_millis((index + 1) * 300_000));
        windows.push(start, end, NAMES.into_iter().zip(window(&mut rng)));
    }
    let Ok(fitted) = fit(windows, |_| {}) else { return };
    let values = window(&mut rng);
    let average_of =
        |name: &str| NAMES.iter().zip(values).find(|(known, _)| **known == name).map(|(_, value)| value);
    c.bench_function(&format!("Model::judge, 8 metrics, {}", fitted.model.shape()), |b| {
        b.iter(|| black_box(fitted.model.judge(black_box(average_of))));
    });
    let half = |name: &str| average_of(name).filter(|_| name < "f");
    c.bench_function("Model::judge, 5 of 8 metrics", |b| {
        b.iter(|| black_box(fitted.model.judge(black_box(half))));
    });
}

criterion_group!(benches, judge);
criterion_main!(benches);
