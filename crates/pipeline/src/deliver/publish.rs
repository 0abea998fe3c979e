//! Brings the read model up to date with each step, and adds to its streams what is read.

use std::sync::Arc;

use gateway_core::{DeviceId, MetricId, MetricKind, Subject};
use read_model::{Description, Item, Kind, OpenAlert, ReadModel, SeriesDescription, Writer};
use serde::Serialize;

use record::Record;

use super::records::{self, Identity};
use crate::engine::registry::Registry;
use crate::engine::step::Step;
use crate::engine::{Engine, Outputs};

/// A reading as `tail readings` prints it and `replay` reads it.
#[derive(Debug, Serialize)]
struct ReadingLine<'a> {
    time: String,
    device: &'a str,
    metric: &'a str,
    value: f64,
}

/// What is known from the start: devices, and the alerts that are raised.
pub(crate) fn restored(model: &ReadModel, engine: &Engine) {
    let registry = engine.registry();
    let mut writer = model.write();
    add_devices(&mut writer, registry);
    for raised in engine.alerts.active_alerts() {
        let alert = OpenAlert {
            rule: Arc::clone(raised.rule),
            device: description(registry, raised.device).name,
            metric: raised.metric.map(|metric| metric_name(registry, metric)),
            kind: raised.kind,
            severity: raised.severity,
            since: raised.since,
            value: None,
            expected: None,
            limit: raised.limit,
            message: None,
            is_acknowledged: raised.is_acknowledged,
        };
        writer.raise(raised.device, raised.metric, alert);
    }
}

/// The changes of a step that the engine has taken. A reading too far ahead of the clock was refused: it is no value.
pub(crate) fn changes(model: &ReadModel, step: &Step, outputs: &Outputs, engine: &Engine) {
    let registry = engine.registry();
    if step.batches.is_empty() && step.settings.is_none() && outputs.alerts.is_empty() {
        return;
    }
    let mut writer = model.write();
    add_devices(&mut writer, registry);
    if step.settings.is_some() {
        let series_of = |device, metric| series_description(registry, device, metric);
        writer.describe_again(|device| description(registry, device), series_of);
    }
    for unit in &step.names.units {
        writer.unit(unit.device, unit.metric, unit_of(registry, unit.device, unit.metric));
    }
    let max_future = engine.settings().windows.max_future;
    for batch in &step.batches {
        let protocol = registry.adapter(batch.adapter).map(|adapter| Arc::from(adapter.kind()));
        let mut last = None;
        for reading in &batch.readings {
            let (device, metric) = (reading.device, reading.metric);
            let reading = reading.reading(step.now);
            if reading.at.since(step.now.at) > max_future {
                continue;
            }
            if last.replace(device) != Some(device) {
                writer.device_seen(device, step.now.at, protocol.as_ref());
            }
            let describe = || series_description(registry, device, metric);
            writer.value(device, metric, reading.value, reading.at, describe);
        }
    }
    for alert in &outputs.alerts {
        writer.alert(alert, alert.metric.map(|metric| metric_name(registry, metric)));
    }
}

/// The readings of a step and what came of it, for readers of the streams.
pub(crate) fn stream(
    model: &ReadModel,
    step: &Step,
    outputs: &Outputs,
    registry: &Registry,
    identity: &Identity,
) {
    if model.is_read(Kind::Reading) {
        stream_readings(model, step, registry);
    }
    if model.is_read(Kind::Alert) {
        stream_results(model, outputs, registry, identity);
    }
}

fn add_devices(writer: &mut Writer<'_>, registry: &Registry) {
    for index in writer.device_count()..registry.device_count() {
        writer.add_device(description(registry, DeviceId(index)));
    }
}

fn description(registry: &Registry, device: DeviceId) -> Description {
    let Some(known) = registry.device(device) else {
        return Description { name: "?".into(), zone: None, protocol: None };
    };
    let adapter = registry.adapter(known.adapter);
    Description {
        name: Arc::clone(&known.name),
        zone: known.zone.and_then(|zone| registry.zone(zone)).map(Arc::clone),
        protocol: adapter.map(|adapter| Arc::from(adapter.kind())),
    }
}

fn series_description(registry: &Registry, device: DeviceId, metric: MetricId) -> SeriesDescription {
    SeriesDescription {
        name: metric_name(registry, metric),
        unit: unit_of(registry, device, metric),
        kind: registry.metric(metric).map_or(MetricKind::Gauge, |metric| metric.kind),
    }
}

fn metric_name(registry: &Registry, metric: MetricId) -> Arc<str> {
    registry.metric(metric).map_or_else(|| "?".into(), |metric| Arc::clone(&metric.name))
}

fn unit_of(registry: &Registry, device: DeviceId, metric: MetricId) -> Option<Arc<str>> {
    registry.unit(device, metric).map(Arc::from)
}

fn stream_readings(model: &ReadModel, step: &Step, registry: &Registry) {
    for reading in step.batches.iter().flat_map(|batch| &batch.readings) {
        let device = registry.device_name(reading.device);
        let line = ReadingLine {
            time: reading.reading(step.now).at.to_string(),
            device,
            metric: registry.metric_name(reading.metric),
            value: reading.value,
        };
        send(model, Kind::Reading, device, serde_json::to_string(&line).unwrap_or_default());
    }
}

fn stream_results(model: &ReadModel, outputs: &Outputs, registry: &Registry, identity: &Identity) {
    for alert in &outputs.alerts {
        let name = registry.device_name(alert.device);
        send(model, Kind::Alert, name, unnumbered(&records::alert(alert, registry, identity)));
    }
    for closed in &outputs.aggregates {
        let aggregate = &closed.aggregate;
        let name = match aggregate.subject {
            Subject::Device(id) => registry.device_name(id),
            Subject::Zone(id) => registry.zone_name(id).unwrap_or("?"),
        };
        let json = unnumbered(&records::aggregate(aggregate, registry, identity));
        send(model, Kind::Aggregate, name, json);
    }
}

fn send(model: &ReadModel, kind: Kind, device: &str, json: String) {
    model.send(Item { kind, device: device.into(), json: json.into() });
}

/// The record as JSON. It has no number: only the outbox gives one.
pub fn unnumbered(record: &Record) -> String {
    String::from_utf8(record.to_json(None)).unwrap_or_default()
}
