//! Alert rules (`[alerts.*]`, and the anomaly model's own) and their state: pending, raised, cleared.
//!
//! Sans-IO: readings and the time go in, alerts come out, in an order that depends on nothing else. What it promises:
//! - An alert is raised once and cleared once, with the same `since`; hysteresis (`clear_by`), `for`, and for
//!   anomalies three normal readings and five minutes between raises, keep it from flapping.
//! - An anomaly that was notified or acknowledged is held back: [`suppression`](mod@suppression) says what counts as the
//!   same anomaly, and for how long.
//! - A reading older than the newest of its series neither raises nor clears; it does show that its device is alive.
//! - Serialised and restored, or given new rules, it goes on where it stood: nothing is raised twice. An alert whose
//!   rule is gone, or no longer matches the device, is cleared.
//! - A condition that has held for `for` is raised by the next reading or by the clock, whichever is first: a device
//!   that reports only changes keeps its value until it reports another one.
//! - Silence and `for` are counted by the clock, but only while the gateway listens. A device is watched from its first
//!   reading on. After a long absence of ours ([`Alerts::was_away`]) it has its whole `silent_for` again.
//! - Its size is bounded by the registry's devices and metrics; a rate keeps at most 130 points.

mod active;
mod alert_builder;
pub mod expression;
mod gate;
mod hours;
mod intervals;
mod messages;
mod reading_order;
mod rule;
mod silence;
mod sliding_minimum;
mod state;
mod stored_rule;
mod subject;
mod suppression;
mod watched;

use std::time::Duration;

use gateway_core::{Alert, AlertState, DeviceId, MetricId, Now, Reading, Score, Summary, Timestamp};
use serde::{Deserialize, Serialize};

pub use active::ActiveAlert;
pub use gate::{MAX_MUTES, Mute};
pub use hours::Hours;
pub use rule::{ANOMALY, Conditions, Escalation, Policy, Rule, RuleProblem, RuleSpec};
pub use subject::{DeviceSubject, Subject};

use gate::Gate;
use intervals::Intervals;
use silence::{ClockWatch, Silence};
use state::{RuleContext, RuleState};
use subject::{Device, OrphanedAlert, RuleChanges};
use watched::{Expressions, News, Value};

/// How long a notified anomaly is held back by default: a day and a half, so that what comes
/// back the next day, an hour earlier or later, is not notified again at once.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(36 * 3600);

/// All rules and their state on every series. Serialise it to keep it over a restart.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alerts {
    rules: Vec<Rule>,
    /// By [`DeviceId`].
    devices: Vec<Device>,
    orphans: Vec<OrphanedAlert>,
    watch: ClockWatch,
    /// No device or series can become silent before this.
    next_silence: Option<Timestamp>,
    /// No pending alert is due before this.
    next_due: Option<Timestamp>,
    hold: Duration,
    /// A part of its own, because it came later: see [`Self::additions`].
    #[serde(skip)]
    additions: Additions,
    /// Whether any rule has `when`.
    #[serde(skip)]
    has_expressions: bool,
}

/// The state of what rules gained in 2026-11: expressions, `silent_for = "auto"`, and what lies between an alert and those who
/// are told. Kept beside [`Alerts`], whose stored form is older.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Additions {
    gate: Gate,
    intervals: Intervals,
    expressions: Expressions,
}

impl Alerts {
    /// Rules' names are unique; of two with one name, the first keeps the state at [`Self::reconfigure`].
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            has_expressions: has_expressions(&rules),
            rules,
            devices: Vec::new(),
            orphans: Vec::new(),
            watch: ClockWatch::default(),
            next_silence: None,
            next_due: None,
            hold: DEFAULT_HOLD,
            additions: Additions::default(),
        }
    }

    /// What is to be stored beside this.
    #[must_use]
    pub const fn additions(&self) -> &Additions {
        &self.additions
    }

    /// Restores what was stored beside this; to be called after this was read, in any case.
    pub fn restore(&mut self, additions: Additions) {
        self.has_expressions = has_expressions(&self.rules);
        self.additions = additions;
    }

    /// For how long a notified anomaly is held back, from the next one on: `[anomaly] hold`; zero for not at all.
    pub fn set_hold(&mut self, hold: Duration) {
        self.hold = hold;
    }

    /// New rules, and perhaps new names and zones of devices. Rules that still exist, by name, keep their state, but
    /// what was pending under other conditions begins again; alerts of the others are cleared by the next
    /// [`Self::advance`].
    pub fn reconfigure(&mut self, rules: Vec<Rule>) {
        let changes = RuleChanges { old: &self.rules, new: &rules };
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            device.matched = false;
            changes.silences(&mut device.silences, (id, None), &mut self.orphans);
            changes.rule_states(&mut device.rule_states, (id, None), &mut self.orphans);
            for series in &mut device.series {
                series.matched = false;
                let of = (id, Some(series.metric));
                changes.silences(&mut series.silences, of, &mut self.orphans);
                changes.rule_states(&mut series.rule_states, of, &mut self.orphans);
            }
        }
        self.additions.expressions.reconfigure(&changes, &mut self.orphans);
        self.additions.gate.reconfigure();
        self.has_expressions = has_expressions(&rules);
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
        let from = out.len();
        self.judge(subject, reading, score, now, out);
        self.additions.gate.pass(&self.rules, now.at, from, out);
    }

    fn judge(
        &mut self,
        subject: &Subject<'_>,
        reading: &Reading,
        score: &Score,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        self.check_clock(now.at);
        let Some(device) = known(&mut self.devices, subject.device) else { return };
        if !device.matched {
            device.match_rules(&self.rules, &subject.whole(), &mut self.orphans);
            self.next_silence = schedule_check(self.next_silence, &device.silences);
        }
        let intervals = &mut self.additions.intervals;
        learn_interval(
            intervals,
            &self.rules,
            &device.silences,
            (subject.device, None),
            device.last_seen,
            now.at,
        );
        device.last_seen = Some(now.at);
        let mut ended = end_silences(&mut device.silences, &self.rules, (subject, None), now.at, out);

        let Some(series) = device.series(subject.metric) else { return };
        if !series.matched {
            series.match_rules(&self.rules, subject, &mut self.orphans);
            self.next_silence = schedule_check(self.next_silence, &series.silences);
        }
        let of = (subject.device, Some(subject.metric));
        let due = learn_interval(intervals, &self.rules, &series.silences, of, series.last_seen, now.at);
        self.next_silence = [self.next_silence, due].into_iter().flatten().min();
        series.last_seen = Some(now.at);
        ended |=
            end_silences(&mut series.silences, &self.rules, (subject, Some(subject.metric)), now.at, out);
        if ended {
            self.next_silence = Some(Timestamp::EPOCH);
        }
        if series.rule_states.is_empty() && !self.has_expressions {
            return;
        }
        let previous = series.unchanged.value();
        if !series.admit(reading, now.at) {
            return;
        }
        let unchanged = series.unchanged.length();
        for rule_state in &mut series.rule_states {
            let Some(rule) = self.rules.get(rule_state.rule as usize) else { continue };
            let context =
                RuleContext { rule: rule.spec(), hold: self.hold, at: reading.at, now: now.at, previous };
            let first = rule_state.observe(&context, reading, score);
            let is_followed = first.is_some_and(|change| change.is_followed(previous, reading.value));
            let second = if is_followed { rule_state.observe(&context, reading, score) } else { None };
            let message_context = alert_builder::context(subject, unchanged);
            let changes = [first, second].into_iter().flatten();
            let of = (subject.metric, &message_context);
            out.extend(
                changes.map(|change| alert_builder::of_series(rule.spec(), subject.device, of, &change)),
            );
            if let Some(due) = rule_state.due(rule.spec()) {
                self.next_due = Some(earliest(self.next_due, due));
            }
        }
        if self.has_expressions {
            let value = Value::Reading(reading.value);
            let news = News { metric: subject.metric, name: subject.metric_name, value, at: reading.at };
            self.evaluate(&subject.whole(), &news, now, out);
        }
    }

    /// Takes what a closed window says of its metrics, for the rules with `when` that read it.
    pub fn observe_window<'a>(
        &mut self,
        subject: &DeviceSubject<'_>,
        at: Timestamp,
        metrics: impl IntoIterator<Item = (MetricId, &'a str, &'a Summary)>,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        if !self.has_expressions {
            return;
        }
        let from = out.len();
        for (metric, name, summary) in metrics {
            let news = News { metric, name, value: Value::Window(summary), at };
            self.evaluate(subject, &news, now, out);
        }
        self.additions.gate.pass(&self.rules, now.at, from, out);
    }

    fn evaluate(&mut self, subject: &DeviceSubject<'_>, news: &News<'_>, now: Now, out: &mut Vec<Alert>) {
        let expressions = &mut self.additions.expressions;
        if let Some(due) = expressions.observe(&self.rules, subject, news, now, out, &mut self.orphans) {
            self.next_due = Some(earliest(self.next_due, due));
        }
    }

    /// Judges one closed window of a device as a whole, which began at `at`: whether the combination of its values is an anomaly
    /// ([`gateway_core::AnomalyKind::Combination`]), by the rules that have `anomaly` and no `metric`. The alert has no metric;
    /// it is cleared after two normal windows. `values` are those that do not fit each other, for people, or empty:
    /// `temperature 21, heating 100`.
    pub fn observe_device(
        &mut self,
        subject: &DeviceSubject<'_>,
        at: Timestamp,
        score: &Score,
        values: &str,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        let from = out.len();
        self.judge_device(subject, at, score, values, now, out);
        self.additions.gate.pass(&self.rules, now.at, from, out);
    }

    fn judge_device(
        &mut self,
        subject: &DeviceSubject<'_>,
        at: Timestamp,
        score: &Score,
        values: &str,
        now: Now,
        out: &mut Vec<Alert>,
    ) {
        self.check_clock(now.at);
        let Some(device) = known(&mut self.devices, subject.device) else { return };
        if !device.matched {
            device.match_rules(&self.rules, subject, &mut self.orphans);
            self.next_silence = schedule_check(self.next_silence, &device.silences);
        }
        if device.rule_states.is_empty() || !device.admit(at, now.at) {
            return;
        }
        for rule_state in &mut device.rule_states {
            let Some(rule) = self.rules.get(rule_state.rule as usize) else { continue };
            let context =
                RuleContext { rule: rule.spec(), hold: self.hold, at, now: now.at, previous: f64::NAN };
            if let Some(change) = rule_state.observe_device(&context, score) {
                out.push(alert_builder::of_device(rule.spec(), subject.device, values, &change));
            } else if let Some(due) = rule_state.due(rule.spec()) {
                self.next_due = Some(earliest(self.next_due, due));
            }
        }
    }

    /// What the passing of time raises: silence, and what has held for as long as `for` says. Also clears what
    /// [`Self::reconfigure`] left behind. To be called when [`Self::next_deadline`] is due, and at once when the clock was set back (time until then counts for nothing).
    pub fn advance(&mut self, now: Now, out: &mut Vec<Alert>) {
        self.check_clock(now.at);
        let from = out.len();
        out.extend(self.orphans.drain(..).map(|orphan| alert_builder::rule_removed(orphan, now.at)));
        if self.next_due.is_some_and(|due| due <= now.at) {
            self.raise_due(now.at, out);
        }
        if self.next_silence.is_some_and(|due| due <= now.at) {
            self.raise_silent(now.at, out);
        }
        self.additions.gate.pass(&self.rules, now.at, from, out);
        self.additions.gate.advance(&self.rules, now.at, out);
    }

    fn raise_due(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        let mut next: Option<Timestamp> = None;
        let mut look = |rule_state: &mut RuleState| {
            let spec = self.rules.get(rule_state.rule as usize)?.spec();
            let change = rule_state.raise_if_due(spec, self.hold, now);
            if change.is_none()
                && let Some(due) = rule_state.due(spec)
            {
                next = Some(earliest(next, due));
            }
            Some((spec, change?))
        };
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            for rule_state in &mut device.rule_states {
                if let Some((spec, change)) = look(rule_state) {
                    out.push(alert_builder::of_device(spec, id, "", &change));
                }
            }
            for series in &mut device.series {
                for index in 0..series.rule_states.len() {
                    let found = series.rule_states.get_mut(index).and_then(&mut look);
                    if let Some((spec, change)) = found {
                        let of = (series.metric, &alert_builder::context_of_series(series));
                        out.push(alert_builder::of_series(spec, id, of, &change));
                    }
                }
            }
        }
        let due = self.additions.expressions.raise_due(&self.rules, now, out);
        self.next_due = [next, due].into_iter().flatten().min();
    }

    fn raise_silent(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        let mut next: Option<Timestamp> = None;
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            let mut watched = SilenceCheck {
                rules: &self.rules,
                intervals: &self.additions.intervals,
                device: id,
                name: &device.name,
                now,
                next: &mut next,
            };
            watched.judge(&mut device.silences, None, device.last_seen, out);
            for series in &mut device.series {
                let metric = Some((series.metric, &*series.name));
                watched.judge(&mut series.silences, metric, series.last_seen, out);
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
        let due = [self.next_silence, self.next_due, self.additions.gate.next_deadline()];
        let due = due.into_iter().flatten().min()?;
        Some(self.watch.next_look().map_or(due, |look| look.min(due)))
    }

    /// Between `since` and `now`, both by the present clock, the gateway did not listen: the machine slept, or the gateway was
    /// stopped. Call it before all other calls for that time. If the clock is now before `since`, it
    /// was set back meanwhile, and for how long is not known.
    ///
    /// What is raised stays raised. That time is no part of a `for`. A device may have sent meanwhile: after
    /// more than 90 s, or an unknown time, it has its whole `silent_for` from now on; less is only not counted, so
    /// that a gateway that restarts again and again still notices who is silent.
    pub fn was_away(&mut self, since: Timestamp, now: Now) {
        let away = now.at.millis_after(since);
        self.watch.was_away(away);
        self.shift(away);
        // The clock may have been set besides.
        self.check_clock(now.at);
        if !silence::is_short(away) {
            for device in &mut self.devices {
                device.last_seen = device.last_seen.map(|_| now.at);
                for series in &mut device.series {
                    series.last_seen = series.last_seen.map(|_| now.at);
                }
            }
        }
    }

    /// Time that the gateway was away, or that its clock was set by, counts neither as silence nor as part of a `for`.
    fn check_clock(&mut self, now: Timestamp) {
        let jump = self.watch.look(now);
        if jump != 0 {
            self.shift(jump);
        }
    }

    /// Moves what is counted by the clock on by `jump` milliseconds, of either sign.
    fn shift(&mut self, jump: i64) {
        let shifted = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(jump));
        for device in &mut self.devices {
            device.last_seen = device.last_seen.map(shifted);
            device.rule_states.iter_mut().for_each(|rule_state| rule_state.shift(shifted));
            for series in &mut device.series {
                series.last_seen = series.last_seen.map(shifted);
                series.rule_states.iter_mut().for_each(|rule_state| rule_state.shift(shifted));
            }
        }
        self.additions.expressions.shift(shifted);
        self.additions.gate.shift(shifted);
        self.next_silence = self.next_silence.map(|_| Timestamp::EPOCH);
        self.next_due = self.next_due.map(|_| Timestamp::EPOCH);
    }
}

fn has_expressions(rules: &[Rule]) -> bool {
    rules.iter().any(|rule| rule.expression().is_some())
}

/// A device, made where it is new.
fn known(devices: &mut Vec<Device>, id: DeviceId) -> Option<&mut Device> {
    let index = id.0 as usize;
    if index >= devices.len() {
        devices.resize_with(index + 1, Device::default);
    }
    devices.get_mut(index)
}

fn earliest(next: Option<Timestamp>, due: Timestamp) -> Timestamp {
    next.map_or(due, |next| next.min(due))
}

/// A new device or series is watched: the next [`Alerts::advance`] checks all.
fn schedule_check(next: Option<Timestamp>, silences: &[Silence]) -> Option<Timestamp> {
    if silences.is_empty() { next } else { Some(Timestamp::EPOCH) }
}

/// For rules with `silent_for = "auto"`; when silence would be raised, where the interval is known.
fn learn_interval(
    intervals: &mut Intervals,
    rules: &[Rule],
    silences: &[Silence],
    of: (DeviceId, Option<MetricId>),
    before: Option<Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    // A silence that was told is no usual interval.
    let waiting = silences.iter().filter(|silence| silence.since.is_none());
    let rule = waiting
        .filter_map(|silence| rules.get(silence.rule as usize))
        .find(|rule| rule.spec().when.silent_auto)?;
    intervals.observe(of, before, now);
    Some(now + rule.silent_after(intervals.usual(of))?)
}

/// One device that [`Alerts::advance`] checks for silence.
struct SilenceCheck<'a> {
    rules: &'a [Rule],
    intervals: &'a Intervals,
    device: DeviceId,
    name: &'a str,
    now: Timestamp,
    /// The earliest silence still to come.
    next: &'a mut Option<Timestamp>,
}

impl SilenceCheck<'_> {
    fn judge(
        &mut self,
        silences: &mut [Silence],
        metric: Option<(MetricId, &str)>,
        last_seen: Option<Timestamp>,
        out: &mut Vec<Alert>,
    ) {
        let Some(last_seen) = last_seen else { return };
        for silence in silences.iter_mut().filter(|silence| silence.since.is_none()) {
            let Some(rule) = self.rules.get(silence.rule as usize) else { continue };
            let usual = self.intervals.usual((self.device, metric.map(|(id, _)| id)));
            let Some(after) = rule.silent_after(usual) else {
                // Not learnt yet. Something must be due, so that the clock goes on being looked at.
                *self.next = Some(earliest(*self.next, self.now + silence::HEARTBEAT));
                continue;
            };
            let due = last_seen + after;
            if due > self.now {
                *self.next = Some(earliest(*self.next, due));
                continue;
            }
            silence.since = Some(self.now);
            let message = messages::silent(self.name, metric.map(|(_, name)| name), after);
            let of = (self.device, metric.map(|(id, _)| id));
            let times = (self.now, self.now);
            out.push(alert_builder::silence(rule.spec(), of, AlertState::Raised, times, message));
        }
    }
}
/// Clears the active ones; whether there were any.
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
        let message = messages::heard_again(subject.device_name, metric.map(|_| subject.metric_name));
        let of = (subject.device, metric);
        out.push(alert_builder::silence(rule.spec(), of, AlertState::Cleared, (since, now), message));
    }
    ended
}
