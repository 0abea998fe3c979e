//! The rules with `when`, on each device that they match: the values that they read, and whether they hold.
//!
//! An expression is evaluated when a reading or a window of its device brings a value that it reads, or that its zone's
//! average is made of. Values are found by the metric's number: readings that no expression reads cost one look-up.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{Alert, AlertKind, AlertState, DeviceId, MetricId, Now, Summary, Timestamp};
use serde::{Deserialize, Serialize};

use crate::expression::{Expression, Scope, Stat, Variable};
use crate::messages;
use crate::rule::Rule;
use crate::state::{ActiveCondition, Cause, Observation, Phase, RuleContext, RuleState, Transition};
use crate::subject::{DeviceSubject, OrphanedAlert, RuleChanges};

/// All of them. Kept in the checkpoint, but for what is found again from the rules.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Expressions {
    devices: BTreeMap<DeviceId, Device>,
    zones: BTreeMap<Box<str>, Averages>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Device {
    is_matched: bool,
    zone: Option<Box<str>>,
    watched: Vec<Watched>,
    /// Which values a metric is: watched rule and variable. Made anew where it is missing.
    #[serde(skip)]
    reads: BTreeMap<MetricId, Reads>,
}

/// What one metric of a device is good for.
#[derive(Debug, Default)]
struct Reads {
    /// Which rule of the device, which of its variables, and which statistic of the metric that is.
    values: Vec<(usize, usize, Stat)>,
    /// Those whose average some rule reads.
    zone: Vec<Stat>,
    /// The rules that read such an average: to be evaluated, too.
    zone_rules: Vec<usize>,
}

/// One rule on one device.
#[derive(Debug, Serialize, Deserialize)]
struct Watched {
    state: RuleState,
    /// Of the expression's variables; NaN where there is none. Those of zones stay NaN.
    values: Vec<f64>,
}

/// Of a zone.
type Averages = BTreeMap<(Stat, Box<str>), Average>;

/// Of one metric over the devices of a zone.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Average {
    by_device: BTreeMap<DeviceId, f64>,
    sum: f64,
}

impl Average {
    fn set(&mut self, device: DeviceId, value: f64) {
        let before = self.by_device.insert(device, value).unwrap_or(0.0);
        self.sum += value - before;
    }

    fn remove(&mut self, device: DeviceId) {
        if let Some(value) = self.by_device.remove(&device) {
            self.sum -= value;
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn get(&self) -> f64 {
        self.sum / self.by_device.len() as f64
    }
}

/// A metric of a device, and what is new of it.
pub(crate) struct News<'a> {
    pub(crate) metric: MetricId,
    pub(crate) name: &'a str,
    pub(crate) value: Value<'a>,
    /// Event time.
    pub(crate) at: Timestamp,
}

pub(crate) enum Value<'a> {
    Reading(f64),
    Window(&'a Summary),
}

impl Value<'_> {
    fn get(&self, stat: Stat) -> Option<f64> {
        match self {
            Self::Reading(value) => (stat == Stat::Latest).then_some(*value),
            Self::Window(summary) => stat.of(summary),
        }
    }
}

impl Expressions {
    /// Takes a value in; returns when what is pending is due, if anything is.
    pub(crate) fn observe(
        &mut self,
        rules: &[Rule],
        subject: &DeviceSubject<'_>,
        news: &News<'_>,
        now: Now,
        out: &mut Vec<Alert>,
        orphans: &mut Vec<OrphanedAlert>,
    ) -> Option<Timestamp> {
        let Self { devices, zones } = self;
        let device = devices.entry(subject.device).or_default();
        if !device.is_matched {
            device.match_rules(rules, subject, zones, orphans);
        }
        let Device { zone, watched, reads, .. } = device;
        let reads = reads.entry(news.metric).or_insert_with(|| Reads::of(rules, watched, news.name));
        if let Some(zone) = zone {
            for stat in &reads.zone {
                if let Some(value) = news.value.get(*stat) {
                    let averages = zones.entry(zone.clone()).or_default();
                    averages.entry((*stat, news.name.into())).or_default().set(subject.device, value);
                }
            }
        }
        let mut touched = reads.zone_rules.clone();
        for (rule, variable, stat) in &reads.values {
            let slot = watched.get_mut(*rule).and_then(|watched| watched.values.get_mut(*variable));
            if let Some((slot, value)) = slot.zip(news.value.get(*stat)) {
                *slot = value;
                touched.push(*rule);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        let averages = zone.as_ref().and_then(|zone| zones.get(zone));
        let mut due: Option<Timestamp> = None;
        for index in touched {
            let Some(watched) = watched.get_mut(index) else { continue };
            let Some(rule) = rules.get(watched.state.rule as usize) else { continue };
            let Some(expression) = rule.expression() else { continue };
            let values = watched.with_zone(expression, averages);
            let context = RuleContext {
                rule: rule.spec(),
                hold: std::time::Duration::ZERO,
                at: news.at,
                now: now.at,
                previous: f64::NAN,
            };
            if let Some(change) =
                watched.state.observe_expression(&context, expression.evaluate(&values) == Some(true))
            {
                let message = match change.state {
                    AlertState::Raised => messages::expression_holds(expression, &values),
                    _ => messages::expression_over(expression, &values),
                };
                out.push(alert(rule, subject.device, &change, message));
            } else if let Some(at) = watched.state.due(rule.spec()) {
                due = Some(due.map_or(at, |due| due.min(at)));
            }
        }
        due
    }

    /// Raises what has held for long enough; returns when the next is due.
    pub(crate) fn raise_due(
        &mut self,
        rules: &[Rule],
        now: Timestamp,
        out: &mut Vec<Alert>,
    ) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        let Self { devices, zones } = self;
        for (id, device) in devices {
            let averages = device.zone.as_ref().and_then(|zone| zones.get(zone));
            for watched in &mut device.watched {
                let Some(rule) = rules.get(watched.state.rule as usize) else { continue };
                let Some(expression) = rule.expression() else { continue };
                if let Some(change) = watched.state.raise_if_due(rule.spec(), std::time::Duration::ZERO, now)
                {
                    let values = watched.with_zone(expression, averages);
                    out.push(alert(rule, *id, &change, messages::expression_holds(expression, &values)));
                } else if let Some(due) = watched.state.due(rule.spec()) {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        next
    }

    /// New rules, or new zones of devices.
    pub(crate) fn reconfigure(&mut self, changes: &RuleChanges<'_>, orphans: &mut Vec<OrphanedAlert>) {
        for (id, device) in &mut self.devices {
            device.is_matched = false;
            device.reads.clear();
            device.watched.retain_mut(|watched| changes.expression(&mut watched.state, *id, orphans));
        }
        let is_read = |(stat, metric): &(Stat, Box<str>)| {
            changes.new.iter().filter_map(Rule::expression).flat_map(Expression::variables).any(|variable| {
                variable.scope == Scope::Zone && variable.stat == *stat && *variable.metric == **metric
            })
        };
        for averages in self.zones.values_mut() {
            averages.retain(|of, _| is_read(of));
        }
    }

    pub(crate) fn shift(&mut self, shifted: impl Fn(Timestamp) -> Timestamp + Copy) {
        for watched in self.devices.values_mut().flat_map(|device| &mut device.watched) {
            watched.state.shift(shifted);
        }
    }

    /// The states of the rules on a device.
    pub(crate) fn of(&self, device: DeviceId) -> impl Iterator<Item = &RuleState> {
        self.devices
            .get(&device)
            .into_iter()
            .flat_map(|device| device.watched.iter().map(|watched| &watched.state))
    }
}

impl Device {
    fn match_rules(
        &mut self,
        rules: &[Rule],
        subject: &DeviceSubject<'_>,
        zones: &mut BTreeMap<Box<str>, Averages>,
        orphans: &mut Vec<OrphanedAlert>,
    ) {
        if self.zone.as_deref() != subject.zone {
            let before = self.zone.take().and_then(|zone| zones.get_mut(&zone));
            before
                .into_iter()
                .flat_map(BTreeMap::values_mut)
                .for_each(|average| average.remove(subject.device));
            self.zone = subject.zone.map(Box::from);
        }
        let mut known = std::mem::take(&mut self.watched);
        for (index, rule) in (0_u32..).zip(rules) {
            let Some(expression) = rule.expression() else { continue };
            if !rule.matches_device(subject.device_name, subject.zone) {
                continue;
            }
            let kept = known.iter().position(|watched| watched.state.rule == index);
            self.watched.push(kept.map_or_else(
                || Watched {
                    state: RuleState::new(index),
                    values: vec![f64::NAN; expression.variables().len()],
                },
                |at| known.swap_remove(at),
            ));
        }
        for watched in known {
            orphans.extend(orphan(&watched.state, rules, subject.device));
        }
        self.reads.clear();
        self.is_matched = true;
    }
}

impl Reads {
    fn of(rules: &[Rule], watched: &[Watched], name: &str) -> Self {
        let mut reads = Self::default();
        let variables =
            |rule: u32| rules.get(rule as usize).and_then(Rule::expression).map(Expression::variables);
        for (index, one) in watched.iter().enumerate() {
            for (variable, Variable { scope, stat, metric }) in
                variables(one.state.rule).into_iter().flatten().enumerate()
            {
                if metric != name {
                    continue;
                }
                match scope {
                    Scope::Device => reads.values.push((index, variable, *stat)),
                    Scope::Zone => reads.zone_rules.push(index),
                }
            }
        }
        let read_of_zones = rules.iter().filter_map(Rule::expression).flat_map(Expression::variables);
        for variable in
            read_of_zones.filter(|variable| variable.scope == Scope::Zone && variable.metric == name)
        {
            if !reads.zone.contains(&variable.stat) {
                reads.zone.push(variable.stat);
            }
        }
        reads
    }
}

impl Watched {
    /// The values with those of the zone.
    fn with_zone(&self, expression: &Expression, averages: Option<&Averages>) -> Vec<f64> {
        let zip = expression.variables().iter().zip(&self.values);
        zip.map(|(variable, value)| match variable.scope {
            Scope::Device => *value,
            Scope::Zone => averages
                .and_then(|averages| averages.get(&(variable.stat, variable.metric.as_str().into())))
                .map_or(f64::NAN, Average::get),
        })
        .collect()
    }
}

/// The alert that `state` leaves behind, where it is raised.
pub(crate) fn orphan(state: &RuleState, rules: &[Rule], device: DeviceId) -> Option<OrphanedAlert> {
    let Phase::Raised { since, .. } = state.phase else { return None };
    let spec = rules.get(state.rule as usize)?.spec();
    Some(OrphanedAlert {
        rule: Arc::clone(&spec.name),
        device,
        metric: None,
        kind: AlertKind::Threshold,
        severity: spec.severity,
        since,
    })
}

fn alert(rule: &Rule, device: DeviceId, change: &Transition, message: String) -> Alert {
    Alert {
        rule: Arc::clone(&rule.spec().name),
        device,
        metric: None,
        kind: AlertKind::Threshold,
        state: change.state,
        severity: rule.spec().severity,
        value: None,
        score: None,
        anomaly_kind: None,
        expected: None,
        since: change.since,
        at: change.at,
        message,
        limit: None,
        notice: None,
    }
}

impl RuleState {
    /// Whether an expression holds.
    fn observe_expression(&mut self, context: &RuleContext<'_>, holds: bool) -> Option<Transition> {
        let condition = holds.then_some(ActiveCondition { cause: Cause::Expression, amount: 0.0 });
        let nothing = Observation { value: None, score: 0.0, expected: None, anomaly_kind: None };
        self.advance(context, condition, nothing)
    }
}
