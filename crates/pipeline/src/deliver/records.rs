//! Aggregates, alerts and readings as records: with names instead of the registry's numbers.

use gateway_core::{AdapterId, Aggregate, Alert, DeviceId, Subject};
use record::{Metric, Record};

use crate::engine::messages::MessageReading;
use crate::engine::registry::Registry;

/// Who this gateway is to the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `gateway.id`.
    pub id: String,
    /// `gateway.prefix`.
    pub prefix: String,
}

/// One aggregate.
pub fn aggregate(aggregate: &Aggregate, registry: &Registry, identity: &Identity) -> Record {
    let metrics = aggregate.metrics.iter().map(|(id, summary)| {
        let unit = match aggregate.subject {
            Subject::Device(device) => registry.unit(device, *id),
            Subject::Zone(_) => registry.unit_of_name(*id),
        };
        Metric {
            name: registry.metric_name(*id).to_owned(),
            unit: unit.map(str::to_owned),
            summary: summary.clone(),
        }
    });
    Record::Aggregate(record::Aggregate {
        gateway: identity.id.clone(),
        subject: subject(aggregate.subject, registry),
        window: aggregate.window,
        metrics: metrics.collect(),
        revision: aggregate.revision,
        late: aggregate.late,
        time_quality: aggregate.time_quality,
    })
}

/// One alert, raised or cleared.
pub fn alert(alert: &Alert, registry: &Registry, identity: &Identity) -> Record {
    Record::Alert(record::Alert {
        gateway: identity.id.clone(),
        device: registry.device_name(alert.device).to_owned(),
        zone: zone(alert.device, registry),
        protocol: protocol(alert.device, registry),
        metric: alert.metric.map(|metric| registry.metric_name(metric).to_owned()),
        rule: alert.rule.to_string(),
        kind: alert.kind,
        state: alert.state,
        severity: alert.severity,
        value: alert.value,
        score: alert.score,
        anomaly_kind: alert.anomaly_kind,
        expected: alert.expected,
        since: alert.since,
        at: alert.at,
        message: alert.message.clone(),
        limit: alert.limit,
        notice: alert.notice,
    })
}

/// What one message said of a device at a time.
pub fn reading(reading: &MessageReading, registry: &Registry, identity: &Identity) -> Record {
    let named = |(metric, value): &(_, f64)| (registry.metric_name(*metric).to_owned(), *value);
    Record::Reading(record::Reading {
        gateway: identity.id.clone(),
        device: registry.device_name(reading.device).to_owned(),
        zone: zone(reading.device, registry),
        protocol: protocol(reading.device, registry),
        time: reading.at,
        number: reading.number,
        same_time: reading.same_time,
        metrics: reading.values.iter().map(named).collect(),
    })
}

fn subject(subject: Subject, registry: &Registry) -> record::Subject {
    match subject {
        Subject::Device(id) => record::Subject::Device {
            name: registry.device_name(id).to_owned(),
            zone: zone(id, registry),
            protocol: protocol(id, registry),
        },
        Subject::Zone(id) => record::Subject::Zone { name: registry.zone_name(id).unwrap_or("?").to_owned() },
    }
}

fn protocol(device: DeviceId, registry: &Registry) -> Option<String> {
    let adapter = registry.adapter(registry.device(device)?.adapter)?;
    Some(AdapterId::kind(adapter).to_owned())
}

fn zone(device: DeviceId, registry: &Registry) -> Option<String> {
    let zone = registry.device(device)?.zone?;
    registry.zone_name(zone).map(str::to_owned)
}
