//! What the local history is handed of what the pipeline concludes.
//!
//! It is no part of the loss ledger, and nothing depends on it: its problems are logged, and the gateway goes on.

use std::time::Duration;

use gateway_core::{Alert, AlertState, MetricId, Subject, Summary};
use history::{AlertRow, Batch, Handle, ReadingRow, Row};
use tokio::time::Instant;

use super::publish::unnumbered;
use super::records::{self, Identity};
use crate::engine::messages::MessageReading;
use crate::engine::registry::Registry;
use crate::engine::{Closed, Outputs};

/// How long a start gives the disk to take what is made again after a crash.
const CAPACITY_TIMEOUT: Duration = Duration::from_secs(5);
/// Rows of that handed over at once.
const PORTION: usize = 1_000;

/// Readings that a start after a crash hands over again, at least: the history has written those before. It gathers 8,000, and
/// its memory holds fewer than these.
const READINGS_AGAIN: usize = 65_536;

/// Adds to `again` what the history keeps of the outputs of a step that is applied again. Memory for readings is bounded.
pub fn remember_again(
    history: &Handle,
    again: &mut Batch,
    outputs: &Outputs,
    registry: &Registry,
    identity: &Identity,
) {
    again.append(&mut batch(history, outputs, registry, identity));
    again.leave_newest_readings(READINGS_AGAIN);
}

/// What the history keeps of `outputs`. Readings come where a sink asks for them, too.
pub(crate) fn batch(history: &Handle, outputs: &Outputs, registry: &Registry, identity: &Identity) -> Batch {
    let readings: &[MessageReading] = if history.takes_readings() { &outputs.readings } else { &[] };
    Batch {
        windows: windows(outputs, registry),
        alerts: outputs.alerts.iter().map(|one| alert(one, registry, identity)).collect(),
        readings: readings.iter().map(|one| reading(one, registry)).collect(),
    }
}

/// The windows of devices; zones can be made of them.
fn windows(outputs: &Outputs, registry: &Registry) -> Vec<(Box<str>, Row)> {
    let one = |closed: &Closed| {
        let aggregate = &closed.aggregate;
        let Subject::Device(device) = aggregate.subject else { return None };
        let name =
            |(metric, summary): &(MetricId, Summary)| (registry.metric_name(*metric).into(), summary.into());
        let row = Row {
            start: aggregate.window.start,
            end: aggregate.window.end,
            revision: aggregate.revision,
            metrics: aggregate.metrics.iter().map(name).collect(),
        };
        Some((registry.device_name(device).into(), row))
    };
    outputs.aggregates.iter().filter_map(one).collect()
}

fn alert(alert: &Alert, registry: &Registry, identity: &Identity) -> AlertRow {
    AlertRow {
        device: registry.device_name(alert.device).into(),
        rule: (*alert.rule).into(),
        metric: alert.metric.map(|metric| registry.metric_name(metric).into()),
        since: alert.since,
        at: alert.at,
        is_cleared: alert.state == AlertState::Cleared,
        payload: unnumbered(&records::alert(alert, registry, identity)).into(),
    }
}

fn reading(reading: &MessageReading, registry: &Registry) -> ReadingRow {
    let named = |(metric, value): &(MetricId, f64)| (registry.metric_name(*metric).into(), *value);
    ReadingRow {
        device: registry.device_name(reading.device).into(),
        at: reading.at,
        number: reading.number,
        values: reading.values.iter().map(named).collect(),
    }
}

/// Hands over what was made again after a crash. What is there already stays as it is.
pub async fn repeat(history: &Handle, mut batch: Batch) {
    let until = Instant::now() + CAPACITY_TIMEOUT;
    while !batch.is_empty() {
        history.record_until(batch.take(PORTION), until).await;
    }
    history.flush();
}

/// What is wrong with it at the moment, for people.
pub fn problem(history: &Handle) -> Option<String> {
    let status = history.status();
    let status = status.borrow();
    status.trouble.as_ref().map(|trouble| format!("history: {trouble}"))
}
