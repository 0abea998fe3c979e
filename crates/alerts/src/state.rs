//! One rule on one series: calm, pending, raised, and what moves it.

use std::time::Duration;

use gateway_core::{AlertKind, AlertState, Oddity, Reading, Score, Timestamp};
use serde::{Deserialize, Serialize};

use crate::lowest::Lowest;
use crate::rule::{Conditions, RuleSpec};
use crate::told::{Memory, Sight, Sort};

/// An anomaly of a series is over when so many readings in a row were ordinary.
const CALM_READINGS: u8 = 3;
/// One of a device as a whole is over when so many windows in a row were.
const CALM_WINDOWS: u8 = 2;
/// Relative; far above what binary fractions leave behind, far below what a sensor tells apart.
const ROUNDING: f64 = 1e-9;

/// A detector that sees the same fault go on says so with at least this score.
const LASTING: f64 = 0.12;
/// A value that stays where it was odd is no news after this, and no longer hides what else may be wrong with it.
const NEWS: Duration = Duration::from_secs(3600);

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

/// What of a reading, or of a window of a device as a whole, an alert tells.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// None of a device as a whole.
    pub(crate) value: Option<f64>,
    pub(crate) score: f64,
    pub(crate) expected: Option<(f64, f64)>,
    pub(crate) oddity: Option<Oddity>,
}

impl Seen {
    const fn of(value: Option<f64>, score: &Score) -> Self {
        Self { value, score: score.value, expected: score.expected, oddity: score.oddity }
    }

    /// Whether what was raised goes on, although its score no longer says so: the model has said it once, and learns.
    fn goes_on(&self, oddity: Option<Oddity>, expected: Option<(f64, f64)>, since: Duration) -> bool {
        if is_fault(oddity) {
            return self.oddity == oddity && self.score >= LASTING;
        }
        let is_back = |value: f64| expected.is_none_or(|(low, high)| low <= value && value <= high);
        since < NEWS && self.value.is_some_and(|value| !is_back(value))
    }

    fn sight(&self) -> Sight {
        Sight::of(self.oddity, self.value, self.score, self.expected)
    }
}

/// What a rule is asked about: when it was, when it came, and how long anomalies are held back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) rule: &'a RuleSpec,
    /// `[anomaly] hold`.
    pub(crate) hold: Duration,
    /// Event time.
    pub(crate) at: Timestamp,
    /// By the gateway's clock.
    pub(crate) now: Timestamp,
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

impl Change {
    /// Whether an odd value is over because it stayed.
    pub(crate) fn has_settled(&self) -> bool {
        self.held.cause == Cause::Anomaly && !is_fault(self.seen.oddity) && self.at.since(self.since) >= NEWS
    }
}

fn is_fault(oddity: Option<Oddity>) -> bool {
    oddity.is_some_and(Oddity::is_of_sensor)
}

/// A condition that holds, but not yet for long enough. Boxed: few rules have a `for`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Event time of the first reading for which it held, later by the time that does not count.
    pub(crate) since: Timestamp,
    /// When that reading came, by the gateway's clock.
    pub(crate) arrived: Timestamp,
    /// By the last reading, as `seen`.
    pub(crate) held: Held,
    pub(crate) seen: Seen,
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
        /// Of an anomaly: in which way, when it was raised.
        oddity: Option<Oddity>,
        /// Of an anomaly: the range in which the value would not have been odd.
        expected: Option<(f64, f64)>,
    },
}

/// Where a rule stands on one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Index of the rule.
    pub(crate) rule: u32,
    pub(crate) phase: Phase,
    /// Readings, or windows, in a row that would clear it.
    pub(crate) calm: u8,
    pub(crate) memory: Memory,
    /// Only where the rule has `rises_by` or `falls_by`.
    pub(crate) lows: Option<Box<Lowest>>,
    /// Of negated values.
    pub(crate) highs: Option<Box<Lowest>>,
}

impl Standing {
    pub(crate) fn new(rule: u32) -> Self {
        Self { rule, phase: Phase::Calm, calm: 0, memory: Memory::default(), lows: None, highs: None }
    }

    /// Readings come in order of their event time.
    pub(crate) fn observe(&mut self, asked: &Asked<'_>, reading: &Reading, score: &Score) -> Option<Change> {
        let held = self.held(&asked.rule.when, asked.rule.clear_by, reading, score);
        if held.is_none() && matches!(self.phase, Phase::Calm) {
            return None;
        }
        self.settle(asked, held, Seen::of(Some(reading.value), score))
    }

    /// A window of a device as a whole; windows come in order.
    pub(crate) fn observe_device(&mut self, asked: &Asked<'_>, score: &Score) -> Option<Change> {
        let held = anomaly(&asked.rule.when, score);
        self.settle(asked, held, Seen::of(None, score))
    }

    fn settle(&mut self, asked: &Asked<'_>, held: Option<Held>, seen: Seen) -> Option<Change> {
        let Asked { rule, hold, at, now } = *asked;
        match (&mut self.phase, held) {
            (Phase::Calm, None) => None,
            (Phase::Pending(_), None) => {
                self.phase = Phase::Calm;
                None
            }
            (Phase::Calm, Some(held)) if rule.hold_for.is_zero() => self.raise(held, seen, at, hold),
            (Phase::Calm, Some(held)) => {
                self.phase = Phase::Pending(Box::new(Pending { since: at, arrived: now, held, seen }));
                None
            }
            (Phase::Pending(pending), Some(held)) => {
                pending.held = held;
                pending.seen = seen;
                if at.since(pending.since) < rule.hold_for {
                    return None;
                }
                self.raise(held, seen, at, hold)
            }
            (&mut Phase::Raised { cause, oddity, .. }, Some(held)) => {
                self.calm = 0;
                if (cause, held.cause) == (Cause::Anomaly, Cause::Anomaly) {
                    self.memory.see(Sort::of(oddity), &seen.sight(), at, hold);
                }
                None
            }
            (Phase::Raised { .. }, None) => self.calm_down(seen, at, hold),
        }
    }

    /// When what is pending is raised by the gateway's clock, if no reading says otherwise until then.
    pub(crate) fn due(&self, rule: &RuleSpec) -> Option<Timestamp> {
        let Phase::Pending(pending) = &self.phase else { return None };
        let due = pending.arrived + rule.hold_for;
        let is_anomaly = pending.held.cause == Cause::Anomaly;
        let free = is_anomaly.then(|| self.memory.free_at(&pending.seen.sight())).flatten();
        Some(free.map_or(due, |free| free.max(due)))
    }

    /// Raises what is due by `now`.
    pub(crate) fn fall_due(&mut self, rule: &RuleSpec, hold: Duration, now: Timestamp) -> Option<Change> {
        let due = self.due(rule).filter(|due| *due <= now)?;
        let Phase::Pending(pending) = &self.phase else { return None };
        let (held, seen) = (pending.held, pending.seen);
        self.raise(held, seen, due, hold)
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

    /// The device's clock was set back by so many milliseconds: what was measured against the old time begins again;
    /// what is raised stays, and what is held back stays so for as long.
    pub(crate) fn set_back(&mut self, millis: i64) {
        self.stop_waiting();
        self.memory.shift(millis.saturating_neg());
        for window in [&mut self.lows, &mut self.highs].into_iter().flatten() {
            window.clear();
        }
    }

    /// Somebody has taken note of the anomaly that is raised, at `now`: it is cleared, and not raised again `until`.
    pub(crate) fn acknowledge(&mut self, until: Timestamp, now: Timestamp) -> Option<Change> {
        let Phase::Raised { since, cause: Cause::Anomaly, oddity, .. } = self.phase else { return None };
        self.memory.acknowledge(Sort::of(oddity), since, until);
        self.phase = Phase::Calm;
        let held = Held { cause: Cause::Anomaly, amount: 0.0 };
        let seen = Seen { value: None, score: 0.0, expected: None, oddity };
        Some(Change { state: AlertState::Cleared, held, seen, since, at: now })
    }

    fn raise(&mut self, held: Held, seen: Seen, at: Timestamp, hold: Duration) -> Option<Change> {
        let is_anomaly = held.cause == Cause::Anomaly;
        if is_anomaly && !self.memory.raise(&seen.sight(), at, hold) {
            return None;
        }
        self.calm = 0;
        let oddity = seen.oddity.filter(|_| is_anomaly);
        let expected = seen.expected.filter(|_| is_anomaly);
        self.phase = Phase::Raised { since: at, cause: held.cause, oddity, expected };
        Some(Change { state: AlertState::Raised, held, seen, since: at, at })
    }

    /// Nothing holds any more of what was raised.
    fn calm_down(&mut self, mut seen: Seen, at: Timestamp, hold: Duration) -> Option<Change> {
        let Phase::Raised { since, cause, oddity, expected } = self.phase else { return None };
        if cause == Cause::Anomaly && seen.goes_on(oddity, expected, at.since(since)) {
            self.calm = 0;
            return None;
        }
        self.calm = self.calm.saturating_add(1);
        if cause == Cause::Anomaly {
            let enough = if seen.value.is_some() { CALM_READINGS } else { CALM_WINDOWS };
            if self.calm < enough {
                return None;
            }
            self.memory.clear(Sort::of(oddity), since, at, hold);
        }
        self.phase = Phase::Calm;
        // What is over is what was raised.
        seen.oddity = oddity;
        let held = Held { cause, amount: seen.value.unwrap_or_default() };
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
        } else {
            anomaly(when, score)
        }
    }
}

fn anomaly(when: &Conditions, score: &Score) -> Option<Held> {
    let is_odd = when.anomaly.is_some_and(|threshold| score.value >= threshold);
    is_odd.then_some(Held { cause: Cause::Anomaly, amount: score.value })
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
