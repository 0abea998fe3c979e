//! Builds the [`Alert`] for a transition of a rule: its fields and its message.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Alert, AlertKind, AlertState, DeviceId, MetricId, Timestamp};

use crate::active::ActiveAlert;
use crate::messages::{self, MessageContext};
use crate::rule::RuleSpec;
use crate::state::Transition;
use crate::subject::{OrphanedAlert, Series, Subject};

/// A rule raised or cleared by a reading of `series`, or by the clock.
pub(crate) fn of_series(
    spec: &RuleSpec,
    device: DeviceId,
    (metric, message_context): (MetricId, &MessageContext<'_>),
    change: &Transition,
) -> Alert {
    let message = match change.state {
        AlertState::Raised => {
            messages::raised(message_context, &change.observation, &change.condition, &spec.when)
        }
        AlertState::Cleared | AlertState::Acknowledged => {
            messages::cleared(message_context.name, &change.condition, change.has_settled(), &spec.when)
        }
    };
    alert(spec, (device, Some(metric)), change, message)
}

/// For the message about a reading.
pub(crate) fn context<'a>(subject: &Subject<'a>, unchanged: Duration) -> MessageContext<'a> {
    MessageContext { name: subject.metric_name, zone: subject.zone, unchanged }
}

/// For the message about an alert that the clock raised.
pub(crate) fn context_of_series(series: &Series) -> MessageContext<'_> {
    MessageContext { name: &series.name, zone: None, unchanged: series.unchanged.length() }
}

/// A rule raised or cleared by a window of a device as a whole, or by the clock; `values` are those that do not fit each other.
pub(crate) fn of_device(spec: &RuleSpec, device: DeviceId, values: &str, change: &Transition) -> Alert {
    let message = match change.state {
        AlertState::Raised => messages::combination(values),
        AlertState::Cleared | AlertState::Acknowledged => messages::combination_over(),
    };
    alert(spec, (device, None), change, message)
}

pub(crate) fn acknowledged(
    spec: &RuleSpec,
    of: (DeviceId, Option<MetricId>),
    hold: Duration,
    change: &Transition,
) -> Alert {
    Alert { score: None, ..alert(spec, of, change, messages::acknowledged(hold)) }
}

/// Somebody took note of an alert that stays raised.
pub(crate) fn noted(active: &ActiveAlert<'_>, now: Timestamp) -> Alert {
    Alert {
        rule: Arc::clone(active.rule),
        device: active.device,
        metric: active.metric,
        kind: active.kind,
        state: AlertState::Acknowledged,
        severity: active.severity,
        value: None,
        score: None,
        anomaly_kind: None,
        expected: None,
        since: active.since,
        at: now,
        message: "somebody took note; no more reminders".to_owned(),
        limit: None,
        notice: None,
    }
}

fn alert(
    spec: &RuleSpec,
    (device, metric): (DeviceId, Option<MetricId>),
    change: &Transition,
    message: String,
) -> Alert {
    let Transition { state, condition, observation, since, at } = *change;
    let kind = condition.cause.kind();
    let is_anomaly = kind == AlertKind::Anomaly;
    Alert {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind,
        state,
        severity: spec.severity,
        value: observation.value,
        score: is_anomaly.then_some(observation.score),
        anomaly_kind: observation.anomaly_kind.filter(|_| is_anomaly),
        expected: observation.expected.filter(|_| is_anomaly),
        since,
        at,
        message,
        limit: condition.cause.limit(&spec.when),
        notice: None,
    }
}

/// Silence that began or ended; `since` is when the alert was raised.
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
        anomaly_kind: None,
        expected: None,
        since,
        at,
        message,
        limit: None,
        notice: None,
    }
}

/// Clears an alert whose rule was removed.
pub(crate) fn rule_removed(orphan: OrphanedAlert, now: Timestamp) -> Alert {
    let message = messages::rule_gone(&orphan.rule);
    Alert {
        rule: orphan.rule,
        device: orphan.device,
        metric: orphan.metric,
        kind: orphan.kind,
        state: AlertState::Cleared,
        severity: orphan.severity,
        value: None,
        score: None,
        anomaly_kind: None,
        expected: None,
        since: orphan.since,
        at: now,
        message,
        limit: None,
        notice: None,
    }
}
