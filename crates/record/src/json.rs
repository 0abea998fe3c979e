//! Records as the JSON of the cloud's topics.

use gateway_core::{AnomalyKind, Detail, Notice, Summary};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::{Aggregate, Alert, Metric, Reading, Record};

impl Record {
    /// The record as a JSON object. `seq` is the number that the outbox gave it; `None` leaves the member out. Readings
    /// never have it.
    #[must_use]
    pub fn to_json(&self, seq: Option<u64>) -> Vec<u8> {
        match self {
            Self::Aggregate(aggregate) => to_json(&aggregate_body(aggregate, seq)),
            Self::Alert(alert) => to_json(&alert_body(alert, seq)),
            Self::Reading(reading) => to_json(&reading_body(reading)),
        }
    }
}

/// Writing these structs into memory cannot fail: no map has keys that are not text.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => bytes,
        Err(_) => b"{}".to_vec(),
    }
}

#[derive(Serialize)]
struct AggregateBody<'a> {
    id: String,
    gateway: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    window: WindowBody,
    metrics: Metrics<'a>,
    revision: u32,
    late: u32,
    time_quality: &'static str,
}

#[derive(Serialize)]
struct WindowBody {
    start: String,
    end: String,
}

fn aggregate_body(aggregate: &Aggregate, seq: Option<u64>) -> AggregateBody<'_> {
    let Aggregate { gateway, subject, window, metrics, revision, late, time_quality } = aggregate;
    AggregateBody {
        id: aggregate.id(),
        gateway,
        seq,
        device: subject.device(),
        zone: subject.zone(),
        protocol: subject.protocol(),
        window: WindowBody { start: window.start.to_string(), end: window.end.to_string() },
        metrics: Metrics(metrics),
        revision: *revision,
        late: *late,
        time_quality: time_quality.as_str(),
    }
}

#[derive(Serialize)]
struct AlertBody<'a> {
    id: String,
    gateway: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<&'a str>,
    alert: &'a str,
    kind: &'static str,
    state: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    /// Which detector found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detector: Option<&'static str>,
    /// Lowest and highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<(f64, f64)>,
    /// What the value passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    /// The first, second … time that it is told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    reminder: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    escalated: bool,
    time: String,
    since: String,
    message: &'a str,
}

fn alert_body(alert: &Alert, seq: Option<u64>) -> AlertBody<'_> {
    AlertBody {
        id: alert.id(),
        gateway: &alert.gateway,
        seq,
        device: &alert.device,
        zone: alert.zone.as_deref(),
        metric: alert.metric.as_deref(),
        alert: &alert.rule,
        kind: alert.kind.as_str(),
        state: alert.state.as_str(),
        severity: alert.severity.as_str(),
        value: alert.value,
        score: alert.score,
        detector: alert.anomaly_kind.map(AnomalyKind::as_str),
        expected: alert.expected.filter(|(low, high)| low.is_finite() && high.is_finite()),
        limit: alert.limit,
        reminder: match alert.notice {
            Some(Notice::Reminder(number)) => Some(number),
            Some(Notice::Escalated) | None => None,
        },
        escalated: alert.notice == Some(Notice::Escalated),
        time: alert.at.to_string(),
        since: alert.since.to_string(),
        message: &alert.message,
    }
}

#[derive(Serialize)]
struct ReadingBody<'a> {
    id: String,
    gateway: &'a str,
    device: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<&'a str>,
    time: String,
    metrics: Values<'a>,
}

fn reading_body(reading: &Reading) -> ReadingBody<'_> {
    ReadingBody {
        id: reading.id(),
        gateway: &reading.gateway,
        device: &reading.device,
        zone: reading.zone.as_deref(),
        protocol: reading.protocol.as_deref(),
        time: reading.time.to_string(),
        metrics: Values(&reading.metrics),
    }
}

/// `{"temperature":21.5,…}`
struct Values<'a>(&'a [(String, f64)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// `{"temperature":{…},…}`
struct Metrics<'a>(&'a [Metric]);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|metric| (&metric.name, SummaryBody(metric))))
    }
}

struct SummaryBody<'a>(&'a Metric);

impl Serialize for SummaryBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Summary { avg, min, max, std, count, percentiles, detail } = &self.0.summary;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("avg", avg)?;
        map.serialize_entry("min", min)?;
        map.serialize_entry("max", max)?;
        map.serialize_entry("std", std)?;
        map.serialize_entry("count", count)?;
        for (percent, value) in percentiles {
            map.serialize_entry(&format!("p{percent}"), value)?;
        }
        match detail {
            Detail::Gauge { first, last } => {
                map.serialize_entry("first", first)?;
                map.serialize_entry("last", last)?;
            }
            Detail::Counter { delta, rate, resets } => {
                map.serialize_entry("delta", delta)?;
                map.serialize_entry("rate", rate)?;
                map.serialize_entry("resets", resets)?;
            }
            Detail::State { last, changes, duration } => {
                map.serialize_entry("last", last)?;
                map.serialize_entry("changes", changes)?;
                map.serialize_entry("duration", &Durations(duration))?;
            }
        }
        if let Some(unit) = &self.0.unit {
            map.serialize_entry("unit", unit)?;
        }
        map.end()
    }
}

/// `{"0":12.5,"1":47.5}`: value -> seconds.
struct Durations<'a>(&'a [(f64, f64)]);

impl Serialize for Durations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(value, seconds)| (value.to_string(), seconds)))
    }
}
