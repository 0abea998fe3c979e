//! Holds back an anomaly of which people were notified already, or which they have acknowledged.
//!
//! Two anomalies of a series are the same if they are of one [`AnomalyClass`], on the same side of the expected range, and
//! the later one is not clearly further out. The same anomaly is held back for `[anomaly] hold` after it was last raised or
//! cleared, and for twice as long each time it comes back, at most [`MAX_HOLD`]. An acknowledged one is held back for as
//! long as the acknowledgement says. What was not seen for [`FORGET_AFTER`] starts again with a single hold.
//!
//! All times are event times. A series and rule keep at most ten entries, and none before the first alert.

use std::time::Duration;

use gateway_core::{AnomalyKind, Timestamp};
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(86_400);
/// No hold is longer, unless `[anomaly] hold` itself is: an anomaly that returns every day is notified once a month.
const MAX_HOLD: Duration = DAY.saturating_mul(30);
/// An anomaly that was not seen for this long no longer counts as one that comes back.
const FORGET_AFTER: Duration = DAY.saturating_mul(30);
/// The least time between two anomalies that one series raises, of any class.
const MIN_INTERVAL: Duration = Duration::from_secs(300);
/// Clearly further out: this many times as far from the expected range, and by a quarter of its width at least.
const WORSE_FACTOR: f64 = 1.5;
const WORSE_WIDTHS: f64 = 0.25;
/// Clearly worse where there is no range to measure by: a score higher by this.
const WORSE_SCORE: f64 = 0.25;

/// Kinds of anomalies that people take for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AnomalyClass {
    /// The value, or its course, is not what the past led to expect. Which detector finds it first is chance.
    Value,
    Stuck,
    Sentinel,
    Noise,
    Drift,
    Combination,
}

impl AnomalyClass {
    pub(crate) const fn of(anomaly_kind: Option<AnomalyKind>) -> Self {
        match anomaly_kind {
            Some(AnomalyKind::Stuck) => Self::Stuck,
            Some(AnomalyKind::Sentinel) => Self::Sentinel,
            Some(AnomalyKind::Noise) => Self::Noise,
            Some(AnomalyKind::Drift) => Self::Drift,
            Some(AnomalyKind::Combination) => Self::Combination,
            Some(
                AnomalyKind::Profile
                | AnomalyKind::Shift
                | AnomalyKind::Residual
                | AnomalyKind::Density
                | AnomalyKind::Markov,
            )
            | None => Self::Value,
        }
    }

    /// Whether too high and too low are two anomalies.
    const fn has_sides(self) -> bool {
        matches!(self, Self::Value | Self::Drift)
    }
}

/// Where the value lies, relative to the expected range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Above,
    Below,
    /// Inside the expected range, or there is none.
    Within,
}

/// What of an anomalous reading is compared with earlier ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Occurrence {
    class: AnomalyClass,
    side: Side,
    /// How far out: the distance from the expected range, or the score where there is no side.
    distance: f64,
    /// Of the expected range.
    width: f64,
}

impl Occurrence {
    pub(crate) fn of(
        anomaly_kind: Option<AnomalyKind>,
        value: Option<f64>,
        score: f64,
        expected: Option<(f64, f64)>,
    ) -> Self {
        let class = AnomalyClass::of(anomaly_kind);
        let within = Self { class, side: Side::Within, distance: score, width: 0.0 };
        let (Some(value), Some((low, high)), true) = (value, expected, class.has_sides()) else {
            return within;
        };
        let width = high - low;
        if value > high {
            Self { side: Side::Above, distance: value - high, width, ..within }
        } else if value < low {
            Self { side: Side::Below, distance: low - value, width, ..within }
        } else {
            within
        }
    }
}

/// One anomaly that was notified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct HeldAnomaly {
    class: AnomalyClass,
    side: Side,
    /// The furthest out while the alert was raised.
    distance: f64,
    last_seen: Timestamp,
    held_until: Timestamp,
    /// How often it has come back.
    repeats: u8,
}

impl HeldAnomaly {
    fn is_same(&self, occurrence: &Occurrence) -> bool {
        (self.class, self.side) == (occurrence.class, occurrence.side)
    }

    fn is_worse(&self, occurrence: &Occurrence) -> bool {
        let more = occurrence.distance - self.distance;
        match self.side {
            Side::Above | Side::Below => {
                occurrence.distance > self.distance * WORSE_FACTOR && more > occurrence.width * WORSE_WIDTHS
            }
            Side::Within => more >= WORSE_SCORE,
        }
    }

    fn hold(&mut self, at: Timestamp, hold: Duration) {
        let doubled = hold.saturating_mul(1_u32.checked_shl(self.repeats.into()).unwrap_or(u32::MAX));
        self.held_until = self.held_until.max(at + doubled.min(MAX_HOLD.max(hold)));
    }
}

/// What one rule has notified of one series.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Suppression {
    notified: Vec<HeldAnomaly>,
    last_raised: Option<Timestamp>,
}

impl Suppression {
    /// From when on `occurrence` may be raised; none if at any time.
    pub(crate) fn allowed_at(&self, occurrence: &Occurrence) -> Option<Timestamp> {
        let rested = self.last_raised.map(|last| last + MIN_INTERVAL);
        let held =
            self.notified.iter().find(|entry| entry.is_same(occurrence) && !entry.is_worse(occurrence));
        rested.max(held.map(|entry| entry.held_until))
    }

    /// Whether `occurrence` may be raised at `at`. If so, it counts as notified from then on.
    pub(crate) fn raise(&mut self, occurrence: &Occurrence, at: Timestamp, hold: Duration) -> bool {
        let is_allowed = self.allowed_at(occurrence).is_none_or(|allowed| allowed <= at);
        let known = self.notified.iter_mut().find(|entry| entry.is_same(occurrence));
        if !is_allowed {
            if let Some(entry) = known {
                entry.last_seen = entry.last_seen.max(at);
            }
            return false;
        }
        self.last_raised = Some(at);
        match known {
            Some(entry) => {
                let is_new = at.since(entry.last_seen) > FORGET_AFTER;
                entry.repeats = if is_new { 0 } else { entry.repeats.saturating_add(1) };
                entry.distance = occurrence.distance;
                entry.last_seen = at;
                entry.hold(at, hold);
            }
            None => self.add(occurrence, at, hold),
        }
        true
    }

    /// `occurrence` was seen while an alert of the class `raised` was active: people who look at the alert see it too.
    pub(crate) fn record(
        &mut self,
        raised: AnomalyClass,
        occurrence: &Occurrence,
        at: Timestamp,
        hold: Duration,
    ) {
        if occurrence.class != raised {
            return;
        }
        match self.notified.iter_mut().find(|entry| entry.is_same(occurrence)) {
            Some(entry) => {
                entry.distance = entry.distance.max(occurrence.distance);
                entry.last_seen = entry.last_seen.max(at);
            }
            None => self.add(occurrence, at, hold),
        }
    }

    /// The alert of the class `raised`, active since `since`, is cleared: the hold of what was seen meanwhile begins.
    pub(crate) fn clear(&mut self, raised: AnomalyClass, since: Timestamp, at: Timestamp, hold: Duration) {
        self.seen_since(raised, since).for_each(|entry| entry.hold(at, hold));
    }

    /// The alert of the class `raised` was acknowledged: hold it back until then.
    pub(crate) fn acknowledge(&mut self, raised: AnomalyClass, since: Timestamp, until: Timestamp) {
        self.seen_since(raised, since).for_each(|entry| entry.held_until = entry.held_until.max(until));
    }

    /// The device's clock was set: event times from now on are later by so many milliseconds, of either sign.
    pub(crate) fn shift(&mut self, millis: i64) {
        let shifted = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(millis));
        for entry in &mut self.notified {
            entry.last_seen = shifted(entry.last_seen);
            entry.held_until = shifted(entry.held_until);
        }
        self.last_raised = None;
    }

    fn add(&mut self, occurrence: &Occurrence, at: Timestamp, hold: Duration) {
        let Occurrence { class, side, distance, .. } = *occurrence;
        let mut entry = HeldAnomaly { class, side, distance, last_seen: at, held_until: at, repeats: 0 };
        entry.hold(at, hold);
        self.notified.push(entry);
    }

    fn seen_since(
        &mut self,
        class: AnomalyClass,
        since: Timestamp,
    ) -> impl Iterator<Item = &mut HeldAnomaly> {
        self.notified.iter_mut().filter(move |entry| entry.class == class && entry.last_seen >= since)
    }
}
