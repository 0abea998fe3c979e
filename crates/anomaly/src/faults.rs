//! Faults of the sensor rather than of the building: [`stuck`](super::stuck), [`sentinel`](super::sentinel) and
//! [`noise`](super::noise), as one score.
//!
//! For gauges only. A counter rests whenever nothing is consumed and takes any value on its way; a state repeats itself
//! by nature and has no scatter. A gauge that is a counter in truth, or only ever on or off, is told by its own past.
//!
//! All are measured by what the series itself has done, and say little in its first week. So set that on ordinary
//! building series (offices, duty cycles, dark nights, coarse sensors) an alarm is rarer than once a month; the tests
//! hold that. Time decides nothing but how much was learnt: silence is not a value, a reading that comes twice is one,
//! and stragglers are not judged.

use gateway_core::{Oddity, Score, Timestamp};
use serde::{Deserialize, Serialize};

use super::direction::Direction;
use super::noise::Noise;
use super::sentinel::Sentinel;
use super::stuck::Stuck;

#[cfg(test)]
mod buildings;
#[cfg(test)]
mod tests;

pub(crate) const HOUR_MILLIS: u64 = 3_600_000;
pub(crate) const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;
pub(crate) const WEEK_MILLIS: u64 = 7 * DAY_MILLIS;
/// No gap counts for more than this, so that silence and a wrong clock neither age a series nor make it forget.
pub(crate) const LONGEST_STEP_MILLIS: u64 = 3 * HOUR_MILLIS;
/// So many readings in a row behind the newest one: the device's clock was set back, not the readings late.
const CLOCK_SET_BACK: u8 = 60;
/// Values beyond this are judged as this, so that no arithmetic inside can overflow.
pub(crate) const LARGEST: f64 = 1e150;

/// What is known of one gauge, under 300 bytes. Serialise it to keep it over a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Faults {
    newest: Option<Timestamp>,
    behind: u8,
    /// Event time seen, without the gaps.
    age_millis: u64,
    last: f64,
    direction: Direction,
    stuck: Stuck,
    sentinel: Sentinel,
    noise: Noise,
}

impl Faults {
    /// Scores a reading by what came before it, then learns it. 0.5 is odd: somebody should look.
    pub(crate) fn observe(&mut self, at: Timestamp, value: f64) -> Score {
        if !value.is_finite() {
            return Score::NONE;
        }
        let Some(step_millis) = self.step(at) else { return Score::NONE };
        self.age_millis = self.age_millis.saturating_add(step_millis);
        let value = value.clamp(-LARGEST, LARGEST);

        let odd = self.judge(value, step_millis);
        self.direction.note(self.last, value);
        self.last = value;
        if self.direction.is_up() { Score::NONE } else { odd }
    }

    fn judge(&mut self, value: f64, step_millis: u64) -> Score {
        let sentinel = self.sentinel.observe(value, step_millis, self.age_millis);
        if sentinel >= 1.0 {
            // It is no value of the series: it neither holds still nor scatters.
            return score(sentinel, Oddity::Sentinel, Some(self.sentinel.range()));
        }
        let stuck = self.stuck.observe(value, step_millis, self.age_millis);
        let noise = self.noise.observe(value, step_millis, self.age_millis);
        score(stuck, Oddity::Stuck, None).max(score(noise, Oddity::Noise, None))
    }

    /// Event time since the newest reading in milliseconds, or `None` for a straggler.
    fn step(&mut self, at: Timestamp) -> Option<u64> {
        let elapsed = self.newest.map_or(0, |newest| at.millis_after(newest));
        if elapsed < 0 && self.behind < CLOCK_SET_BACK {
            self.behind += 1;
            return None;
        }
        self.behind = 0;
        self.newest = Some(at);
        Some(u64::try_from(elapsed).unwrap_or(0).min(LONGEST_STEP_MILLIS))
    }
}

/// `excess` (how many times what is tolerated) to 0..1: 0.5 at 1, 0.8 at 2, 0.9 at 3.
pub(crate) fn score(excess: f64, oddity: Oddity, expected: Option<(f64, f64)>) -> Score {
    if excess <= 0.0 {
        return Score::NONE;
    }
    Score { value: 1.0 - 1.0 / (1.0 + excess * excess), expected, oddity: Some(oddity) }
}

/// How large a part of `life_millis` has gone by, at most all of it.
pub(crate) fn share(step_millis: u64, life_millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "both are exact in f64 for 285,000 years")]
    let share = step_millis as f64 / life_millis as f64;
    share.min(1.0)
}

/// What is left of `known` after a step, where a life makes it 1/e.
pub(crate) fn forget(known: f64, step_millis: u64, life_millis: u64) -> f64 {
    known * (1.0 - share(step_millis, life_millis))
}
