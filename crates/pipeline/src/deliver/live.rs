//! What goes by, for whoever watches (`riser tail`, the demo): nothing is made where nobody does, and who is too slow
//! misses some, never holds the pipeline up.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Latest, LatestValue};
use serde::Serialize;
use tokio::sync::broadcast;

use super::payload::{self, Identity, Payload};
use crate::engine::Outputs;
use crate::engine::registry::Registry;
use crate::engine::step::Step;

/// How many items a slow watcher may lag behind before it misses some.
const LAG: usize = 4096;

/// What sort of thing goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Reading,
    Aggregate,
    Alert,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Aggregate => "aggregate",
            Self::Alert => "alert",
        }
    }
}

/// One thing that goes by.
#[derive(Debug, Clone)]
pub struct Item {
    pub kind: Kind,
    pub device: Arc<str>,
    /// One JSON object.
    pub json: Arc<str>,
}

/// Two streams: readings are many, so that who watches only what comes of them neither pays for them nor lags behind
/// them.
#[derive(Debug, Clone)]
pub struct LiveFeed {
    readings: broadcast::Sender<Item>,
    results: broadcast::Sender<Item>,
    latest: Latest,
}

impl Default for LiveFeed {
    fn default() -> Self {
        Self {
            readings: broadcast::channel(LAG).0,
            results: broadcast::channel(LAG).0,
            latest: Latest::default(),
        }
    }
}

/// A reading as `tail readings` prints it and `replay` reads it.
#[derive(Debug, Serialize)]
pub struct ReadingLine<'a> {
    pub time: String,
    pub device: &'a str,
    pub metric: &'a str,
    pub value: f64,
}

impl LiveFeed {
    /// Every reading.
    pub fn readings(&self) -> broadcast::Receiver<Item> {
        self.readings.subscribe()
    }

    /// Aggregates and alerts.
    pub fn results(&self) -> broadcast::Receiver<Item> {
        self.results.subscribe()
    }

    /// The newest values, for adapters that are asked for them.
    pub fn latest(&self) -> &Latest {
        &self.latest
    }

    /// Notes the newest values of a step; what is further ahead than `max_future` is refused, and so no value.
    pub fn note(&self, step: &Step, registry: &Registry, max_future: Duration) {
        if !self.latest.is_wanted() {
            return;
        }
        for reading in step.batches.iter().flat_map(|batch| &batch.readings) {
            let reading = reading.reading(step.now);
            if reading.at.since(step.now.at) > max_future {
                continue;
            }
            let unit = registry.unit(reading.device, reading.metric).map(Arc::from);
            let value = LatestValue { value: reading.value, at: reading.at, unit };
            self.latest.note(
                registry.device_name(reading.device),
                registry.metric_name(reading.metric),
                value,
            );
        }
    }

    /// Shows a step and what came of it.
    pub fn show(&self, step: &Step, outputs: &Outputs, registry: &Registry, identity: &Identity) {
        if self.readings.receiver_count() > 0 {
            self.show_readings(step, registry);
        }
        if self.results.receiver_count() > 0 {
            self.show_results(outputs, registry, identity);
        }
    }

    fn show_readings(&self, step: &Step, registry: &Registry) {
        for reading in step.batches.iter().flat_map(|batch| &batch.readings) {
            let device = registry.device_name(reading.device);
            let line = ReadingLine {
                time: reading.reading(step.now).at.to_string(),
                device,
                metric: registry.metric_name(reading.metric),
                value: reading.value,
            };
            send(&self.readings, Kind::Reading, device, serde_json::to_string(&line).unwrap_or_default());
        }
    }

    fn show_results(&self, outputs: &Outputs, registry: &Registry, identity: &Identity) {
        for alert in &outputs.alerts {
            let name = registry.device_name(alert.device);
            send(&self.results, Kind::Alert, name, unnumbered(payload::alert(alert, registry, identity)));
        }
        for closed in &outputs.aggregates {
            let aggregate = &closed.aggregate;
            let name = match aggregate.subject {
                gateway_core::Subject::Device(id) => registry.device_name(id),
                gateway_core::Subject::Zone(id) => registry.zone_name(id).unwrap_or("?"),
            };
            let json = unnumbered(payload::aggregate(aggregate, registry, identity));
            send(&self.results, Kind::Aggregate, name, json);
        }
    }
}

fn send(stream: &broadcast::Sender<Item>, kind: Kind, device: &str, json: String) {
    // Nobody left to see it is no error.
    let _ = stream.send(Item { kind, device: device.into(), json: json.into() });
}

/// Without the member that only the outbox can fill in.
pub fn unnumbered(payload: Payload) -> String {
    let Payload { mut json, seq_at, .. } = payload;
    const MEMBER: usize = b"\"seq\":".len();
    // `…,"seq":,"device":…` -> `…,"device":…`
    json.drain(seq_at.saturating_sub(MEMBER)..(seq_at + 1).min(json.len()));
    String::from_utf8(json).unwrap_or_default()
}
