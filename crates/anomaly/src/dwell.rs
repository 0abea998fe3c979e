//! Dwell: a state lasts far longer than ever before (a door left open, a stuck valve, a light on for days).
//!
//! The longest time in each state is kept for weekdays and for weekends, so that neither a night nor a Sunday is an anomaly.
//! Three times that, and at least an hour, is an anomaly; it is reported once, until the state changes.
//!
//! Only readings are used: for a device that reports only changes there is no score while the state lasts. A gap of three
//! hours or more does not count, because silence is not a value; the rule `silent_for` is for it.

use gateway_core::{AnomalyKind, Moment, Score};
use serde::{Deserialize, Serialize};

use crate::clock::{HOUR_MILLIS, LONGEST_STEP_MILLIS, WEEK_MILLIS, forget};
use crate::faults::score;
use crate::suppression::REPEATED_SCORE;

/// Changes and event time to have seen before a state can last too long.
const LEARN_CHANGES: u32 = 50;
const LEARN_MILLIS: u64 = WEEK_MILLIS;
/// The stays that a part of the week needs before it is used.
const KNOWN: u8 = 10;
/// How many times the longest stay so far is tolerated.
const TOLERATED: f64 = 3.0;
/// A stay below this is never an anomaly.
const SHORTEST_MILLIS: f64 = HOUR_MILLIS as f64;
/// The longest stay halves in about two months.
const MEMORY_MILLIS: u64 = 90 * 24 * HOUR_MILLIS;
/// The most states known; further ones are not scored.
const MOST_STATES: usize = 8;
/// From Saturday on, in hours of the week.
const WEEKEND: u32 = 5 * 24;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Dwell {
    state: Option<f64>,
    /// The current stay: milliseconds on weekdays and in weekends.
    stay: [f64; 2],
    /// The current stay is not reported: it was reported already, or it began before enough was known.
    quiet: bool,
    changes: u32,
    known: Vec<State>,
}

/// The stays in one state that are over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct State {
    value: f64,
    /// On weekdays and in weekends.
    parts: [Longest; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Longest {
    stays: u8,
    millis: f64,
}

impl Dwell {
    /// Scores a reading by the stays before, then learns it.
    pub(crate) fn observe(&mut self, moment: Moment, value: f64, step_millis: u64, age_millis: u64) -> Score {
        for longest in self.known.iter_mut().flat_map(|state| &mut state.parts) {
            longest.millis = forget(longest.millis, step_millis, MEMORY_MILLIS);
        }
        // The time since the previous reading counts for its state; after a gap it is unknown.
        let part = usize::from(moment.hour_of_week() >= WEEKEND);
        if let Some(millis) = self.stay.get_mut(part).filter(|_| step_millis < LONGEST_STEP_MILLIS) {
            *millis += length(step_millis);
        }
        if self.state != Some(value) {
            self.change(value, age_millis);
            return Score::NONE;
        }
        if !self.is_mature(age_millis) {
            return Score::NONE;
        }
        self.judge()
    }

    fn is_mature(&self, age_millis: u64) -> bool {
        self.changes >= LEARN_CHANGES && age_millis >= LEARN_MILLIS
    }

    fn judge(&mut self) -> Score {
        let Some(state) = self.known.iter().find(|state| Some(state.value) == self.state) else {
            return Score::NONE;
        };
        let excess =
            |(stay, tolerated): (f64, Option<f64>)| tolerated.map_or(0.0, |tolerated| stay / tolerated);
        let excess = self.stay.into_iter().zip(state.tolerated()).map(excess).fold(0.0, f64::max);
        let anomaly = score(excess, AnomalyKind::Stuck, None);
        if self.quiet {
            return Score { value: anomaly.value.min(REPEATED_SCORE), ..anomaly };
        }
        self.quiet = excess >= 1.0;
        anomaly
    }

    /// Ends the stay under way and begins one in `value`.
    fn change(&mut self, value: f64, age_millis: u64) {
        let mature = self.is_mature(age_millis);
        let stay = std::mem::take(&mut self.stay);
        if let Some(over) = self.state.replace(value) {
            self.changes = self.changes.saturating_add(1);
            if let Some(state) = self.known.iter_mut().find(|state| state.value == over) {
                state.learn(stay, mature);
            } else if self.known.len() < MOST_STATES {
                let mut state = State { value: over, parts: [Longest::default(); 2] };
                state.learn(stay, mature);
                self.known.push(state);
            }
        }
        self.quiet = !mature;
    }
}

impl State {
    /// How long a stay may be on weekdays and in weekends. What is not known of one is taken from the other.
    fn tolerated(&self) -> [Option<f64>; 2] {
        let [weekdays, weekends] = self.parts;
        let tolerated = |own: Longest, other: Longest| {
            let longest = if own.stays >= KNOWN { own.millis } else { own.millis.max(other.millis) };
            let known = own.stays.max(other.stays) >= KNOWN;
            known.then(|| (TOLERATED * longest).max(SHORTEST_MILLIS))
        };
        [tolerated(weekdays, weekends), tolerated(weekends, weekdays)]
    }

    fn learn(&mut self, stay: [f64; 2], mature: bool) {
        for (longest, millis) in self.parts.iter_mut().zip(stay) {
            if millis > 0.0 {
                longest.learn(millis, mature);
            }
        }
    }
}

impl Longest {
    /// Learns only as much of an anomalous stay that the same stay would not be an anomaly again.
    fn learn(&mut self, millis: f64, mature: bool) {
        let is_odd = mature && millis > (TOLERATED * self.millis).max(SHORTEST_MILLIS);
        let taught = if is_odd { 1.1 * millis / TOLERATED } else { millis };
        self.millis = self.millis.max(taught);
        self.stays = self.stays.saturating_add(1);
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
const fn length(millis: u64) -> f64 {
    millis as f64
}

#[cfg(test)]
mod tests;
