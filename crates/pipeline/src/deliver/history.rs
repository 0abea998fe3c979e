//! What the local history is handed of what the pipeline concludes.
//!
//! It is no part of the loss ledger, and nothing depends on it: its problems are logged, and the gateway goes on.

use std::time::Duration;

use gateway_core::{MetricId, Subject, Summary};
use history::{Handle, Row};
use tokio::time::Instant;

use crate::engine::registry::Registry;
use crate::engine::{Closed, Outputs};

/// How long a start gives the disk to take what is made again after a crash.
const CAPACITY_TIMEOUT: Duration = Duration::from_secs(5);
/// Windows of that handed over at once.
const PORTION: usize = 1_000;

/// The windows of devices in `outputs`; zones can be made of them.
pub fn windows(outputs: &Outputs, registry: &Registry) -> Vec<(Box<str>, Row)> {
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

/// Hands over what was made again after a crash. What is there already stays as it is.
pub async fn repeat(history: &Handle, mut windows: Vec<(Box<str>, Row)>) {
    let until = Instant::now() + CAPACITY_TIMEOUT;
    while !windows.is_empty() {
        let later = windows.split_off(PORTION.min(windows.len()));
        history.record_until(std::mem::replace(&mut windows, later), until).await;
    }
    history.flush();
}

/// What is wrong with it at the moment, for people.
pub fn problem(history: &Handle) -> Option<String> {
    let status = history.status();
    let status = status.borrow();
    status.trouble.as_ref().map(|trouble| format!("history: {trouble}"))
}
