//! The alerts that are out, and somebody taking note of them.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Alert, AlertKind, DeviceId, MetricId, Now, Oddity, Severity, Timestamp};

use crate::rule::{Rule, RuleSpec};
use crate::silence::Silence;
use crate::state::{Phase, Standing};
use crate::{Alerts, telling};

/// An alert that is out.
#[derive(Debug, Clone, PartialEq)]
pub struct Raised<'a> {
    /// The rule's name.
    pub rule: &'a Arc<str>,
    /// Which device.
    pub device: DeviceId,
    /// Which metric; none of a device as a whole.
    pub metric: Option<MetricId>,
    /// What sort.
    pub kind: AlertKind,
    /// How bad.
    pub severity: Severity,
    /// When it was raised, in event time.
    pub since: Timestamp,
    /// Of an anomaly: in which way it was odd.
    pub oddity: Option<Oddity>,
}

impl Alerts {
    /// The alerts that are out, by device, then metric (the device as a whole first).
    pub fn raised(&self) -> impl Iterator<Item = Raised<'_>> {
        let rules = &self.rules;
        (0..).map(DeviceId).zip(&self.devices).flat_map(move |(id, device)| {
            let whole = of(rules, (id, None), &device.silences, &device.standings);
            let parts = device.series.iter().flat_map(move |series| {
                of(rules, (id, Some(series.metric)), &series.silences, &series.standings)
            });
            whole.chain(parts)
        })
    }

    /// Somebody has taken note of the anomalies that are raised on `metric`, or on everything of the device: they are
    /// cleared, and the same thing, unless it gets clearly worse, is not raised again for `hold` from now on.
    ///
    /// Alerts of other kinds stay: they end when what raised them does.
    pub fn acknowledge(
        &mut self,
        device: DeviceId,
        metric: Option<MetricId>,
        hold: Duration,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        let Some(known) = self.devices.get_mut(device.0 as usize) else { return };
        let whole = metric.is_none().then_some((None, &mut known.standings));
        let parts = known
            .series
            .iter_mut()
            .filter(|series| metric.is_none_or(|metric| series.metric == metric))
            .map(|series| (Some(series.metric), &mut series.standings));
        for (metric, standings) in whole.into_iter().chain(parts) {
            for standing in standings {
                let Some(rule) = self.rules.get(standing.rule as usize) else { continue };
                if let Some(change) = standing.acknowledge(now.at + hold, now.at) {
                    out.push(telling::acknowledged(rule.spec(), (device, metric), hold, &change));
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
    standings: &'a [Standing],
) -> impl Iterator<Item = Raised<'a>> {
    let spec = |rule: u32| rules.get(rule as usize).map(Rule::spec);
    let raised = move |spec: &'a RuleSpec, kind, since, oddity| {
        let (rule, severity) = (&spec.name, spec.severity);
        Raised { rule, device, metric, kind, severity, since, oddity }
    };
    let silent = silences.iter().filter_map(move |silence| {
        Some(raised(spec(silence.rule)?, AlertKind::Silent, silence.since?, None))
    });
    let standing = standings.iter().filter_map(move |standing| match standing.phase {
        Phase::Raised { since, cause, oddity, .. } => {
            Some(raised(spec(standing.rule)?, cause.kind(), since, oddity))
        }
        Phase::Calm | Phase::Pending(_) => None,
    });
    standing.chain(silent)
}
