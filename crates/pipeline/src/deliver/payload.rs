//! Aggregates and alerts as the JSON that the cloud reads (INTERFACE "Upstream topics").

use gateway_core::{Aggregate, Alert, Detail, Subject, Summary, Window, topic};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::engine::registry::Registry;

/// Who this gateway is to the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `gateway.id`.
    pub id: String,
    /// `gateway.prefix`.
    pub prefix: String,
}

/// A payload that still lacks its sequence number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    pub topic: String,
    pub json: Vec<u8>,
    /// Where in `json` the sequence number belongs, in decimal.
    pub seq_at: usize,
}

impl Payload {
    /// The whole, with its number: what the outbox makes of it.
    #[cfg(test)]
    pub fn numbered(mut self, seq: u64) -> Vec<u8> {
        self.json.splice(self.seq_at..self.seq_at, seq.to_string().into_bytes());
        self.json
    }
}

/// One aggregate.
pub fn aggregate(aggregate: &Aggregate, registry: &Registry, identity: &Identity) -> Payload {
    let subject = Named::of(aggregate.subject, registry);
    let Window { start, end } = aggregate.window;
    let id = format!(
        "{}/{}/{}/{}",
        identity.id,
        subject.in_id(),
        start.as_millis(),
        aggregate.window.length().as_millis()
    );
    let body = AggregateBody {
        device: subject.device,
        zone: subject.zone,
        protocol: subject.protocol,
        window: WindowBody { start: start.to_string(), end: end.to_string() },
        metrics: Metrics { metrics: aggregate, registry },
        revision: aggregate.revision,
        late: aggregate.late,
        time_quality: aggregate.time_quality.as_str(),
    };
    let prefix = &identity.prefix;
    let topic = match (subject.device, subject.zone) {
        (Some(device), _) => format!("{prefix}/sensors/{}/aggregated", topic::level(device)),
        (None, zone) => format!("{prefix}/zones/{}/aggregated", topic::levels(zone.unwrap_or("?"))),
    };
    join(topic, &id, identity, &body)
}

/// One alert, raised or cleared.
pub fn alert(alert: &Alert, registry: &Registry, identity: &Identity) -> Payload {
    let subject = Named::of(Subject::Device(alert.device), registry);
    let device = subject.device.unwrap_or("?");
    let metric = alert.metric.map(|metric| registry.metric_name(metric));
    let id = format!(
        "{}/alerts/{}/{device}/{}/{}/{}",
        identity.id,
        alert.rule,
        metric.unwrap_or("-"),
        alert.since.as_millis(),
        alert.state.as_str()
    );
    let body = AlertBody {
        device,
        zone: subject.zone,
        metric,
        alert: &alert.rule,
        kind: alert.kind.as_str(),
        state: alert.state.as_str(),
        severity: alert.severity.as_str(),
        value: alert.value,
        score: alert.score,
        detector: alert.anomaly_kind.map(gateway_core::AnomalyKind::as_str),
        expected: alert.expected.filter(|(low, high)| low.is_finite() && high.is_finite()),
        time: alert.at.to_string(),
        since: alert.since.to_string(),
        message: &alert.message,
    };
    join(format!("{}/alerts/{}", identity.prefix, topic::level(device)), &id, identity, &body)
}

/// `{"id":…,"gateway":…,"seq":` + (the number) + `,` + the body's members + `}`.
fn join(topic: String, id: &str, identity: &Identity, body: &impl Serialize) -> Payload {
    #[derive(Serialize)]
    struct Head<'a> {
        id: &'a str,
        gateway: &'a str,
    }
    let mut json = to_json(&Head { id, gateway: &identity.id });
    json.pop();
    json.extend_from_slice(b",\"seq\":");
    let seq_at = json.len();
    json.push(b',');
    json.extend_from_slice(to_json(body).get(1..).unwrap_or(b"}"));
    Payload { topic, json, seq_at }
}

/// Writing these structs into memory cannot fail: no map has keys that are not text.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec())
}

/// A subject's names.
struct Named<'a> {
    device: Option<&'a str>,
    zone: Option<&'a str>,
    protocol: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn of(subject: Subject, registry: &'a Registry) -> Self {
        match subject {
            Subject::Device(id) => {
                let device = registry.device(id);
                Self {
                    device: Some(registry.device_name(id)),
                    zone: device.and_then(|device| device.zone).and_then(|zone| registry.zone_name(zone)),
                    protocol: device
                        .and_then(|d| registry.adapter(d.adapter))
                        .map(gateway_core::AdapterId::kind),
                }
            }
            Subject::Zone(id) => Self { device: None, zone: registry.zone_name(id), protocol: None },
        }
    }

    fn in_id(&self) -> String {
        match (self.device, self.zone) {
            // A device may not be mistaken for a zone.
            (Some(device), _) => match device.strip_prefix("zones/") {
                Some(rest) => format!("zones%2F{rest}"),
                None => device.to_owned(),
            },
            (None, zone) => format!("zones/{}", zone.unwrap_or("?")),
        }
    }
}

#[derive(Serialize)]
struct AggregateBody<'a> {
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

#[derive(Serialize)]
struct AlertBody<'a> {
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
    time: String,
    since: String,
    message: &'a str,
}

/// `{"temperature":{…},…}`
struct Metrics<'a> {
    metrics: &'a Aggregate,
    registry: &'a Registry,
}

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.metrics.metrics.len()))?;
        for (id, summary) in &self.metrics.metrics {
            let unit = match self.metrics.subject {
                Subject::Device(device) => self.registry.unit(device, *id),
                Subject::Zone(_) => self.registry.unit_of_name(*id),
            };
            map.serialize_entry(self.registry.metric_name(*id), &SummaryBody { summary, unit })?;
        }
        map.end()
    }
}

struct SummaryBody<'a> {
    summary: &'a Summary,
    unit: Option<&'a str>,
}

impl Serialize for SummaryBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Summary { avg, min, max, std, count, percentiles, detail } = self.summary;
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
        if let Some(unit) = self.unit {
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
