//! What is kept of each device and series: when it was heard, and where the rules that speak of it stand.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{AlertKind, DeviceId, MetricId, Reading, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::order::{Admission, Order};
use crate::rule::Rule;
use crate::silence::Silence;
use crate::state::{Phase, Standing};

/// Whose reading it is, with the names that rules speak of.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub device_name: &'a str,
    /// Its zone, where it has one.
    pub zone: Option<&'a str>,
    /// The metric.
    pub metric: MetricId,
    /// Its name.
    pub metric_name: &'a str,
}

impl<'a> Subject<'a> {
    /// The device alone.
    pub(crate) const fn whole(&self) -> DeviceSubject<'a> {
        DeviceSubject { device: self.device, device_name: self.device_name, zone: self.zone }
    }
}

/// Which device a window is of, with the names that rules speak of.
#[derive(Debug, Clone, Copy)]
pub struct DeviceSubject<'a> {
    /// The device.
    pub device: DeviceId,
    /// Its name.
    pub device_name: &'a str,
    /// Its zone, where it has one.
    pub zone: Option<&'a str>,
}

/// One device.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Device {
    /// Whether `silences` and `standings` are those of the rules in force.
    pub(crate) matched: bool,
    /// For messages about silence; empty where no rule asks.
    pub(crate) name: Box<str>,
    pub(crate) heard: Option<Timestamp>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) series: Vec<Series>,
    /// Of its windows.
    pub(crate) order: Order,
    /// Of rules about anomalies, for the device as a whole.
    pub(crate) standings: Vec<Standing>,
}

/// One metric of one device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) metric: MetricId,
    /// Whether `standings` and `silences` are those of the rules in force.
    pub(crate) matched: bool,
    /// For messages of what the clock raises; empty where no rule has `silent_for` or `for`.
    pub(crate) name: Box<str>,
    pub(crate) heard: Option<Timestamp>,
    pub(crate) order: Order,
    pub(crate) standings: Vec<Standing>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) steady: Steady,
}

/// For how long a series has shown exactly the same value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Steady {
    value: f64,
    since: Timestamp,
    until: Timestamp,
}

impl Default for Steady {
    fn default() -> Self {
        Self { value: f64::NAN, since: Timestamp::EPOCH, until: Timestamp::EPOCH }
    }
}

impl Steady {
    fn see(&mut self, value: f64, at: Timestamp) {
        if value.to_bits() != self.value.to_bits() || at < self.since {
            self.since = at;
            self.value = value;
        }
        self.until = at;
    }

    /// In event time.
    pub(crate) fn length(&self) -> Duration {
        self.until.since(self.since)
    }
}

/// An alert that is out although its rule no longer speaks of its subject; it is cleared at the next occasion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Orphan {
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
        obey(self.order.admit(at, now), &mut self.standings)
    }

    /// Finds the rules that watch this device as a whole.
    pub(crate) fn match_rules(
        &mut self,
        rules: &[Rule],
        subject: &DeviceSubject<'_>,
        orphans: &mut Vec<Orphan>,
    ) {
        let is_meant = |rule: &Rule| {
            rule.spec().metric.is_none() && rule.speaks_of_device(subject.device_name, subject.zone)
        };
        let of = (subject.device, None);
        let judges = |rule: &Rule| rule.spec().when.anomaly.is_some() && is_meant(rule);
        match_standings(&mut self.standings, rules, judges, of, orphans);
        let watches = |rule: &Rule| rule.silent_after().is_some() && is_meant(rule);
        match_silences(&mut self.silences, rules, watches, of, orphans);
        let watched = rules.iter().any(|rule| rule.silent_after().is_some());
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
            heard: None,
            order: Order::default(),
            standings: Vec::new(),
            silences: Vec::new(),
            steady: Steady::default(),
        }
    }

    /// Whether a reading may raise and clear.
    pub(crate) fn admit(&mut self, reading: &Reading, now: Timestamp) -> bool {
        let admitted = obey(self.order.admit(reading.at, now), &mut self.standings);
        if admitted {
            self.steady.see(reading.value, reading.at);
        }
        admitted
    }

    /// Finds the rules that speak of this series; those that did already keep their state.
    pub(crate) fn match_rules(&mut self, rules: &[Rule], subject: &Subject<'_>, orphans: &mut Vec<Orphan>) {
        let speaks = |rule: &Rule| {
            rule.speaks_of_metric(subject.metric_name)
                && rule.speaks_of_device(subject.device_name, subject.zone)
        };
        let of = (subject.device, Some(subject.metric));
        let judges = |rule: &Rule| rule.spec().when.has_value_condition() && speaks(rule);
        match_standings(&mut self.standings, rules, judges, of, orphans);
        let watches =
            |rule: &Rule| rule.spec().metric.is_some() && rule.silent_after().is_some() && speaks(rule);
        match_silences(&mut self.silences, rules, watches, of, orphans);
        let waits = |standing: &Standing| {
            rules.get(standing.rule as usize).is_some_and(|rule| !rule.spec().hold_for.is_zero())
        };
        let is_told = !self.silences.is_empty() || self.standings.iter().any(waits);
        self.name = if is_told { subject.metric_name.into() } else { Box::default() };
        self.matched = true;
    }
}

/// Does what an admission says; whether there was one.
fn obey(admission: Admission, standings: &mut [Standing]) -> bool {
    match admission {
        Admission::InOrder => true,
        Admission::SetBack(millis) => {
            standings.iter_mut().for_each(|standing| standing.set_back(millis));
            true
        }
        Admission::Late => false,
    }
}

/// The alert that `standing` leaves behind, where it is out.
fn orphan(
    standing: &Standing,
    rules: &[Rule],
    (device, metric): (DeviceId, Option<MetricId>),
) -> Option<Orphan> {
    let Phase::Raised { since, cause, .. } = standing.phase else { return None };
    let spec = rules.get(standing.rule as usize)?.spec();
    Some(Orphan {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind: cause.kind(),
        severity: spec.severity,
        since,
    })
}

/// The same for silence.
fn orphan_silence(
    silence: &Silence,
    rules: &[Rule],
    (device, metric): (DeviceId, Option<MetricId>),
) -> Option<Orphan> {
    let spec = rules.get(silence.rule as usize)?.spec();
    let since = silence.since?;
    Some(Orphan {
        rule: Arc::clone(&spec.name),
        device,
        metric,
        kind: AlertKind::Silent,
        severity: spec.severity,
        since,
    })
}

/// How rules changed: where each old one is now, and whether it asks the same.
pub(crate) struct Moves<'a> {
    pub(crate) old: &'a [Rule],
    pub(crate) new: &'a [Rule],
}

impl Moves<'_> {
    fn place(&self, old: u32) -> Option<u32> {
        let name = &self.old.get(old as usize)?.spec().name;
        let index = self.new.iter().position(|rule| rule.spec().name == *name)?;
        u32::try_from(index).ok()
    }

    fn is_same(&self, old: u32, new: u32) -> bool {
        let (old, new) = (self.old.get(old as usize), self.new.get(new as usize));
        old.zip(new).is_some_and(|(old, new)| old.spec().asks_the_same(new.spec()))
    }

    /// What waited under other conditions begins again; alerts of rules that are gone are left behind.
    pub(crate) fn standings(
        &self,
        standings: &mut Vec<Standing>,
        of: (DeviceId, Option<MetricId>),
        orphans: &mut Vec<Orphan>,
    ) {
        standings.retain_mut(|standing| {
            let Some(index) = self.place(standing.rule) else {
                orphans.extend(orphan(standing, self.old, of));
                return false;
            };
            if !self.is_same(standing.rule, index) {
                standing.stop_waiting();
            }
            standing.rule = index;
            true
        });
    }

    /// Alerts of rules that are gone are left behind.
    pub(crate) fn silences(
        &self,
        silences: &mut Vec<Silence>,
        of: (DeviceId, Option<MetricId>),
        orphans: &mut Vec<Orphan>,
    ) {
        silences.retain_mut(|silence| {
            let Some(index) = self.place(silence.rule) else {
                orphans.extend(orphan_silence(silence, self.old, of));
                return false;
            };
            silence.rule = index;
            true
        });
    }
}

fn match_standings(
    standings: &mut Vec<Standing>,
    rules: &[Rule],
    speaks: impl Fn(&Rule) -> bool,
    of: (DeviceId, Option<MetricId>),
    orphans: &mut Vec<Orphan>,
) {
    let mut known = std::mem::take(standings);
    for (index, rule) in (0_u32..).zip(rules) {
        if speaks(rule) {
            let kept = known.iter().position(|standing| standing.rule == index);
            standings.push(kept.map_or_else(|| Standing::new(index), |at| known.swap_remove(at)));
        }
    }
    orphans.extend(known.iter().filter_map(|standing| orphan(standing, rules, of)));
}

fn match_silences(
    silences: &mut Vec<Silence>,
    rules: &[Rule],
    speaks: impl Fn(&Rule) -> bool,
    of: (DeviceId, Option<MetricId>),
    orphans: &mut Vec<Orphan>,
) {
    let mut known = std::mem::take(silences);
    for (index, rule) in (0_u32..).zip(rules) {
        if speaks(rule) {
            let kept = known.iter().position(|silence| silence.rule == index);
            silences.push(kept.map_or(Silence { rule: index, since: None }, |at| known.swap_remove(at)));
        }
    }
    orphans.extend(known.iter().filter_map(|silence| orphan_silence(silence, rules, of)));
}
