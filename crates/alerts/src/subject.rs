//! What is kept of each device and series: when it was heard, and where the rules that speak of it stand.

use std::sync::Arc;

use gateway_core::{AlertKind, DeviceId, MetricId, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::rule::Rule;
use crate::silence::Silence;
use crate::state::{Phase, Standing};

/// So many readings in a row behind a newest one that lies in the future: the device's clock was put right.
const CLOCK_SET_BACK: u8 = 3;

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

/// One device.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Device {
    /// Whether `silences` are those of the rules in force.
    pub(crate) matched: bool,
    /// For messages about silence; empty where no rule asks.
    pub(crate) name: Box<str>,
    pub(crate) heard: Option<Timestamp>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) series: Vec<Series>,
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
    /// Event time of the newest reading.
    newest: Option<Timestamp>,
    behind: u8,
    pub(crate) standings: Vec<Standing>,
    pub(crate) silences: Vec<Silence>,
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

    /// Finds the rules that watch this device as a whole.
    pub(crate) fn match_rules(&mut self, rules: &[Rule], subject: &Subject<'_>, orphans: &mut Vec<Orphan>) {
        let watches = |rule: &Rule| rule.spec().metric.is_none() && rule.silent_after().is_some();
        let speaks = |rule: &Rule| watches(rule) && rule.speaks_of_device(subject.device_name, subject.zone);
        match_silences(&mut self.silences, rules, speaks, (subject.device, None), orphans);
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
            newest: None,
            behind: 0,
            standings: Vec::new(),
            silences: Vec::new(),
        }
    }

    /// Whether a reading of `at` may raise and clear: it is not older than the newest.
    ///
    /// A device whose clock ran ahead, and was then put right, would be silenced until time caught up; where the
    /// newest lies beyond `now` and readings keep coming from before it, they are believed.
    pub(crate) fn admit(&mut self, at: Timestamp, now: Timestamp) -> bool {
        match self.newest {
            Some(newest) if at < newest => {
                self.behind = self.behind.saturating_add(1);
                if newest <= now || self.behind < CLOCK_SET_BACK {
                    return false;
                }
                self.standings.iter_mut().for_each(Standing::restart_time);
            }
            Some(_) | None => {}
        }
        self.behind = 0;
        self.newest = Some(at);
        true
    }

    /// Finds the rules that speak of this series; those that did already keep their state.
    pub(crate) fn match_rules(&mut self, rules: &[Rule], subject: &Subject<'_>, orphans: &mut Vec<Orphan>) {
        let speaks = |rule: &Rule| {
            rule.speaks_of_metric(subject.metric_name)
                && rule.speaks_of_device(subject.device_name, subject.zone)
        };
        let mut known = std::mem::take(&mut self.standings);
        for (index, rule) in (0_u32..).zip(rules) {
            if rule.spec().when.has_value_condition() && speaks(rule) {
                let kept = known.iter().position(|standing| standing.rule == index);
                self.standings.push(kept.map_or_else(|| Standing::new(index), |at| known.swap_remove(at)));
            }
        }
        orphans.extend(known.iter().filter_map(|s| orphan(s, rules, subject.device, subject.metric)));

        let watches =
            |rule: &Rule| rule.spec().metric.is_some() && rule.silent_after().is_some() && speaks(rule);
        match_silences(&mut self.silences, rules, watches, (subject.device, Some(subject.metric)), orphans);
        let waits = |standing: &Standing| {
            rules.get(standing.rule as usize).is_some_and(|rule| !rule.spec().hold_for.is_zero())
        };
        let is_told = !self.silences.is_empty() || self.standings.iter().any(waits);
        self.name = if is_told { subject.metric_name.into() } else { Box::default() };
        self.matched = true;
    }
}

/// The alert that `standing` leaves behind, where it is out.
pub(crate) fn orphan(
    standing: &Standing,
    rules: &[Rule],
    device: DeviceId,
    metric: MetricId,
) -> Option<Orphan> {
    let Phase::Raised { since, cause } = standing.phase else { return None };
    let spec = rules.get(standing.rule as usize)?.spec();
    Some(Orphan {
        rule: Arc::clone(&spec.name),
        device,
        metric: Some(metric),
        kind: cause.kind(),
        severity: spec.severity,
        since,
    })
}

/// The same for silence.
pub(crate) fn orphan_silence(
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

/// Silences under new rules; alerts of those that are gone are left behind.
pub(crate) fn move_silences(
    silences: &mut Vec<Silence>,
    place: impl Fn(u32) -> Option<u32>,
    rules: &[Rule],
    of: (DeviceId, Option<MetricId>),
    orphans: &mut Vec<Orphan>,
) {
    silences.retain_mut(|silence| match place(silence.rule) {
        Some(index) => {
            silence.rule = index;
            true
        }
        None => {
            orphans.extend(orphan_silence(silence, rules, of));
            false
        }
    });
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
