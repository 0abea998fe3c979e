//! The alerts that are active, and how a person acknowledges anomalies.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Alert, AlertKind, AnomalyKind, DeviceId, MetricId, Now, Severity, Timestamp};

use crate::gate::Mute;
use crate::rule::{Rule, RuleSpec};
use crate::silence::Silence;
use crate::state::{Phase, RuleState};
use crate::{Alerts, alert_builder};

/// An alert that was raised and is not cleared yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveAlert<'a> {
    /// The rule's name.
    pub rule: &'a Arc<str>,
    pub device: DeviceId,
    /// None for the device as a whole.
    pub metric: Option<MetricId>,
    /// What raised it.
    pub kind: AlertKind,
    pub severity: Severity,
    /// When it was raised, in event time.
    pub since: Timestamp,
    /// The limit that the value passed; none where the kind of condition has none.
    pub limit: Option<f64>,
    /// Which detector found it; none for other alerts.
    pub anomaly_kind: Option<AnomalyKind>,
    /// Whether somebody took note of it.
    pub is_acknowledged: bool,
}

impl Alerts {
    /// The active alerts that were told, by device, then metric (the device as a whole first).
    pub fn active_alerts(&self) -> impl Iterator<Item = ActiveAlert<'_>> {
        self.conditions_that_hold().filter_map(|mut active| {
            if let Some(standing) = self.additions.gate.standing(active.rule, active.device, active.metric) {
                active.is_acknowledged = standing.is_acknowledged;
                (active.severity, active.since) = (standing.severity, standing.since);
                return standing.is_told.then_some(active);
            }
            Some(active)
        })
    }

    fn conditions_that_hold(&self) -> impl Iterator<Item = ActiveAlert<'_>> {
        let rules = &self.rules;
        (0..).map(DeviceId).zip(&self.devices).flat_map(move |(id, device)| {
            let expressions = self.additions.expressions.of(id);
            let whole = of(rules, (id, None), &device.silences, device.rule_states.iter().chain(expressions));
            let parts = device.series.iter().flat_map(move |series| {
                of(rules, (id, Some(series.metric)), &series.silences, series.rule_states.iter())
            });
            whole.chain(parts)
        })
    }

    /// Acknowledges the anomalies that are raised on `metric`, or on all metrics of the device: they are cleared, and the
    /// same anomaly is not raised again for `hold` from now on, unless it gets clearly worse.
    ///
    /// Alerts of other kinds stay until what raised them ends; that somebody took note is told, and ends their reminders.
    pub fn acknowledge(
        &mut self,
        device: DeviceId,
        metric: Option<MetricId>,
        hold: Duration,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        let noted: Vec<Alert> = self
            .active_alerts()
            .filter(|active| active.device == device && active.kind != AlertKind::Anomaly)
            .filter(|active| metric.is_none() || active.metric == metric)
            .map(|active| alert_builder::noted(&active, now.at))
            .collect();
        for alert in noted {
            if self.additions.gate.acknowledge(alert.clone(), now.at) {
                out.push(alert);
            }
        }
        let from = out.len();
        self.acknowledge_anomalies(device, metric, hold, now, out);
        self.additions.gate.pass(&self.rules, now.at, from, out);
    }

    /// Tells nobody of some alerts for a while, and then of those whose condition still holds. One with the same
    /// devices and rule takes the place of the one before; one that ends now takes it away. False where there are
    /// [`crate::MAX_MUTES`].
    pub fn mute(&mut self, mute: Mute, now: Now) -> bool {
        self.additions.gate.mute(mute, now.at)
    }

    /// Those in force.
    #[must_use]
    pub fn mutes(&self) -> &[Mute] {
        self.additions.gate.mutes()
    }

    fn acknowledge_anomalies(
        &mut self,
        device: DeviceId,
        metric: Option<MetricId>,
        hold: Duration,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        let Some(known) = self.devices.get_mut(device.0 as usize) else { return };
        let whole = metric.is_none().then_some((None, &mut known.rule_states));
        let parts = known
            .series
            .iter_mut()
            .filter(|series| metric.is_none_or(|metric| series.metric == metric))
            .map(|series| (Some(series.metric), &mut series.rule_states));
        for (metric, rule_states) in whole.into_iter().chain(parts) {
            for rule_state in rule_states {
                let Some(rule) = self.rules.get(rule_state.rule as usize) else { continue };
                if let Some(change) = rule_state.acknowledge(now.at + hold, now.at) {
                    out.push(alert_builder::acknowledged(rule.spec(), (device, metric), hold, &change));
                }
            }
        }
    }
}

/// Those of one device or series.
fn of<'a>(
    rules: &'a [Rule],
    (device, metric): (DeviceId, Option<MetricId>),
    silences: &'a [Silence],
    rule_states: impl Iterator<Item = &'a RuleState>,
) -> impl Iterator<Item = ActiveAlert<'a>> {
    let spec = |rule: u32| rules.get(rule as usize).map(Rule::spec);
    let raised = move |spec: &'a RuleSpec, kind, limit, since, anomaly_kind| {
        let (rule, severity) = (&spec.name, spec.severity);
        ActiveAlert {
            rule,
            device,
            metric,
            kind,
            severity,
            since,
            limit,
            anomaly_kind,
            is_acknowledged: false,
        }
    };
    let silent = silences.iter().filter_map(move |silence| {
        Some(raised(spec(silence.rule)?, AlertKind::Silent, None, silence.since?, None))
    });
    let rule_state = rule_states.filter_map(move |rule_state| match rule_state.phase {
        Phase::Raised { since, cause, anomaly_kind, .. } => {
            let spec = spec(rule_state.rule)?;
            Some(raised(spec, cause.kind(), cause.limit(&spec.when), since, anomaly_kind))
        }
        Phase::Normal | Phase::Pending(_) => None,
    });
    rule_state.chain(silent)
}
