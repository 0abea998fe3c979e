//! Alert rules (`[alerts.*]`, and the anomaly model's own) and their state: pending, raised, cleared.
//!
//! Sans-IO: readings and the time go in, alerts come out, in an order that depends on nothing else. What it promises:
//! - An alert is raised once and cleared once, with the same `since`; hysteresis (`clear_by`), `for`, and for
//!   anomalies three ordinary readings and five minutes between raises, keep it from flapping.
//! - A reading older than the newest of its series neither raises nor clears; it does show that its device is alive.
//! - Serialised and restored, or given new rules, it goes on where it stood: nothing is raised twice. An alert whose
//!   rule is gone, or no longer speaks of the device, is cleared.
//! - What holds for as long as `for` says is raised by the next reading or by the clock, whichever is first: a device
//!   that speaks only of changes is believed until it says otherwise.
//! - Silence and `for` are counted by the clock, but only while the gateway listens. A device is watched from its first
//!   reading on. After a long absence of ours ([`Alerts::was_away`]) it has its whole `silent_for` again.
//! - Its size is bounded by the registry's devices and metrics; a rate keeps at most 130 points.

mod lowest;
mod rule;
mod silence;
mod state;
mod subject;
mod words;

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Alert, AlertKind, AlertState, DeviceId, MetricId, Now, Reading, Score, Timestamp};
use serde::{Deserialize, Serialize};

pub use rule::{ANOMALY, Conditions, Rule, RuleProblem, RuleSpec};
pub use subject::Subject;

use silence::{Silence, Watch};
use state::{Change, Phase};
use subject::{Device, Orphan};

/// All rules and where they stand on every series. Serialise it to keep it over a restart.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alerts {
    rules: Vec<Rule>,
    /// By [`DeviceId`].
    devices: Vec<Device>,
    orphans: Vec<Orphan>,
    watch: Watch,
    /// No silence is due before this.
    next_silence: Option<Timestamp>,
    /// Nothing that is pending falls due before this.
    next_due: Option<Timestamp>,
}

impl Alerts {
    /// Rules' names are unique; of two with one name, the first keeps the state at [`Self::reconfigure`].
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            devices: Vec::new(),
            orphans: Vec::new(),
            watch: Watch::default(),
            next_silence: None,
            next_due: None,
        }
    }

    /// New rules, and perhaps new names and zones of devices. Rules that still exist, by name, keep their state, but
    /// what was pending under other conditions begins again; alerts of the others are cleared by the next
    /// [`Self::advance`].
    pub fn reconfigure(&mut self, rules: Vec<Rule>) {
        let place = |old: u32| {
            let name = &self.rules.get(old as usize)?.spec().name;
            let index = rules.iter().position(|rule| rule.spec().name == *name)?;
            u32::try_from(index).ok()
        };
        let is_same = |old: u32, new: u32| {
            let (old, new) = (self.rules.get(old as usize), rules.get(new as usize));
            old.zip(new).is_some_and(|(old, new)| old.spec().asks_the_same(new.spec()))
        };
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            device.matched = false;
            subject::move_silences(&mut device.silences, place, &self.rules, (id, None), &mut self.orphans);
            for series in &mut device.series {
                series.matched = false;
                let of = (id, Some(series.metric));
                subject::move_silences(&mut series.silences, place, &self.rules, of, &mut self.orphans);
                series.standings.retain_mut(|standing| match place(standing.rule) {
                    Some(index) => {
                        if !is_same(standing.rule, index) {
                            standing.stop_waiting();
                        }
                        standing.rule = index;
                        true
                    }
                    None => {
                        self.orphans.extend(subject::orphan(standing, &self.rules, id, series.metric));
                        false
                    }
                });
            }
        }
        self.rules = rules;
        self.next_silence = Some(Timestamp::EPOCH);
        self.next_due = self.next_due.map(|_| Timestamp::EPOCH);
    }

    /// Judges one reading. A subject's names and zone are those of its first reading, until [`Self::reconfigure`].
    pub fn observe(
        &mut self,
        subject: &Subject<'_>,
        reading: &Reading,
        score: &Score,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        self.look_at_clock(now.at);
        let index = subject.device.0 as usize;
        if index >= self.devices.len() {
            self.devices.resize_with(index + 1, Device::default);
        }
        let Some(device) = self.devices.get_mut(index) else { return };
        if !device.matched {
            device.match_rules(&self.rules, subject, &mut self.orphans);
            self.next_silence = look_soon(self.next_silence, &device.silences);
        }
        device.heard = Some(now.at);
        let mut ended = end_silences(&mut device.silences, &self.rules, (subject, None), now.at, out);

        let Some(series) = device.series(subject.metric) else { return };
        if !series.matched {
            series.match_rules(&self.rules, subject, &mut self.orphans);
            self.next_silence = look_soon(self.next_silence, &series.silences);
        }
        series.heard = Some(now.at);
        ended |=
            end_silences(&mut series.silences, &self.rules, (subject, Some(subject.metric)), now.at, out);
        if ended {
            self.next_silence = Some(Timestamp::EPOCH);
        }
        if series.standings.is_empty() || !series.admit(reading.at, now.at) {
            return;
        }
        for standing in &mut series.standings {
            let Some(rule) = self.rules.get(standing.rule as usize) else { continue };
            if let Some(change) = standing.observe(rule.spec(), reading, score, now.at) {
                let metric = (subject.metric, subject.metric_name);
                out.push(alert(rule.spec(), subject.device, metric, change));
            } else if let Some(due) = standing.due(rule.spec()) {
                self.next_due = Some(earliest(self.next_due, due));
            }
        }
    }

    /// What the passing of time raises: silence, and what has held for as long as `for` says. Also clears what [`Self::reconfigure`] left behind. To be called when
    /// [`Self::next_deadline`] is due, and at once when the clock was set back (time until then counts for nothing).
    pub fn advance(&mut self, now: Now, out: &mut Vec<Alert>) {
        self.look_at_clock(now.at);
        out.extend(self.orphans.drain(..).map(|orphan| farewell(orphan, now.at)));
        if self.next_due.is_some_and(|due| due <= now.at) {
            self.raise_due(now.at, out);
        }
        if self.next_silence.is_some_and(|due| due <= now.at) {
            self.raise_silent(now.at, out);
        }
    }

    fn raise_due(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        let mut next: Option<Timestamp> = None;
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            for series in &mut device.series {
                for standing in &mut series.standings {
                    let Some(rule) = self.rules.get(standing.rule as usize) else { continue };
                    if let Some(change) = standing.fall_due(rule.spec(), now) {
                        out.push(alert(rule.spec(), id, (series.metric, &series.name), change));
                    } else if let Some(due) = standing.due(rule.spec()) {
                        next = Some(earliest(next, due));
                    }
                }
            }
        }
        self.next_due = next;
    }

    fn raise_silent(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        let mut next: Option<Timestamp> = None;
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            let mut watched =
                Watched { rules: &self.rules, device: id, name: &device.name, now, next: &mut next };
            watched.judge(&mut device.silences, None, device.heard, out);
            for series in &mut device.series {
                let metric = Some((series.metric, &*series.name));
                watched.judge(&mut series.silences, metric, series.heard, out);
            }
        }
        self.next_silence = next;
    }

    /// When [`Self::advance`] should next be called, by the clock; `None` where nothing waits for time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if !self.orphans.is_empty() {
            return Some(Timestamp::EPOCH);
        }
        let due = [self.next_silence, self.next_due].into_iter().flatten().min()?;
        Some(self.watch.next_look().map_or(due, |look| look.min(due)))
    }

    /// Between `since` and `now`, both by the present clock, nobody listened: the machine slept, or the gateway was
    /// stopped. To be called before anything else is told of that time. Where the clock now stands before `since`, it
    /// was set back meanwhile, and how long nobody listened is not known.
    ///
    /// What is raised stays raised. That time is no part of a `for`. A device may have spoken meanwhile in vain: after
    /// more than 90 s, or an unknown time, it has its whole `silent_for` from now on; less is only not counted, so
    /// that a gateway that restarts again and again still notices who is silent.
    pub fn was_away(&mut self, since: Timestamp, now: Now) {
        let away = now.at.millis_after(since);
        self.watch.was_away(away);
        self.shift(away);
        // The clock may have been set besides.
        self.look_at_clock(now.at);
        if !silence::is_short(away) {
            for device in &mut self.devices {
                device.heard = device.heard.map(|_| now.at);
                for series in &mut device.series {
                    series.heard = series.heard.map(|_| now.at);
                }
            }
        }
    }

    /// The alerts that are out, by device, then rule: rule's name, device, metric.
    pub fn raised(&self) -> impl Iterator<Item = (&Arc<str>, DeviceId, Option<MetricId>)> {
        let name = |rule: u32| self.rules.get(rule as usize).map(|rule| &rule.spec().name);
        (0..).map(DeviceId).zip(&self.devices).flat_map(move |(id, device)| {
            let whole = device.silences.iter().filter(|s| s.since.is_some()).map(|s| (s.rule, None));
            let parts = device.series.iter().flat_map(|series| {
                let silent = series.silences.iter().filter(|s| s.since.is_some()).map(|s| s.rule);
                let standing = series.standings.iter().filter(|s| matches!(s.phase, Phase::Raised { .. }));
                standing.map(|s| s.rule).chain(silent).map(|rule| (rule, Some(series.metric)))
            });
            whole.chain(parts).filter_map(move |(rule, metric)| Some((name(rule)?, id, metric)))
        })
    }

    /// Time that the gateway was away, or that its clock was set by, was nobody's silence, and no part of a `for`.
    fn look_at_clock(&mut self, now: Timestamp) {
        let jump = self.watch.look(now);
        if jump != 0 {
            self.shift(jump);
        }
    }

    /// Moves what is counted by the clock on by `jump` milliseconds, of either sign.
    fn shift(&mut self, jump: i64) {
        let shifted = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(jump));
        for device in &mut self.devices {
            device.heard = device.heard.map(shifted);
            for series in &mut device.series {
                series.heard = series.heard.map(shifted);
                series.standings.iter_mut().for_each(|standing| standing.shift(shifted));
            }
        }
        self.next_silence = self.next_silence.map(|_| Timestamp::EPOCH);
        self.next_due = self.next_due.map(|_| Timestamp::EPOCH);
    }
}

fn earliest(next: Option<Timestamp>, due: Timestamp) -> Timestamp {
    next.map_or(due, |next| next.min(due))
}

/// Somebody new is watched: the next [`Alerts::advance`] looks at everybody.
fn look_soon(next: Option<Timestamp>, silences: &[Silence]) -> Option<Timestamp> {
    if silences.is_empty() { next } else { Some(Timestamp::EPOCH) }
}

/// One device under the eyes of [`Alerts::advance`].
struct Watched<'a> {
    rules: &'a [Rule],
    device: DeviceId,
    name: &'a str,
    now: Timestamp,
    /// The earliest silence still to come.
    next: &'a mut Option<Timestamp>,
}

impl Watched<'_> {
    fn judge(
        &mut self,
        silences: &mut [Silence],
        metric: Option<(MetricId, &str)>,
        heard: Option<Timestamp>,
        out: &mut Vec<Alert>,
    ) {
        let Some(heard) = heard else { return };
        for silence in silences.iter_mut().filter(|silence| silence.since.is_none()) {
            let Some(rule) = self.rules.get(silence.rule as usize) else { continue };
            let Some(after) = rule.silent_after() else { continue };
            let due = heard + after;
            if due > self.now {
                *self.next = Some(earliest(*self.next, due));
                continue;
            }
            silence.since = Some(self.now);
            out.push(self.raise(rule.spec(), metric, after));
        }
    }

    fn raise(&self, spec: &RuleSpec, metric: Option<(MetricId, &str)>, after: Duration) -> Alert {
        Alert {
            rule: Arc::clone(&spec.name),
            device: self.device,
            metric: metric.map(|(id, _)| id),
            kind: AlertKind::Silent,
            state: AlertState::Raised,
            severity: spec.severity,
            value: None,
            score: None,
            since: self.now,
            at: self.now,
            message: words::silent(self.name, metric.map(|(_, name)| name), after),
        }
    }
}

/// Clears those that are out; whether there were any.
fn end_silences(
    silences: &mut [Silence],
    rules: &[Rule],
    (subject, metric): (&Subject<'_>, Option<MetricId>),
    now: Timestamp,
    out: &mut Vec<Alert>,
) -> bool {
    let mut ended = false;
    for silence in silences {
        let Some(since) = silence.since.take() else { continue };
        ended = true;
        let Some(rule) = rules.get(silence.rule as usize) else { continue };
        out.push(Alert {
            rule: Arc::clone(&rule.spec().name),
            device: subject.device,
            metric,
            kind: AlertKind::Silent,
            state: AlertState::Cleared,
            severity: rule.spec().severity,
            value: None,
            score: None,
            since,
            at: now,
            message: words::heard_again(subject.device_name, metric.map(|_| subject.metric_name)),
        });
    }
    ended
}

fn alert(spec: &RuleSpec, device: DeviceId, (metric, name): (MetricId, &str), change: Change) -> Alert {
    let Change { state, held, seen, since, at } = change;
    let message = match state {
        AlertState::Raised => words::raised(name, &seen, &held, &spec.when),
        AlertState::Cleared => words::cleared(name, seen.value, held.cause, &spec.when),
    };
    let kind = held.cause.kind();
    Alert {
        rule: Arc::clone(&spec.name),
        device,
        metric: Some(metric),
        kind,
        state,
        severity: spec.severity,
        value: Some(seen.value),
        score: (kind == AlertKind::Anomaly).then_some(seen.score),
        since,
        at,
        message,
    }
}

fn farewell(orphan: Orphan, now: Timestamp) -> Alert {
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
        since: orphan.since,
        at: now,
        message,
    }
}
