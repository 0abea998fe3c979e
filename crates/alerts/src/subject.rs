//! The state of each device and series: the time of the last reading, and the states of the matching rules.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{AlertKind, DeviceId, MetricId, Reading, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::reading_order::{Admission, ReadingOrder};
use crate::rule::Rule;
use crate::silence::Silence;
use crate::state::{Phase, RuleState};
use crate::watched;

/// Whose reading it is, with the names that rules match.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub device: DeviceId,
    pub device_name: &'a str,
    /// Its zone, where it has one.
    pub zone: Option<&'a str>,
    pub metric: MetricId,
    pub metric_name: &'a str,
}

impl<'a> Subject<'a> {
    /// The device alone.
    pub(crate) const fn whole(&self) -> DeviceSubject<'a> {
        DeviceSubject { device: self.device, device_name: self.device_name, zone: self.zone }
    }
}

/// Which device a window is of, with the names that rules match.
#[derive(Debug, Clone, Copy)]
pub struct DeviceSubject<'a> {
    pub device: DeviceId,
    pub device_name: &'a str,
    /// Its zone, where it has one.
    pub zone: Option<&'a str>,
}

/// One device.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Device {
    /// Whether `silences` and `rule_states` are those of the rules in force.
    pub(crate) matched: bool,
    /// For messages about silence; empty where no rule has `silent_for`.
    pub(crate) name: Box<str>,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) series: Vec<Series>,
    /// Of its windows.
    pub(crate) order: ReadingOrder,
    /// Of rules about anomalies, for the device as a whole.
    pub(crate) rule_states: Vec<RuleState>,
}

/// One metric of one device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) metric: MetricId,
    /// Whether `rule_states` and `silences` are those of the rules in force.
    pub(crate) matched: bool,
    /// For messages of what the clock raises; empty where no rule has `silent_for` or `for`.
    pub(crate) name: Box<str>,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) order: ReadingOrder,
    pub(crate) rule_states: Vec<RuleState>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) unchanged: Unchanged,
}

/// Since when a series has shown exactly the same value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unchanged {
    value: f64,
    since: Timestamp,
    until: Timestamp,
}

impl Default for Unchanged {
    fn default() -> Self {
        Self { value: f64::NAN, since: Timestamp::EPOCH, until: Timestamp::EPOCH }
    }
}

impl Unchanged {
    fn update(&mut self, value: f64, at: Timestamp) {
        if value.to_bits() != self.value.to_bits() || at < self.since {
            self.since = at;
            self.value = value;
        }
        self.until = at;
    }

    /// NaN before the first reading.
    pub(crate) const fn value(&self) -> f64 {
        self.value
    }

    /// In event time.
    pub(crate) fn length(&self) -> Duration {
        self.until.since(self.since)
    }
}

/// An active alert whose rule no longer matches its subject; the next [`crate::Alerts::advance`] clears it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrphanedAlert {
    pub(crate) rule: Arc<str>,
    pub(crate) device: DeviceId,
    pub(crate) metric: Option<MetricId>,
    pub(crate) kind: AlertKind,
    pub(crate) severity: Severity,
    pub(crate) since: Timestamp,
}

impl Device {
    /// The series of `metric`, made where it is new. A device has few metrics, so a plain search is quickest.
    pub(crate) fn series(&mut self, metric: MetricId) -> Option<&mut Series> {
        let index = self.series.iter().position(|series| series.metric == metric).unwrap_or_else(|| {
            self.series.push(Series::new(metric));
            self.series.len() - 1
        });
        self.series.get_mut(index)
    }

    /// Whether a window that began at `at` may raise and clear.
    pub(crate) fn admit(&mut self, at: Timestamp, now: Timestamp) -> bool {
        apply_admission(self.order.admit(at, now), &mut self.rule_states)
    }

    /// Finds the rules that watch this device as a whole.
    pub(crate) fn match_rules(
        &mut self,
        rules: &[Rule],
        subject: &DeviceSubject<'_>,
        orphans: &mut Vec<OrphanedAlert>,
    ) {
        let is_meant = |rule: &Rule| {
            rule.spec().metric.is_none() && rule.matches_device(subject.device_name, subject.zone)
        };
        let of = (subject.device, None);
        let judges = |rule: &Rule| rule.spec().when.anomaly.is_some() && is_meant(rule);
        match_rule_states(&mut self.rule_states, rules, judges, of, orphans);
        let watches = |rule: &Rule| rule.watches_silence() && is_meant(rule);
        match_silences(&mut self.silences, rules, watches, of, orphans);
        let watched = rules.iter().any(|rule| rule.watches_silence());
        self.name = if watched { subject.device_name.into() } else { Box::default() };
        self.matched = true;
    }
}

impl Series {
    fn new(metric: MetricId) -> Self {
        Self {
            metric,
            matched: false,
            name: Box::default(),
            last_seen: None,
            order: ReadingOrder::default(),
            rule_states: Vec::new(),
            silences: Vec::new(),
            unchanged: Unchanged::default(),
        }
    }

    /// Whether a reading may raise and clear.
    pub(crate) fn admit(&mut self, reading: &Reading, now: Timestamp) -> bool {
        let admitted = apply_admission(self.order.admit(reading.at, now), &mut self.rule_states);
        if admitted {
            self.unchanged.update(reading.value, reading.at);
        }
        admitted
    }

    /// Finds the rules that match this series; those that did already keep their state.
    pub(crate) fn match_rules(
        &mut self,
        rules: &[Rule],
        subject: &Subject<'_>,
        orphans: &mut Vec<OrphanedAlert>,
    ) {
        let matches = |rule: &Rule| {
            rule.matches_metric(subject.metric_name) && rule.matches_device(subject.device_name, subject.zone)
        };
        let of = (subject.device, Some(subject.metric));
        let judges = |rule: &Rule| rule.spec().when.has_value_condition() && matches(rule);
        match_rule_states(&mut self.rule_states, rules, judges, of, orphans);
        let watches = |rule: &Rule| rule.spec().metric.is_some() && rule.watches_silence() && matches(rule);
        match_silences(&mut self.silences, rules, watches, of, orphans);
        let waits = |rule_state: &RuleState| {
            rules.get(rule_state.rule as usize).is_some_and(|rule| !rule.spec().hold_for.is_zero())
        };
        let needs_name = !self.silences.is_empty() || self.rule_states.iter().any(waits);
        self.name = if needs_name { subject.metric_name.into() } else { Box::default() };
        self.matched = true;
    }
}

/// Whether the reading counts; a clock that was set back is passed on to the rules.
fn apply_admission(admission: Admission, rule_states: &mut [RuleState]) -> bool {
    match admission {
        Admission::InOrder => true,
        Admission::SetBack(millis) => {
            rule_states.iter_mut().for_each(|rule_state| rule_state.set_back(millis));
            true
        }
        Admission::Late => false,
    }
}

/// The alert that `rule_state` leaves behind, where it is raised.
fn orphan(
    rule_state: &RuleState,
    rules: &[Rule],
    (device, metric): (DeviceId, Option<MetricId>),
) -> Option<OrphanedAlert> {
    let Phase::Raised { since, cause, .. } = rule_state.phase else { return None };
    let spec = rules.get(rule_state.rule as usize)?.spec();
    Some(OrphanedAlert {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind: cause.kind(),
        severity: spec.severity,
        since,
    })
}

/// The same for silence.
fn orphaned_silence(
    silence: &Silence,
    rules: &[Rule],
    (device, metric): (DeviceId, Option<MetricId>),
) -> Option<OrphanedAlert> {
    let spec = rules.get(silence.rule as usize)?.spec();
    let since = silence.since?;
    Some(OrphanedAlert {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind: AlertKind::Silent,
        severity: spec.severity,
        since,
    })
}

/// How rules changed: the new index of each old one, and whether its conditions are the same.
pub(crate) struct RuleChanges<'a> {
    pub(crate) old: &'a [Rule],
    pub(crate) new: &'a [Rule],
}

impl RuleChanges<'_> {
    fn new_index(&self, old: u32) -> Option<u32> {
        let name = &self.old.get(old as usize)?.spec().name;
        let index = self.new.iter().position(|rule| rule.spec().name == *name)?;
        u32::try_from(index).ok()
    }

    fn is_same(&self, old: u32, new: u32) -> bool {
        let (old, new) = (self.old.get(old as usize), self.new.get(new as usize));
        old.zip(new).is_some_and(|(old, new)| old.spec().has_same_conditions(new.spec()))
    }

    /// What was pending under other conditions begins again; alerts of removed rules become orphans.
    pub(crate) fn rule_states(
        &self,
        rule_states: &mut Vec<RuleState>,
        of: (DeviceId, Option<MetricId>),
        orphans: &mut Vec<OrphanedAlert>,
    ) {
        rule_states.retain_mut(|rule_state| {
            let Some(index) = self.new_index(rule_state.rule) else {
                orphans.extend(orphan(rule_state, self.old, of));
                return false;
            };
            if !self.is_same(rule_state.rule, index) {
                rule_state.cancel_pending();
            }
            rule_state.rule = index;
            true
        });
    }

    /// The same for a rule with an expression; false where it is gone, or reads something else.
    pub(crate) fn expression(
        &self,
        state: &mut RuleState,
        device: DeviceId,
        orphans: &mut Vec<OrphanedAlert>,
    ) -> bool {
        let index = self.new_index(state.rule).filter(|index| self.has_same_expression(state.rule, *index));
        let Some(index) = index else {
            orphans.extend(watched::orphan(state, self.old, device));
            return false;
        };
        if !self.is_same(state.rule, index) {
            state.cancel_pending();
        }
        state.rule = index;
        true
    }

    fn has_same_expression(&self, old: u32, new: u32) -> bool {
        let (old, new) = (self.old.get(old as usize), self.new.get(new as usize));
        old.zip(new).is_some_and(|(old, new)| old.expression() == new.expression())
    }

    /// Alerts of removed rules become orphans.
    pub(crate) fn silences(
        &self,
        silences: &mut Vec<Silence>,
        of: (DeviceId, Option<MetricId>),
        orphans: &mut Vec<OrphanedAlert>,
    ) {
        silences.retain_mut(|silence| {
            let Some(index) = self.new_index(silence.rule) else {
                orphans.extend(orphaned_silence(silence, self.old, of));
                return false;
            };
            silence.rule = index;
            true
        });
    }
}

fn match_rule_states(
    rule_states: &mut Vec<RuleState>,
    rules: &[Rule],
    matches: impl Fn(&Rule) -> bool,
    of: (DeviceId, Option<MetricId>),
    orphans: &mut Vec<OrphanedAlert>,
) {
    let mut known = std::mem::take(rule_states);
    for (index, rule) in (0_u32..).zip(rules) {
        if matches(rule) {
            let kept = known.iter().position(|rule_state| rule_state.rule == index);
            rule_states.push(kept.map_or_else(|| RuleState::new(index), |at| known.swap_remove(at)));
        }
    }
    orphans.extend(known.iter().filter_map(|rule_state| orphan(rule_state, rules, of)));
}

fn match_silences(
    silences: &mut Vec<Silence>,
    rules: &[Rule],
    matches: impl Fn(&Rule) -> bool,
    of: (DeviceId, Option<MetricId>),
    orphans: &mut Vec<OrphanedAlert>,
) {
    let mut known = std::mem::take(silences);
    for (index, rule) in (0_u32..).zip(rules) {
        if matches(rule) {
            let kept = known.iter().position(|silence| silence.rule == index);
            silences.push(kept.map_or(Silence { rule: index, since: None }, |at| known.swap_remove(at)));
        }
    }
    orphans.extend(known.iter().filter_map(|silence| orphaned_silence(silence, rules, of)));
}
