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
mod messages;
mod reading_order;
mod rule;
mod silence;
mod sliding_minimum;
mod state;
mod subject;
mod suppression;

use std::time::Duration;

use gateway_core::{Alert, AlertState, DeviceId, MetricId, Now, Reading, Score, Timestamp};
use serde::{Deserialize, Serialize};

pub use active::ActiveAlert;
pub use rule::{ANOMALY, Conditions, Rule, RuleProblem, RuleSpec};
pub use subject::{DeviceSubject, Subject};

use silence::{ClockWatch, Silence};
use state::{RuleContext, RuleState};
use subject::{Device, OrphanedAlert, RuleChanges};

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
}

impl Alerts {
    /// Rules' names are unique; of two with one name, the first keeps the state at [`Self::reconfigure`].
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules,
            devices: Vec::new(),
            orphans: Vec::new(),
            watch: ClockWatch::default(),
            next_silence: None,
            next_due: None,
            hold: DEFAULT_HOLD,
        }
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
        self.check_clock(now.at);
        let Some(device) = known(&mut self.devices, subject.device) else { return };
        if !device.matched {
            device.match_rules(&self.rules, &subject.whole(), &mut self.orphans);
            self.next_silence = schedule_check(self.next_silence, &device.silences);
        }
        device.last_seen = Some(now.at);
        let mut ended = end_silences(&mut device.silences, &self.rules, (subject, None), now.at, out);

        let Some(series) = device.series(subject.metric) else { return };
        if !series.matched {
            series.match_rules(&self.rules, subject, &mut self.orphans);
            self.next_silence = schedule_check(self.next_silence, &series.silences);
        }
        series.last_seen = Some(now.at);
        ended |=
            end_silences(&mut series.silences, &self.rules, (subject, Some(subject.metric)), now.at, out);
        if ended {
            self.next_silence = Some(Timestamp::EPOCH);
        }
        if series.rule_states.is_empty() || !series.admit(reading, now.at) {
            return;
        }
        for rule_state in &mut series.rule_states {
            let Some(rule) = self.rules.get(rule_state.rule as usize) else { continue };
            let context = RuleContext { rule: rule.spec(), hold: self.hold, at: reading.at, now: now.at };
            if let Some(change) = rule_state.observe(&context, reading, score) {
                let message_context = alert_builder::context(subject, series.unchanged.length());
                let of = (subject.metric, &message_context);
                out.push(alert_builder::of_series(rule.spec(), subject.device, of, &change));
            } else if let Some(due) = rule_state.due(rule.spec()) {
                self.next_due = Some(earliest(self.next_due, due));
            }
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
            let context = RuleContext { rule: rule.spec(), hold: self.hold, at, now: now.at };
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
        out.extend(self.orphans.drain(..).map(|orphan| alert_builder::rule_removed(orphan, now.at)));
        if self.next_due.is_some_and(|due| due <= now.at) {
            self.raise_due(now.at, out);
        }
        if self.next_silence.is_some_and(|due| due <= now.at) {
            self.raise_silent(now.at, out);
        }
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
        self.next_due = next;
    }

    fn raise_silent(&mut self, now: Timestamp, out: &mut Vec<Alert>) {
        let mut next: Option<Timestamp> = None;
        for (id, device) in (0..).map(DeviceId).zip(&mut self.devices) {
            let mut watched =
                SilenceCheck { rules: &self.rules, device: id, name: &device.name, now, next: &mut next };
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
        let due = [self.next_silence, self.next_due].into_iter().flatten().min()?;
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
        self.next_silence = self.next_silence.map(|_| Timestamp::EPOCH);
        self.next_due = self.next_due.map(|_| Timestamp::EPOCH);
    }
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

/// One device that [`Alerts::advance`] checks for silence.
struct SilenceCheck<'a> {
    rules: &'a [Rule],
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
            let Some(after) = rule.silent_after() else { continue };
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
