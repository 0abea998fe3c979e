//! What a batch of readings costs the pipeline: 1,000 devices with 3 metrics each, alone, with a follower, and with a
//! reader that holds all devices.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway_core::{DeviceId, MetricId, MetricKind, Timestamp};
use read_model::{Description, ReadModel, SeriesDescription};

const DEVICES: u32 = 1_000;
const METRICS: u32 = 3;
/// Readings of a batch.
const BATCH: u32 = 300;

fn model() -> ReadModel {
    let model = ReadModel::default();
    let mut writer = model.write();
    for index in 0..DEVICES {
        writer.add_device(Description { name: format!("d{index}").into(), zone: None, protocol: None });
    }
    drop(writer);
    for first in (0..DEVICES * METRICS).step_by(BATCH as usize) {
        publish(&model, first, 0);
    }
    model
}

fn publish(model: &ReadModel, first: u32, millis: i64) {
    let mut writer = model.write();
    let now = Timestamp::from_millis(millis);
    for number in first..first + BATCH {
        let (device, metric) = (DeviceId(number / METRICS % DEVICES), MetricId(number % METRICS));
        if metric.0 == 0 {
            writer.device_seen(device, now, None);
        }
        let describe = || SeriesDescription {
            name: format!("m{}", metric.0).into(),
            unit: None,
            kind: MetricKind::Gauge,
        };
        writer.value(device, metric, f64::from(number), now, describe);
    }
}

fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    let model = model();
    let mut number = 0;
    let mut millis = 0;
    let mut batch = |model: &ReadModel| {
        (number, millis) = ((number + BATCH) % (DEVICES * METRICS), millis + 1);
        publish(model, number, millis);
    };
    group.bench_function("alone", |bencher| bencher.iter(|| batch(&model)));
    group.bench_function("read", |bencher| {
        bencher.iter_batched(
            || model.devices(),
            |held| {
                batch(&model);
                held
            },
            criterion::BatchSize::SmallInput,
        );
    });
    let _follower = model.follow();
    group.bench_function("followed", |bencher| bencher.iter(|| batch(&model)));
    group.finish();
}

criterion_group!(benches, run);
criterion_main!(benches);
