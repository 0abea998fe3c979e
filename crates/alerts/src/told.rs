//! What people have been told of the anomalies of one series, so that the same thing is not told again every day.
//!
//! The same thing is odd in the same way, on the same side of what was expected, and not clearly further out than what
//! was told. It is held back for the hold (`[anomaly] hold`) after it was last told, raised or cleared, and for twice
//! as long each time it comes back: after a few days, what returns every day at the same time is told once in
//! [`LONGEST_HOLD`]. What was acknowledged is held back for as long as was asked. What has not been seen for
//! [`FORGOTTEN_AFTER`] is new again.
//!
//! All times are event times. There are ten things at most, a few dozen bytes each, and none of what was never told.

use std::time::Duration;

use gateway_core::{Oddity, Timestamp};
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(86_400);
/// However often a thing comes back, people are reminded after this; a longer `[anomaly] hold` wins.
const LONGEST_HOLD: Duration = DAY.saturating_mul(30);
/// After this long without the thing it is no longer the one that keeps coming back.
const FORGOTTEN_AFTER: Duration = DAY.saturating_mul(30);
/// Whatever it is, one series raises no second anomaly within this.
const REST: Duration = Duration::from_secs(300);
/// Clearly further out: this many times as far from the expected range, and by a quarter of its width at least.
const WORSE_TIMES: f64 = 1.5;
const WORSE_WIDTHS: f64 = 0.25;
/// Clearly worse where there is no range to measure by: a score higher by this.
const WORSE_SCORE: f64 = 0.25;

/// Oddities that are one to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sort {
    /// The value, or its course, is not what the past led to expect; which detector says so first is chance.
    Value,
    Stuck,
    Sentinel,
    Noise,
    Drift,
    Combination,
}

impl Sort {
    pub(crate) const fn of(oddity: Option<Oddity>) -> Self {
        match oddity {
            Some(Oddity::Stuck) => Self::Stuck,
            Some(Oddity::Sentinel) => Self::Sentinel,
            Some(Oddity::Noise) => Self::Noise,
            Some(Oddity::Drift) => Self::Drift,
            Some(Oddity::Combination) => Self::Combination,
            Some(Oddity::Profile | Oddity::Shift | Oddity::Residual | Oddity::Density | Oddity::Markov)
            | None => Self::Value,
        }
    }

    /// Whether too high is another thing than too low.
    const fn has_sides(self) -> bool {
        matches!(self, Self::Value | Self::Drift)
    }
}

/// Where the value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    Above,
    Below,
    /// Inside the expected range, or there is none.
    Within,
}

/// One odd reading, as far as it is compared with others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sight {
    sort: Sort,
    side: Side,
    /// How far out: the distance from the expected range, or the score where there is no side.
    extent: f64,
    /// Of the expected range.
    width: f64,
}

impl Sight {
    pub(crate) fn of(
        oddity: Option<Oddity>,
        value: Option<f64>,
        score: f64,
        expected: Option<(f64, f64)>,
    ) -> Self {
        let sort = Sort::of(oddity);
        let within = Self { sort, side: Side::Within, extent: score, width: 0.0 };
        let (Some(value), Some((low, high)), true) = (value, expected, sort.has_sides()) else {
            return within;
        };
        let width = high - low;
        if value > high {
            Self { side: Side::Above, extent: value - high, width, ..within }
        } else if value < low {
            Self { side: Side::Below, extent: low - value, width, ..within }
        } else {
            within
        }
    }
}

/// One thing that people were told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Told {
    sort: Sort,
    side: Side,
    /// The furthest out while the alert was raised.
    extent: f64,
    last_seen: Timestamp,
    /// Before this it is not told again.
    until: Timestamp,
    /// How often it has come back.
    repeats: u8,
}

impl Told {
    fn is(&self, sight: &Sight) -> bool {
        (self.sort, self.side) == (sight.sort, sight.side)
    }

    fn is_worse(&self, sight: &Sight) -> bool {
        let more = sight.extent - self.extent;
        match self.side {
            Side::Above | Side::Below => {
                sight.extent > self.extent * WORSE_TIMES && more > sight.width * WORSE_WIDTHS
            }
            Side::Within => more >= WORSE_SCORE,
        }
    }

    fn hold(&mut self, at: Timestamp, hold: Duration) {
        let doubled = hold.saturating_mul(1_u32.checked_shl(self.repeats.into()).unwrap_or(u32::MAX));
        self.until = self.until.max(at + doubled.min(LONGEST_HOLD.max(hold)));
    }
}

/// All that people were told of one series by one rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    told: Vec<Told>,
    last_raised: Option<Timestamp>,
}

impl Memory {
    /// From when on `sight` may be raised; none where at any time.
    pub(crate) fn free_at(&self, sight: &Sight) -> Option<Timestamp> {
        let rested = self.last_raised.map(|last| last + REST);
        let held = self.told.iter().find(|told| told.is(sight) && !told.is_worse(sight));
        rested.max(held.map(|told| told.until))
    }

    /// Whether `sight` may be raised at `at`; from then on it has been told.
    pub(crate) fn raise(&mut self, sight: &Sight, at: Timestamp, hold: Duration) -> bool {
        let free = self.free_at(sight).is_none_or(|free| free <= at);
        let known = self.told.iter_mut().find(|told| told.is(sight));
        if !free {
            if let Some(told) = known {
                told.last_seen = told.last_seen.max(at);
            }
            return false;
        }
        self.last_raised = Some(at);
        match known {
            Some(told) => {
                let is_new = at.since(told.last_seen) > FORGOTTEN_AFTER;
                told.repeats = if is_new { 0 } else { told.repeats.saturating_add(1) };
                told.extent = sight.extent;
                told.last_seen = at;
                told.hold(at, hold);
            }
            None => self.tell(sight, at, hold),
        }
        true
    }

    /// `sight` was seen while an alert of the sort `raised` was out: who looks at the alert sees it too.
    pub(crate) fn see(&mut self, raised: Sort, sight: &Sight, at: Timestamp, hold: Duration) {
        if sight.sort != raised {
            return;
        }
        match self.told.iter_mut().find(|told| told.is(sight)) {
            Some(told) => {
                told.extent = told.extent.max(sight.extent);
                told.last_seen = told.last_seen.max(at);
            }
            None => self.tell(sight, at, hold),
        }
    }

    /// The alert of the sort `raised`, out since `since`, is over: the hold of what was seen meanwhile begins.
    pub(crate) fn clear(&mut self, raised: Sort, since: Timestamp, at: Timestamp, hold: Duration) {
        self.seen_since(raised, since).for_each(|told| told.hold(at, hold));
    }

    /// Somebody has taken note of the alert of the sort `raised`: nothing more of it until then.
    pub(crate) fn acknowledge(&mut self, raised: Sort, since: Timestamp, until: Timestamp) {
        self.seen_since(raised, since).for_each(|told| told.until = told.until.max(until));
    }

    /// The device's clock was set: event times from now on are later by so many milliseconds, of either sign.
    pub(crate) fn shift(&mut self, millis: i64) {
        let shifted = |at: Timestamp| Timestamp::from_millis(at.as_millis().saturating_add(millis));
        for told in &mut self.told {
            told.last_seen = shifted(told.last_seen);
            told.until = shifted(told.until);
        }
        self.last_raised = None;
    }

    fn tell(&mut self, sight: &Sight, at: Timestamp, hold: Duration) {
        let Sight { sort, side, extent, .. } = *sight;
        let mut told = Told { sort, side, extent, last_seen: at, until: at, repeats: 0 };
        told.hold(at, hold);
        self.told.push(told);
    }

    fn seen_since(&mut self, sort: Sort, since: Timestamp) -> impl Iterator<Item = &mut Told> {
        self.told.iter_mut().filter(move |told| told.sort == sort && told.last_seen >= since)
    }
}
