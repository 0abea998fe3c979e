//! One rule on one series: calm, pending, raised, and what moves it.

use std::time::Duration;

use gateway_core::{AlertKind, AlertState, Oddity, Reading, Score, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lowest::Lowest;
use crate::rule::{Conditions, RuleSpec};

/// An anomaly is over when so many readings in a row were ordinary.
const CALM_READINGS: u8 = 3;
/// A series raises no second anomaly within this much event time.
const ANOMALY_REST: Duration = Duration::from_secs(300);
/// Relative; far above what binary fractions leave behind, far below what a sensor tells apart.
const ROUNDING: f64 = 1e-9;

/// Which condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    Above,
    Below,
    Rises,
    Falls,
    Anomaly,
}

impl Cause {
    pub(crate) const fn kind(self) -> AlertKind {
        match self {
            Self::Above | Self::Below => AlertKind::Threshold,
            Self::Rises | Self::Falls => AlertKind::Rate,
            Self::Anomaly => AlertKind::Anomaly,
        }
    }
}

/// A condition that holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) cause: Cause,
    /// How far the value rose or fell; the value, or the score, for other causes.
    pub(crate) amount: f64,
}

/// What of a reading an alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) value: f64,
    pub(crate) score: f64,
    pub(crate) expected: Option<(f64, f64)>,
    pub(crate) stuck: bool,
}

impl Seen {
    fn of(reading: &Reading, score: &Score) -> Self {
        let stuck = score.oddity == Some(Oddity::Stuck);
        Self { value: reading.value, score: score.value, expected: score.expected, stuck }
    }
}

/// A rule raised or cleared by a reading, or raised by the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    pub(crate) state: AlertState,
    pub(crate) held: Held,
    /// The last reading.
    pub(crate) seen: Seen,
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
}

/// A condition that holds, but not yet for long enough. Boxed: few rules have a `for`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Event time of the first reading for which it held, later by the time that does not count.
    since: Timestamp,
    /// When that reading came, by the gateway's clock.
    arrived: Timestamp,
    /// By the last reading, as `seen`.
    held: Held,
    seen: Seen,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) enum Phase {
    #[default]
    Calm,
    Pending(Box<Pending>),
    /// The alert is out, for the condition that first held; it stays while any holds.
    Raised {
        since: Timestamp,
        cause: Cause,
    },
}

/// Where a rule stands on one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Index of the rule.
    pub(crate) rule: u32,
    pub(crate) phase: Phase,
    /// Readings in a row that would clear it.
    calm: u8,
    last_anomaly: Option<Timestamp>,
    /// Only where the rule has `rises_by` or `falls_by`.
    lows: Option<Box<Lowest>>,
    /// Of negated values.
    highs: Option<Box<Lowest>>,
}

impl Standing {
    pub(crate) const fn new(rule: u32) -> Self {
        Self { rule, phase: Phase::Calm, calm: 0, last_anomaly: None, lows: None, highs: None }
    }

    /// Readings come in order of their `at`; this one came at `now`.
    pub(crate) fn observe(
        &mut self,
        rule: &RuleSpec,
        reading: &Reading,
        score: &Score,
        now: Timestamp,
    ) -> Option<Change> {
        let held = self.held(&rule.when, rule.clear_by, reading, score);
        match (&mut self.phase, held) {
            (Phase::Calm, None) => None,
            (Phase::Pending(_), None) => {
                self.phase = Phase::Calm;
                None
            }
            (Phase::Calm, Some(held)) if rule.hold_for.is_zero() => {
                self.raise(held, Seen::of(reading, score), reading.at)
            }
            (Phase::Calm, Some(held)) => {
                let seen = Seen::of(reading, score);
                let pending = Pending { since: reading.at, arrived: now, held, seen };
                self.phase = Phase::Pending(Box::new(pending));
                None
            }
            (Phase::Pending(pending), Some(held)) => {
                pending.held = held;
                pending.seen = Seen::of(reading, score);
                let (since, seen) = (pending.since, pending.seen);
                if reading.at.since(since) < rule.hold_for {
                    return None;
                }
                self.raise(held, seen, reading.at)
            }
            (Phase::Raised { .. }, Some(_)) => {
                self.calm = 0;
                None
            }
            (&mut Phase::Raised { since, cause }, None) => {
                self.clear(since, cause, Seen::of(reading, score), reading.at)
            }
        }
    }

    /// When what is pending is raised by the gateway's clock, if no reading says otherwise until then.
    pub(crate) fn due(&self, rule: &RuleSpec) -> Option<Timestamp> {
        let Phase::Pending(pending) = &self.phase else { return None };
        let due = pending.arrived + rule.hold_for;
        match self.last_anomaly {
            Some(last) if pending.held.cause == Cause::Anomaly => Some(due.max(last + ANOMALY_REST)),
            _ => Some(due),
        }
    }

    /// Raises what is due by `now`.
    pub(crate) fn fall_due(&mut self, rule: &RuleSpec, now: Timestamp) -> Option<Change> {
        let due = self.due(rule).filter(|due| *due <= now)?;
        let Phase::Pending(pending) = &self.phase else { return None };
        let (held, seen) = (pending.held, pending.seen);
        self.raise(held, seen, due)
    }

    /// The gateway's clock jumped, or nobody listened: see [`crate::silence`]. Event times are moved too: most are times
    /// of arrival. Where they are the device's own, `arrived` alone decides.
    pub(crate) fn shift(&mut self, shifted: impl Fn(Timestamp) -> Timestamp) {
        if let Phase::Pending(pending) = &mut self.phase {
            pending.since = shifted(pending.since);
            pending.arrived = shifted(pending.arrived);
        }
    }

    /// What was pending begins again with the next reading.
    pub(crate) fn stop_waiting(&mut self) {
        if matches!(self.phase, Phase::Pending(_)) {
            self.phase = Phase::Calm;
        }
    }

    /// The device's clock was set back: what was measured against the old time begins again; what is raised stays.
    pub(crate) fn restart_time(&mut self) {
        self.stop_waiting();
        self.last_anomaly = None;
        for window in [&mut self.lows, &mut self.highs].into_iter().flatten() {
            window.clear();
        }
    }

    fn raise(&mut self, held: Held, seen: Seen, at: Timestamp) -> Option<Change> {
        if held.cause == Cause::Anomaly {
            if self.last_anomaly.is_some_and(|last| at.since(last) < ANOMALY_REST) {
                return None;
            }
            self.last_anomaly = Some(at);
        }
        self.calm = 0;
        self.phase = Phase::Raised { since: at, cause: held.cause };
        Some(Change { state: AlertState::Raised, held, seen, since: at, at })
    }

    fn clear(&mut self, since: Timestamp, cause: Cause, seen: Seen, at: Timestamp) -> Option<Change> {
        self.calm = self.calm.saturating_add(1);
        if cause == Cause::Anomaly && self.calm < CALM_READINGS {
            return None;
        }
        self.phase = Phase::Calm;
        let held = Held { cause, amount: seen.value };
        Some(Change { state: AlertState::Cleared, held, seen, since, at })
    }

    /// The first condition that holds. The one that raised the alert holds until the value is back by `clear_by`.
    fn held(&mut self, when: &Conditions, clear_by: f64, reading: &Reading, score: &Score) -> Option<Held> {
        let value = reading.value;
        // Looked at in any case: they must see every value.
        let rise = when.rises_by.map(|_| value - lowest(&mut self.lows, when.within, reading.at, value));
        let fall = when.falls_by.map(|_| -lowest(&mut self.highs, when.within, reading.at, -value) - value);

        let raised = match self.phase {
            Phase::Raised { cause, .. } => Some(cause),
            Phase::Calm | Phase::Pending(_) => None,
        };
        let margin = |cause| if raised == Some(cause) { clear_by } else { 0.0 };
        let reached = |amount: Option<f64>, limit: Option<f64>, cause| match (amount, limit) {
            (Some(amount), Some(limit)) => amount >= limit || is_within(amount, limit, margin(cause)),
            _ => false,
        };
        let above = |limit: f64| value > limit || is_within(value, limit, margin(Cause::Above));
        let below = |limit: f64| value < limit || is_within(-value, -limit, margin(Cause::Below));

        if when.above.is_some_and(above) {
            Some(Held { cause: Cause::Above, amount: value })
        } else if when.below.is_some_and(below) {
            Some(Held { cause: Cause::Below, amount: value })
        } else if reached(rise, when.rises_by, Cause::Rises) {
            Some(Held { cause: Cause::Rises, amount: rise.unwrap_or_default() })
        } else if reached(fall, when.falls_by, Cause::Falls) {
            Some(Held { cause: Cause::Falls, amount: fall.unwrap_or_default() })
        } else if when.anomaly.is_some_and(|threshold| score.value >= threshold) {
            Some(Held { cause: Cause::Anomaly, amount: score.value })
        } else {
            None
        }
    }
}

/// Behind its limit, but by less than the margin; 21.3 and a margin of 0.1 end at 21.2, although binary fractions
/// put their difference a hair below.
fn is_within(amount: f64, limit: f64, margin: f64) -> bool {
    margin > 0.0 && amount - (limit - margin) > ROUNDING * (limit.abs() + margin)
}

/// The lowest value of the last `within`, `value` included.
fn lowest(lows: &mut Option<Box<Lowest>>, within: Duration, at: Timestamp, value: f64) -> f64 {
    lows.get_or_insert_default().push(at, value, within)
}
