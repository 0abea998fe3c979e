//! What becomes of a change: the [`Alert`] that tells it.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Alert, AlertKind, AlertState, DeviceId, MetricId, Timestamp};

use crate::rule::RuleSpec;
use crate::state::Change;
use crate::subject::{Orphan, Series, Subject};
use crate::words::{self, Around};

/// A rule raised or cleared by a reading of `series`, or by the clock.
pub(crate) fn of_series(
    spec: &RuleSpec,
    device: DeviceId,
    (metric, around): (MetricId, &Around<'_>),
    change: &Change,
) -> Alert {
    let message = match change.state {
        AlertState::Raised => words::raised(around, &change.seen, &change.held, &spec.when),
        AlertState::Cleared => words::cleared(around.name, &change.held, change.has_settled(), &spec.when),
    };
    alert(spec, (device, Some(metric)), change, message)
}

/// What surrounds a reading, for its message.
pub(crate) fn around<'a>(subject: &Subject<'a>, unchanged: Duration) -> Around<'a> {
    Around { name: subject.metric_name, zone: subject.zone, unchanged }
}

/// The same where only the clock speaks.
pub(crate) fn around_series(series: &Series) -> Around<'_> {
    Around { name: &series.name, zone: None, unchanged: series.steady.length() }
}

/// A rule raised or cleared by a window of a device as a whole, or by the clock; `values` are those that make it odd.
pub(crate) fn of_device(spec: &RuleSpec, device: DeviceId, values: &str, change: &Change) -> Alert {
    let message = match change.state {
        AlertState::Raised => words::combination(values),
        AlertState::Cleared => words::combination_over(),
    };
    alert(spec, (device, None), change, message)
}

/// Somebody took note of it.
pub(crate) fn acknowledged(
    spec: &RuleSpec,
    of: (DeviceId, Option<MetricId>),
    hold: Duration,
    change: &Change,
) -> Alert {
    Alert { score: None, ..alert(spec, of, change, words::acknowledged(hold)) }
}

fn alert(
    spec: &RuleSpec,
    (device, metric): (DeviceId, Option<MetricId>),
    change: &Change,
    message: String,
) -> Alert {
    let Change { state, held, seen, since, at } = *change;
    let kind = held.cause.kind();
    let is_anomaly = kind == AlertKind::Anomaly;
    Alert {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind,
        state,
        severity: spec.severity,
        value: seen.value,
        score: is_anomaly.then_some(seen.score),
        oddity: seen.oddity.filter(|_| is_anomaly),
        expected: seen.expected.filter(|_| is_anomaly),
        since,
        at,
        message,
    }
}

/// Silence, begun or over; `since` is when it was raised.
pub(crate) fn silence(
    spec: &RuleSpec,
    (device, metric): (DeviceId, Option<MetricId>),
    state: AlertState,
    (since, at): (Timestamp, Timestamp),
    message: String,
) -> Alert {
    Alert {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind: AlertKind::Silent,
        state,
        severity: spec.severity,
        value: None,
        score: None,
        oddity: None,
        expected: None,
        since,
        at,
        message,
    }
}

/// An alert whose rule is gone is over.
pub(crate) fn farewell(orphan: Orphan, now: Timestamp) -> Alert {
    let message = words::rule_gone(&orphan.rule);
    Alert {
        rule: orphan.rule,
        device: orphan.device,
        metric: orphan.metric,
        kind: orphan.kind,
        state: AlertState::Cleared,
        severity: orphan.severity,
        value: None,
        score: None,
        oddity: None,
        expected: None,
        since: orphan.since,
        at: now,
        message,
    }
}
