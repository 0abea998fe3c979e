//! `/metrics` in OpenMetrics 1.0. The families are listed once, in [`FAMILIES`]; docs/metrics.md is made of that list.
//!
//! Everything is a snapshot of what `health` says too, so there is nothing to register and count along: the text is
//! written by hand.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use gateway_core::Severity;
use pipeline::observe::health::Health;
use read_model::ReadModel;

use crate::extract::Viewer;
use crate::problem::Problem;
use crate::state::App;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One family of metrics.
pub struct Family {
    /// Without `_total`.
    pub name: &'static str,
    /// `counter`, `gauge` or `info`.
    pub kind: &'static str,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

const fn family(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind, labels, help }
}

/// All families, in the order of the answer.
pub const FAMILIES: &[Family] = &[
    family("riser_build", "info", &["version"], "The version that runs."),
    family("riser_uptime_seconds", "gauge", &[], "Since the process was started."),
    family("riser_clock_synced", "gauge", &[], "1 if the machine's clock is set."),
    family("riser_problems", "gauge", &[], "Things that are wrong at the moment."),
    family("riser_readings", "counter", &["adapter"], "Readings that came in."),
    family(
        "riser_readings_published",
        "counter",
        &["adapter"],
        "Readings in what the cloud has acknowledged.",
    ),
    family("riser_readings_dropped", "counter", &["adapter", "reason"], "Readings that were given up."),
    family("riser_readings_queued", "gauge", &["adapter"], "Readings in what waits to be sent."),
    family("riser_readings_open", "gauge", &["adapter"], "Readings in windows that are not closed yet."),
    family("riser_ledger_balanced", "gauge", &[], "1 if every reading is accounted for."),
    family("riser_adapter_up", "gauge", &["adapter"], "1 if the adapter works."),
    family("riser_adapter_restarts", "counter", &["adapter"], "Restarts after a failure."),
    family("riser_adapter_actions", "counter", &["adapter", "outcome"], "Actions of alerts: done or failed."),
    family(
        "riser_adapter_figure",
        "gauge",
        &["adapter", "figure"],
        "What the adapter counts itself, as in `health`.",
    ),
    family("riser_sink_up", "gauge", &["sink"], "1 if the last attempt to write succeeded."),
    family("riser_sink_delivered_records", "counter", &["sink"], "Records that the sink has acknowledged."),
    family("riser_sink_dropped_records", "counter", &["sink"], "Records that were given up for this sink."),
    family("riser_sink_queued_records", "gauge", &["sink"], "Records that wait for this sink."),
    family("riser_sink_queued_bytes", "gauge", &["sink"], "About what they take on the disk."),
    family("riser_sink_lag_seconds", "gauge", &["sink"], "How long the oldest of them has been waiting."),
    family("riser_upstream_connected", "gauge", &[], "1 if the cloud is connected."),
    family("riser_upstream_published_messages", "counter", &[], "Messages that the cloud has acknowledged."),
    family("riser_devices", "gauge", &["state"], "Devices: known, and heard since the start."),
    family("riser_alerts_open", "gauge", &["severity"], "Alerts that are raised and not cleared."),
    family("riser_memory_resident_bytes", "gauge", &[], "Memory of the process."),
    family("riser_disk_written_bytes", "counter", &[], "Written to the disk since the start."),
    family("riser_http_streams", "gauge", &[], "Browsers that follow the live stream."),
];

/// The gateway's metrics, for Prometheus and others.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text"),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn metrics(State(app): State<Arc<App>>, _: Viewer) -> Result<Response, Problem> {
    let drawn = app.overviews.now().await;
    let drawn = drawn.ok_or_else(|| Problem::unavailable("the gateway is stopping"))?;
    let text = text(&drawn.health, &app.sources.read_model, app.live.followers());
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text).into_response())
}

/// The whole text.
fn text(health: &Health, model: &ReadModel, streams: usize) -> String {
    let mut out = String::with_capacity(8192);
    for family in FAMILIES {
        let Family { name, kind, help, .. } = family;
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}");
        let suffix = match *kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let mut sample = |values: &[&str], value: f64| {
            let labels: Vec<String> = family
                .labels
                .iter()
                .zip(values)
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{name}{suffix}{labels} {value}");
        };
        samples(name, health, model, streams, &mut sample);
    }
    out.push_str("# EOF\n");
    out
}

type Sample<'a> = &'a mut dyn FnMut(&[&str], f64);

#[expect(clippy::cast_precision_loss, reason = "OpenMetrics has floats only")]
fn samples(name: &str, health: &Health, model: &ReadModel, streams: usize, sample: Sample<'_>) {
    match name {
        "riser_build" => sample(&[health.version], 1.0),
        "riser_uptime_seconds" => sample(&[], health.uptime as f64),
        "riser_clock_synced" => sample(&[], flag(health.time_quality == "synced")),
        "riser_problems" => sample(&[], health.problems.len() as f64),
        "riser_ledger_balanced" => sample(&[], flag(health.ledger.balanced)),
        "riser_upstream_connected" | "riser_upstream_published_messages" => {
            let Some(upstream) = &health.upstream else { return };
            let is_state = name == "riser_upstream_connected";
            sample(&[], if is_state { flag(upstream.connected) } else { upstream.published as f64 });
        }
        "riser_devices" => {
            let devices = model.devices();
            sample(&["known"], devices.len() as f64);
            sample(&["heard"], devices.iter().filter(|device| device.last_heard.is_some()).count() as f64);
        }
        "riser_alerts_open" => {
            let alerts = model.alerts();
            for severity in [Severity::Info, Severity::Warning, Severity::Critical] {
                let open = alerts.iter().filter(|alert| alert.severity == severity).count();
                sample(&[severity.as_str()], open as f64);
            }
        }
        "riser_memory_resident_bytes" => sample(&[], health.memory.resident as f64),
        "riser_disk_written_bytes" => {
            if let Some(disk) = &health.disk {
                sample(&[], disk.bytes as f64);
            }
        }
        "riser_http_streams" => sample(&[], streams as f64),
        _ if name.starts_with("riser_readings") => readings(name, health, sample),
        _ if name.starts_with("riser_adapter") => adapters(name, health, sample),
        _ => sinks(name, health, sample),
    }
}

#[expect(clippy::cast_precision_loss, reason = "OpenMetrics has floats only")]
fn readings(name: &str, health: &Health, sample: Sample<'_>) {
    for (adapter, row) in &health.ledger.adapters {
        match name {
            "riser_readings" => sample(&[adapter], row.taken as f64),
            "riser_readings_published" => sample(&[adapter], row.published as f64),
            "riser_readings_queued" => sample(&[adapter], row.queued as f64),
            "riser_readings_open" => sample(&[adapter], row.open as f64),
            _ => row.dropped.iter().for_each(|(reason, count)| sample(&[adapter, reason], *count as f64)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "OpenMetrics has floats only")]
fn adapters(name: &str, health: &Health, sample: Sample<'_>) {
    for (adapter, one) in &health.adapters {
        match name {
            "riser_adapter_up" => sample(&[adapter], flag(one.state == "up")),
            "riser_adapter_restarts" => sample(&[adapter], f64::from(one.restarts)),
            "riser_adapter_actions" => {
                sample(&[adapter, "done"], one.actions.done as f64);
                sample(&[adapter, "failed"], one.actions.failed as f64);
            }
            _ => one.figures.iter().for_each(|(figure, value)| sample(&[adapter, figure], *value as f64)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "OpenMetrics has floats only")]
fn sinks(name: &str, health: &Health, sample: Sample<'_>) {
    for (sink, records) in &health.sinks {
        let value = match name {
            "riser_sink_up" => flag(records.last_error.is_none()),
            "riser_sink_delivered_records" => records.delivered as f64,
            "riser_sink_dropped_records" => records.dropped as f64,
            "riser_sink_queued_records" => records.queued as f64,
            "riser_sink_queued_bytes" => records.bytes as f64,
            _ => records.lag_s.unwrap_or(0) as f64,
        };
        sample(&[sink], value);
    }
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// A label's value (OpenMetrics 1.0, section 5).
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// docs/metrics.md.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# Metrics\n\n\
         Generated by `riser config metrics` from the code; do not edit.\n\n\
         `/metrics` of `[http]` answers in OpenMetrics 1.0. Where there is a password, Prometheus needs a token\n\
         (`[http.tokens.prometheus]`) as `authorization: credentials_file`. `packaging/grafana/riser.json` is a dashboard for them.\n\n\
         | name | type | labels | |\n|---|---|---|---|\n",
    );
    for Family { name, kind, labels, help } in FAMILIES {
        let suffix = match *kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(out, "| `{name}{suffix}` | {kind} | {} | {help} |", labels.join(", "));
    }
    out
}
