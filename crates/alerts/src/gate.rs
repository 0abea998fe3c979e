//! What lies between an alert's condition and those who are told: hours, cooldown, silencing, reminders, escalation,
//! acknowledgement.
//!
//! - An alert that is raised while it may not be told (outside `between`, within `cooldown`, silenced) is held back. If its
//!   condition ends meanwhile nobody hears of it; if not, it is raised when the reason is gone.
//! - Whoever heard `raised` hears `cleared`, once, with the same `since`.
//! - An alert that needs none of this passes as it is, and costs nothing here. The rest is bounded by the series times
//!   the rules that match them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::settings::HumanDuration;
use gateway_core::{Alert, AlertState, DeviceId, MetricId, Notice, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::rule::{Policy, Rule};

/// Which alert: rule, device, metric.
type Key = (Arc<str>, DeviceId, Option<MetricId>);

/// Most silences at once.
pub const MAX_MUTES: usize = 256;
/// How long it is remembered in which millisecond an alert was raised and cleared.
const FLAPS_FOR: Duration = Duration::from_secs(10);
/// How often hours are looked at: they are in minutes.
const MINUTE_MILLIS: i64 = 60_000;

/// For a while nobody is told of some alerts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// None for all devices.
    pub devices: Option<Vec<DeviceId>>,
    /// None for all rules.
    pub rule: Option<Arc<str>>,
    /// By the gateway's clock.
    pub until: Timestamp,
}

impl Mute {
    fn covers(&self, alert: &Alert) -> bool {
        self.rule.as_ref().is_none_or(|rule| *rule == alert.rule)
            && self.devices.as_ref().is_none_or(|devices| devices.contains(&alert.device))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Stage {
    /// The condition holds, and nobody was told yet.
    Held { not_before: Timestamp },
    /// Raised, by the gateway's clock at `at`.
    Told { at: Timestamp, reminders: u32, is_escalated: bool, is_acknowledged: bool },
    /// Cleared, and not raised again before.
    Cooling { until: Timestamp },
    /// Cleared in the millisecond in which it was raised. Raised in it again, it takes the next one, so that no two
    /// have one id.
    Flapped { until: Timestamp },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    stage: Stage,
    /// As it was raised; its `since` is the one that was told.
    alert: Alert,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    entries: BTreeMap<Key, Entry>,
    mutes: Vec<Mute>,
    /// Nothing is due before.
    next: Option<Timestamp>,
}

/// What is known of an alert that is raised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) is_told: bool,
    pub(crate) is_acknowledged: bool,
    pub(crate) severity: Severity,
    pub(crate) since: Timestamp,
}

impl Gate {
    /// Lets the alerts of `out` from `from` on pass, or holds them back.
    pub(crate) fn pass(&mut self, rules: &[Rule], now: Timestamp, from: usize, out: &mut Vec<Alert>) {
        if out.len() <= from {
            return;
        }
        let came = out.split_off(from);
        for alert in came {
            let policy = policy(rules, &alert.rule);
            match alert.state {
                AlertState::Raised => self.raised(policy, alert, now, out),
                AlertState::Cleared => self.cleared(policy, alert, now, out),
                AlertState::Acknowledged => out.push(alert),
            }
        }
    }

    fn raised(&mut self, policy: Option<&Policy>, mut alert: Alert, now: Timestamp, out: &mut Vec<Alert>) {
        let key = key(&alert);
        if let Some(Entry { stage: Stage::Flapped { .. }, alert: before }) = self.entries.get(&key)
            && alert.since <= before.since
        {
            alert.since = before.since + Duration::from_millis(1);
            self.tell(key, alert, now, out);
            return;
        }
        let not_before = match self.entries.get(&key).map(|entry| &entry.stage) {
            Some(Stage::Cooling { until }) => *until,
            _ => Timestamp::EPOCH,
        };
        if self.is_blocked(policy, &alert, not_before, now) {
            self.wake_at(now);
            self.entries.insert(key, Entry { stage: Stage::Held { not_before }, alert });
            return;
        }
        if policy.is_none_or(Policy::is_plain) {
            self.entries.remove(&key);
            out.push(alert);
        } else {
            self.tell(key, alert, now, out);
        }
    }

    fn tell(&mut self, key: Key, alert: Alert, now: Timestamp, out: &mut Vec<Alert>) {
        out.push(alert.clone());
        self.wake_at(now);
        self.entries.insert(key, Entry { stage: told(now), alert });
    }

    fn cleared(&mut self, policy: Option<&Policy>, mut alert: Alert, now: Timestamp, out: &mut Vec<Alert>) {
        let key = key(&alert);
        match self.entries.remove(&key) {
            Some(Entry { stage: Stage::Held { not_before }, alert: held }) => {
                if not_before > now {
                    let stage = Stage::Cooling { until: not_before };
                    self.entries.insert(key, Entry { stage, alert: held });
                }
                return;
            }
            Some(Entry { stage: Stage::Told { .. }, alert: told }) => {
                (alert.since, alert.severity) = (told.since, told.severity);
            }
            Some(Entry { stage: Stage::Cooling { .. } | Stage::Flapped { .. }, .. }) | None => {}
        }
        let cooldown = policy.map_or(Duration::ZERO, |policy| policy.cooldown);
        if !cooldown.is_zero() {
            let until = now + cooldown;
            self.wake_at(until);
            self.entries.insert(key, Entry { stage: Stage::Cooling { until }, alert: alert.clone() });
        } else if alert.at <= alert.since {
            let until = now + FLAPS_FOR;
            self.wake_at(until);
            self.entries.insert(key, Entry { stage: Stage::Flapped { until }, alert: alert.clone() });
        }
        out.push(alert);
    }

    fn is_blocked(
        &self,
        policy: Option<&Policy>,
        alert: &Alert,
        not_before: Timestamp,
        now: Timestamp,
    ) -> bool {
        now < not_before || is_outside(policy, now) || self.is_muted(alert, now)
    }

    fn is_muted(&self, alert: &Alert, now: Timestamp) -> bool {
        self.mutes.iter().any(|mute| now < mute.until && mute.covers(alert))
    }

    /// What is due by `now`.
    pub(crate) fn advance(&mut self, rules: &[Rule], now: Timestamp, out: &mut Vec<Alert>) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.mutes.retain(|mute| now < mute.until);
        self.next = None;
        for (key, mut entry) in std::mem::take(&mut self.entries) {
            let policy = policy(rules, &key.0);
            match entry.stage {
                Stage::Cooling { until } | Stage::Flapped { until } if until <= now => continue,
                Stage::Cooling { .. } | Stage::Flapped { .. } => {}
                Stage::Held { not_before } if self.is_blocked(policy, &entry.alert, not_before, now) => {}
                Stage::Held { .. } => {
                    (entry.alert.since, entry.alert.at) = (now, now);
                    self.tell(key, entry.alert, now, out);
                    continue;
                }
                Stage::Told { .. } if is_outside(policy, now) => {
                    out.push(Alert {
                        state: AlertState::Cleared,
                        at: now,
                        message: "outside of the rule's hours".to_owned(),
                        ..entry.alert.clone()
                    });
                    entry.stage = Stage::Held { not_before: Timestamp::EPOCH };
                }
                Stage::Told { .. } => self.remind(policy, &mut entry, now, out),
            }
            if let Some(due) = self.due(policy, &entry, now) {
                self.wake_at(due);
            }
            self.entries.insert(key, entry);
        }
    }

    /// Reminders and escalation of an alert that was told.
    fn remind(&self, policy: Option<&Policy>, entry: &mut Entry, now: Timestamp, out: &mut Vec<Alert>) {
        let is_muted = self.is_muted(&entry.alert, now);
        let Stage::Told { at, reminders, is_escalated, is_acknowledged: false } = &mut entry.stage else {
            return;
        };
        let Some(policy) = policy.filter(|_| !is_muted) else { return };
        if let Some(escalate) =
            policy.escalate.filter(|escalate| !*is_escalated && *at + escalate.after <= now)
        {
            *is_escalated = true;
            entry.alert.severity = escalate.severity;
            let after = HumanDuration(escalate.after);
            let message = format!("not acknowledged for {after}: {}", entry.alert.message);
            out.push(Alert { at: now, message, notice: Some(Notice::Escalated), ..entry.alert.clone() });
        }
        let Some(every) = policy.remind else { return };
        let passed = now.since(*at).as_millis() / every.as_millis().max(1);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed > *reminders {
            // Those of a time in which the gateway did not run are one.
            *reminders = passed;
            let message = format!("still, after {}: {}", HumanDuration(every * passed), entry.alert.message);
            out.push(Alert {
                at: now,
                message,
                notice: Some(Notice::Reminder(passed)),
                ..entry.alert.clone()
            });
        }
    }

    /// When the entry must be looked at again.
    fn due(&self, policy: Option<&Policy>, entry: &Entry, now: Timestamp) -> Option<Timestamp> {
        let minute = Timestamp::from_millis(
            (now.as_millis().div_euclid(MINUTE_MILLIS) + 1).saturating_mul(MINUTE_MILLIS),
        );
        let hours = policy.is_some_and(|policy| policy.between.is_some()).then_some(minute);
        match entry.stage {
            Stage::Cooling { until } | Stage::Flapped { until } => Some(until),
            Stage::Held { not_before } => {
                let unmuted =
                    self.mutes.iter().filter(|mute| mute.covers(&entry.alert)).map(|mute| mute.until).max();
                let after = [Some(not_before).filter(|at| now < *at), unmuted].into_iter().flatten().max();
                hours.or(after).or(Some(minute))
            }
            Stage::Told { is_acknowledged: true, .. } => hours,
            Stage::Told { at, reminders, is_escalated, .. } => {
                let escalate = policy.and_then(|policy| policy.escalate).filter(|_| !is_escalated);
                let escalate = escalate.map(|escalate| at + escalate.after);
                let remind = policy.and_then(|policy| policy.remind);
                let remind = remind.map(|every| at + every * reminders.saturating_add(1));
                [hours, escalate, remind]
                    .into_iter()
                    .flatten()
                    .min()
                    .map(|due| due.max(now + Duration::from_secs(1)))
            }
        }
    }

    /// Takes note of a raised alert; false where somebody did before.
    pub(crate) fn acknowledge(&mut self, alert: Alert, now: Timestamp) -> bool {
        let entry = self.entries.entry(key(&alert)).or_insert(Entry { stage: told(now), alert });
        let Stage::Told { is_acknowledged, .. } = &mut entry.stage else { return false };
        !std::mem::replace(is_acknowledged, true)
    }

    /// False where there are too many.
    pub(crate) fn mute(&mut self, mute: Mute, now: Timestamp) -> bool {
        self.mutes.retain(|known| {
            now < known.until && (&known.devices, &known.rule) != (&mute.devices, &mute.rule)
        });
        if self.mutes.len() >= MAX_MUTES {
            return false;
        }
        self.wake_at(now);
        if now < mute.until {
            self.mutes.push(mute);
        }
        true
    }

    pub(crate) fn mutes(&self) -> &[Mute] {
        &self.mutes
    }

    /// What is known of a raised alert; none where it is as its rule has it.
    pub(crate) fn standing(
        &self,
        rule: &Arc<str>,
        device: DeviceId,
        metric: Option<MetricId>,
    ) -> Option<Standing> {
        if self.entries.is_empty() {
            return None;
        }
        let entry = self.entries.get(&(Arc::clone(rule), device, metric))?;
        let is_acknowledged = matches!(entry.stage, Stage::Told { is_acknowledged: true, .. });
        let is_told = matches!(entry.stage, Stage::Told { .. });
        Some(Standing { is_told, is_acknowledged, severity: entry.alert.severity, since: entry.alert.since })
    }

    pub(crate) const fn next_deadline(&self) -> Option<Timestamp> {
        self.next
    }

    /// Rules changed: everything is looked at again.
    pub(crate) fn reconfigure(&mut self) {
        self.next = (!self.entries.is_empty()).then_some(Timestamp::EPOCH);
    }

    /// The clock was set, or the gateway did not listen.
    pub(crate) fn shift(&mut self, shifted: impl Fn(Timestamp) -> Timestamp) {
        for entry in self.entries.values_mut() {
            match &mut entry.stage {
                Stage::Held { not_before: at }
                | Stage::Told { at, .. }
                | Stage::Cooling { until: at }
                | Stage::Flapped { until: at } => {
                    *at = shifted(*at);
                }
            }
        }
        self.mutes.iter_mut().for_each(|mute| mute.until = shifted(mute.until));
        self.reconfigure();
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

fn key(alert: &Alert) -> Key {
    (Arc::clone(&alert.rule), alert.device, alert.metric)
}

const fn told(at: Timestamp) -> Stage {
    Stage::Told { at, reminders: 0, is_escalated: false, is_acknowledged: false }
}

/// None where the rule is gone.
fn policy<'a>(rules: &'a [Rule], name: &str) -> Option<&'a Policy> {
    rules.iter().map(Rule::spec).find(|spec| *spec.name == *name).map(|spec| &spec.policy)
}

fn is_outside(policy: Option<&Policy>, now: Timestamp) -> bool {
    policy.and_then(|policy| policy.between.as_ref()).is_some_and(|hours| !hours.contain(now))
}
