//! The state of one rule on one series (normal, pending or raised) and its transitions.

use std::time::Duration;

use gateway_core::{AlertKind, AlertState, AnomalyKind, Reading, Score, Timestamp};
use serde::{Deserialize, Serialize};

use crate::rule::{Conditions, RuleSpec};
use crate::sliding_minimum::SlidingMinimum;
use crate::suppression::{AnomalyClass, Occurrence, Suppression};

/// An anomaly of a series is over when so many readings in a row were normal.
const CLEAR_AFTER_READINGS: u8 = 3;
/// One of a device as a whole is over when so many windows in a row were.
const CLEAR_AFTER_WINDOWS: u8 = 2;
/// Relative; far above what binary fractions leave behind, far below a sensor's resolution.
const ROUNDING: f64 = 1e-9;

/// A detector that sees the same fault continue gives at least this score.
const FAULT_CONTINUES: f64 = 0.12;
/// A value that stays where it was an anomaly counts as settled after this; another anomaly can then be raised.
const SETTLED_AFTER: Duration = Duration::from_secs(3600);

/// Which condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cause {
    Above,
    Below,
    Rises,
    Falls,
    Anomaly,
    Equals,
    Changes,
    Expression,
}

impl Cause {
    pub(crate) const fn kind(self) -> AlertKind {
        match self {
            Self::Above | Self::Below | Self::Equals | Self::Changes | Self::Expression => {
                AlertKind::Threshold
            }
            Self::Rises | Self::Falls => AlertKind::Rate,
            Self::Anomaly => AlertKind::Anomaly,
        }
    }
}

impl Cause {
    /// The limit that is passed, as the rule has it.
    pub(crate) const fn limit(self, when: &Conditions) -> Option<f64> {
        match self {
            Self::Above => when.above,
            Self::Below => when.below,
            Self::Rises => when.rises_by,
            Self::Falls => when.falls_by,
            Self::Equals => when.equals,
            Self::Anomaly | Self::Changes | Self::Expression => None,
        }
    }
}

/// A condition that holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActiveCondition {
    pub(crate) cause: Cause,
    /// How far the value rose or fell; the value before where it changed; the value, or the score, for other causes.
    pub(crate) amount: f64,
}

/// What an alert reports of a reading, or of a window of a device as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// None of a device as a whole.
    pub(crate) value: Option<f64>,
    pub(crate) score: f64,
    pub(crate) expected: Option<(f64, f64)>,
    pub(crate) anomaly_kind: Option<AnomalyKind>,
}

impl Observation {
    const fn of(value: Option<f64>, score: &Score) -> Self {
        Self { value, score: score.value, expected: score.expected, anomaly_kind: score.anomaly_kind }
    }

    /// Whether the raised anomaly continues although its score is low: the model scores it high once, and learns it.
    fn continues(
        &self,
        anomaly_kind: Option<AnomalyKind>,
        expected: Option<(f64, f64)>,
        since: Duration,
    ) -> bool {
        if is_fault(anomaly_kind) {
            return self.anomaly_kind == anomaly_kind && self.score >= FAULT_CONTINUES;
        }
        let is_back = |value: f64| expected.is_none_or(|(low, high)| low <= value && value <= high);
        since < SETTLED_AFTER && self.value.is_some_and(|value| !is_back(value))
    }

    fn occurrence(&self) -> Occurrence {
        Occurrence::of(self.anomaly_kind, self.value, self.score, self.expected)
    }
}

/// What a rule is evaluated with, beside the reading or window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleContext<'a> {
    pub(crate) rule: &'a RuleSpec,
    /// `[anomaly] hold`.
    pub(crate) hold: Duration,
    /// Event time.
    pub(crate) at: Timestamp,
    /// By the gateway's clock.
    pub(crate) now: Timestamp,
    /// The series' value before; NaN where there is none.
    pub(crate) previous: f64,
}

/// A rule raised or cleared by a reading, or raised by the clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Transition {
    pub(crate) state: AlertState,
    pub(crate) condition: ActiveCondition,
    /// The last reading.
    pub(crate) observation: Observation,
    pub(crate) since: Timestamp,
    pub(crate) at: Timestamp,
}

impl Transition {
    /// Whether the change is over because there is another one, which is an alert of its own.
    pub(crate) fn is_followed(&self, previous: f64, value: f64) -> bool {
        self.state == AlertState::Cleared
            && self.condition.cause == Cause::Changes
            && has_changed(previous, value)
    }

    /// Whether an anomaly is cleared because the value stayed.
    pub(crate) fn has_settled(&self) -> bool {
        self.condition.cause == Cause::Anomaly
            && !is_fault(self.observation.anomaly_kind)
            && self.at.since(self.since) >= SETTLED_AFTER
    }
}

fn is_fault(anomaly_kind: Option<AnomalyKind>) -> bool {
    anomaly_kind.is_some_and(AnomalyKind::is_sensor_fault)
}

/// A condition that holds, but not yet for long enough. Boxed: few rules have a `for`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Event time of the first reading for which it held, later by the time that does not count.
    pub(crate) since: Timestamp,
    /// When that reading came, by the gateway's clock.
    pub(crate) arrived: Timestamp,
    /// By the last reading, as `seen`.
    pub(crate) condition: ActiveCondition,
    pub(crate) observation: Observation,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) enum Phase {
    #[default]
    Normal,
    Pending(Box<Pending>),
    /// The alert is active, for the condition that first held; it stays while any holds.
    Raised {
        since: Timestamp,
        cause: Cause,
        /// Of an anomaly, when it was raised.
        anomaly_kind: Option<AnomalyKind>,
        /// Of an anomaly: the range in which the value would have been normal.
        expected: Option<(f64, f64)>,
    },
}

/// The state of a rule on one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleState {
    /// Index of the rule.
    pub(crate) rule: u32,
    pub(crate) phase: Phase,
    /// Normal readings, or windows, in a row.
    pub(crate) normal_in_a_row: u8,
    pub(crate) suppression: Suppression,
    /// Only where the rule has `rises_by` or `falls_by`.
    pub(crate) lows: Option<Box<SlidingMinimum>>,
    /// Of negated values.
    pub(crate) highs: Option<Box<SlidingMinimum>>,
}

impl RuleState {
    pub(crate) fn new(rule: u32) -> Self {
        Self {
            rule,
            phase: Phase::Normal,
            normal_in_a_row: 0,
            suppression: Suppression::default(),
            lows: None,
            highs: None,
        }
    }

    /// Readings come in order of their event time.
    pub(crate) fn observe(
        &mut self,
        context: &RuleContext<'_>,
        reading: &Reading,
        score: &Score,
    ) -> Option<Transition> {
        let condition = self.held(context, reading, score);
        if condition.is_none() && matches!(self.phase, Phase::Normal) {
            return None;
        }
        self.advance(context, condition, Observation::of(Some(reading.value), score))
    }

    /// A window of a device as a whole; windows come in order.
    pub(crate) fn observe_device(&mut self, context: &RuleContext<'_>, score: &Score) -> Option<Transition> {
        let condition = anomaly(&context.rule.when, score);
        self.advance(context, condition, Observation::of(None, score))
    }

    pub(crate) fn advance(
        &mut self,
        context: &RuleContext<'_>,
        condition: Option<ActiveCondition>,
        observation: Observation,
    ) -> Option<Transition> {
        let RuleContext { rule, hold, at, now, .. } = *context;
        match (&mut self.phase, condition) {
            (Phase::Normal, None) => None,
            (Phase::Pending(_), None) => {
                self.phase = Phase::Normal;
                None
            }
            (Phase::Normal, Some(condition)) if rule.hold_for.is_zero() => {
                self.raise(condition, observation, at, hold)
            }
            (Phase::Normal, Some(condition)) => {
                self.phase =
                    Phase::Pending(Box::new(Pending { since: at, arrived: now, condition, observation }));
                None
            }
            (Phase::Pending(pending), Some(condition)) => {
                pending.condition = condition;
                pending.observation = observation;
                if at.since(pending.since) < rule.hold_for {
                    return None;
                }
                self.raise(condition, observation, at, hold)
            }
            // Each change is an alert of its own.
            (Phase::Raised { cause: Cause::Changes, .. }, Some(condition))
                if condition.cause == Cause::Changes =>
            {
                self.try_clear(observation, at, hold)
            }
            (&mut Phase::Raised { cause, anomaly_kind, .. }, Some(condition)) => {
                self.normal_in_a_row = 0;
                if (cause, condition.cause) == (Cause::Anomaly, Cause::Anomaly) {
                    self.suppression.record(
                        AnomalyClass::of(anomaly_kind),
                        &observation.occurrence(),
                        at,
                        hold,
                    );
                }
                None
            }
            (Phase::Raised { .. }, None) => self.try_clear(observation, at, hold),
        }
    }

    /// When what is pending is raised by the gateway's clock, if no reading ends it before.
    pub(crate) fn due(&self, rule: &RuleSpec) -> Option<Timestamp> {
        let Phase::Pending(pending) = &self.phase else { return None };
        let due = pending.arrived + rule.hold_for;
        let is_anomaly = pending.condition.cause == Cause::Anomaly;
        let free =
            is_anomaly.then(|| self.suppression.allowed_at(&pending.observation.occurrence())).flatten();
        Some(free.map_or(due, |free| free.max(due)))
    }

    /// Raises what is due by `now`.
    pub(crate) fn raise_if_due(
        &mut self,
        rule: &RuleSpec,
        hold: Duration,
        now: Timestamp,
    ) -> Option<Transition> {
        let due = self.due(rule).filter(|due| *due <= now)?;
        let Phase::Pending(pending) = &self.phase else { return None };
        let (condition, observation) = (pending.condition, pending.observation);
        self.raise(condition, observation, due, hold)
    }

    /// The gateway's clock jumped, or the gateway did not listen: see [`crate::silence`]. Event times are moved too: most are times
    /// of arrival. Where they are the device's own, `arrived` alone decides.
    pub(crate) fn shift(&mut self, shifted: impl Fn(Timestamp) -> Timestamp) {
        if let Phase::Pending(pending) = &mut self.phase {
            pending.since = shifted(pending.since);
            pending.arrived = shifted(pending.arrived);
        }
    }

    /// What was pending begins again with the next reading.
    pub(crate) fn cancel_pending(&mut self) {
        if matches!(self.phase, Phase::Pending(_)) {
            self.phase = Phase::Normal;
        }
    }

    /// The device's clock was set back by so many milliseconds: what was measured against the old time begins again;
    /// what is raised stays, and what is held back stays so for as long.
    pub(crate) fn set_back(&mut self, millis: i64) {
        self.cancel_pending();
        self.suppression.shift(millis.saturating_neg());
        for window in [&mut self.lows, &mut self.highs].into_iter().flatten() {
            window.clear();
        }
    }

    /// Clears the raised anomaly at `now`, and does not raise it again before `until`.
    pub(crate) fn acknowledge(&mut self, until: Timestamp, now: Timestamp) -> Option<Transition> {
        let Phase::Raised { since, cause: Cause::Anomaly, anomaly_kind, .. } = self.phase else {
            return None;
        };
        self.suppression.acknowledge(AnomalyClass::of(anomaly_kind), since, until);
        self.phase = Phase::Normal;
        let condition = ActiveCondition { cause: Cause::Anomaly, amount: 0.0 };
        let observation = Observation { value: None, score: 0.0, expected: None, anomaly_kind };
        Some(Transition { state: AlertState::Cleared, condition, observation, since, at: now })
    }

    fn raise(
        &mut self,
        condition: ActiveCondition,
        observation: Observation,
        at: Timestamp,
        hold: Duration,
    ) -> Option<Transition> {
        let is_anomaly = condition.cause == Cause::Anomaly;
        if is_anomaly && !self.suppression.raise(&observation.occurrence(), at, hold) {
            return None;
        }
        self.normal_in_a_row = 0;
        let anomaly_kind = observation.anomaly_kind.filter(|_| is_anomaly);
        let expected = observation.expected.filter(|_| is_anomaly);
        self.phase = Phase::Raised { since: at, cause: condition.cause, anomaly_kind, expected };
        Some(Transition { state: AlertState::Raised, condition, observation, since: at, at })
    }

    /// No condition of the raised alert holds any more.
    fn try_clear(
        &mut self,
        mut observation: Observation,
        at: Timestamp,
        hold: Duration,
    ) -> Option<Transition> {
        let Phase::Raised { since, cause, anomaly_kind, expected } = self.phase else { return None };
        if cause == Cause::Anomaly && observation.continues(anomaly_kind, expected, at.since(since)) {
            self.normal_in_a_row = 0;
            return None;
        }
        self.normal_in_a_row = self.normal_in_a_row.saturating_add(1);
        if cause == Cause::Anomaly {
            let enough = if observation.value.is_some() { CLEAR_AFTER_READINGS } else { CLEAR_AFTER_WINDOWS };
            if self.normal_in_a_row < enough {
                return None;
            }
            self.suppression.clear(AnomalyClass::of(anomaly_kind), since, at, hold);
        }
        self.phase = Phase::Normal;
        // What is over is what was raised.
        observation.anomaly_kind = anomaly_kind;
        let condition = ActiveCondition { cause, amount: observation.value.unwrap_or_default() };
        Some(Transition { state: AlertState::Cleared, condition, observation, since, at })
    }

    /// The first condition that holds. The one that raised the alert holds until the value is back by `clear_by`.
    fn held(
        &mut self,
        context: &RuleContext<'_>,
        reading: &Reading,
        score: &Score,
    ) -> Option<ActiveCondition> {
        let RuleSpec { when, clear_by, .. } = context.rule;
        let value = reading.value;
        // Looked at in any case: they must see every value.
        let rise = when.rises_by.map(|_| value - lowest(&mut self.lows, when.within, reading.at, value));
        let fall = when.falls_by.map(|_| -lowest(&mut self.highs, when.within, reading.at, -value) - value);

        let raised = match self.phase {
            Phase::Raised { cause, .. } => Some(cause),
            Phase::Normal | Phase::Pending(_) => None,
        };
        let margin = |cause| if raised == Some(cause) { *clear_by } else { 0.0 };
        let reached = |amount: Option<f64>, limit: Option<f64>, cause| match (amount, limit) {
            (Some(amount), Some(limit)) => amount >= limit || is_within(amount, limit, margin(cause)),
            _ => false,
        };
        let above = |limit: f64| value > limit || is_within(value, limit, margin(Cause::Above));
        let below = |limit: f64| value < limit || is_within(-value, -limit, margin(Cause::Below));

        if when.above.is_some_and(above) {
            Some(ActiveCondition { cause: Cause::Above, amount: value })
        } else if when.below.is_some_and(below) {
            Some(ActiveCondition { cause: Cause::Below, amount: value })
        } else if reached(rise, when.rises_by, Cause::Rises) {
            Some(ActiveCondition { cause: Cause::Rises, amount: rise.unwrap_or_default() })
        } else if reached(fall, when.falls_by, Cause::Falls) {
            Some(ActiveCondition { cause: Cause::Falls, amount: fall.unwrap_or_default() })
        } else if when.equals.is_some_and(|wanted| is_equal(value, wanted)) {
            Some(ActiveCondition { cause: Cause::Equals, amount: value })
        } else if when.changes && has_changed(context.previous, value) {
            Some(ActiveCondition { cause: Cause::Changes, amount: context.previous })
        } else {
            anomaly(when, score)
        }
    }
}

/// States are whole numbers; what scaling leaves behind does not make another one.
fn is_equal(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() <= ROUNDING * wanted.abs().max(1.0)
}

fn has_changed(previous: f64, value: f64) -> bool {
    !previous.is_nan() && !is_equal(value, previous)
}

fn anomaly(when: &Conditions, score: &Score) -> Option<ActiveCondition> {
    let is_reached = when.anomaly.is_some_and(|threshold| score.value >= threshold);
    is_reached.then_some(ActiveCondition { cause: Cause::Anomaly, amount: score.value })
}

/// Behind its limit, but by less than the margin; 21.3 and a margin of 0.1 end at 21.2, although binary fractions
/// put their difference a hair below.
fn is_within(amount: f64, limit: f64, margin: f64) -> bool {
    margin > 0.0 && amount - (limit - margin) > ROUNDING * (limit.abs() + margin)
}

/// The lowest value of the last `within`, `value` included.
fn lowest(lows: &mut Option<Box<SlidingMinimum>>, within: Duration, at: Timestamp, value: f64) -> f64 {
    lows.get_or_insert_default().push(at, value, within)
}
