//! A light streaming anomaly model for one series: no labels, no settings, one set of parameters for every series.
//!
//! Each reading is scored against what came before it and then learnt, strictly in order. Two detectors look at it:
//! [`level`](mod@level) (far from where the series has been) and [`stuck`](mod@stuck) (repeats itself for far too
//! long). The score is the larger of theirs, in 0..1.
//!
//! What a score means: a detector says how many times the value exceeds what it tolerates, and [`calibrate`] maps that
//! to 0..1 with 0.5 at exactly the tolerance. Tolerances are set so that well-behaved noise reaches 0.5 less than once
//! in a year of readings a minute; real series are worse behaved, which is why each series also remembers its record.
//!
//! What it promises: finite input gives a finite score in 0..1 and never panics; time itself is never scored, so gaps,
//! silence and irregular sampling are not odd; counters and states always score [`Score::NONE`], because neither
//! distance nor repetition means anything to them; a series is fixed in size and never allocates.

mod level;
pub mod multivariate;
mod stuck;
#[cfg(test)]
mod tests;

use gateway_core::ports::Detector;
use gateway_core::{MetricKind, Moment, Oddity, Score, Timestamp};
use serde::{Deserialize, Serialize};

use level::Level;
use stuck::Stuck;

/// Readings to learn from before the first word.
const LEARN_READINGS: u32 = 60;
/// Event time to learn from before the first word: 10 minutes.
const LEARN_MILLIS: u64 = 600_000;
/// After this much event time the model knows days and a weekend, and is no longer cautious: one week.
const MATURE_MILLIS: u64 = 7 * 24 * 3_600_000;
/// No gap counts for more than this, so that silence and a wrong clock neither age a series nor make it forget.
const LONGEST_STEP_MILLIS: u64 = 3_600_000;
/// So many readings in a row behind the newest one: the device's clock was set back, not the readings late.
const CLOCK_SET_BACK: u8 = 60;
/// Values beyond this are judged as this, so that no arithmetic inside can overflow.
const LARGEST: f64 = 1e150;

/// What is known of one series (one metric of one device). Serialise it to keep it over a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesModel {
    kind: MetricKind,
    newest: Option<Timestamp>,
    behind: u8,
    readings: u32,
    /// Event time seen, without the gaps.
    age_millis: u64,
    level: Level,
    stuck: Stuck,
}

impl SeriesModel {
    /// A series of which nothing is known yet.
    #[must_use]
    pub fn new(kind: MetricKind) -> Self {
        Self {
            kind,
            newest: None,
            behind: 0,
            readings: 0,
            age_millis: 0,
            level: Level::default(),
            stuck: Stuck::default(),
        }
    }

    /// Event time since the newest reading in milliseconds, or `None` for a straggler, which is not judged.
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

    fn speaks(&self) -> bool {
        self.readings >= LEARN_READINGS && self.age_millis >= LEARN_MILLIS
    }

    /// How much more a young series tolerates: 2 when it begins to speak, falling to 1 as it matures.
    fn caution(&self) -> f64 {
        let immature = MATURE_MILLIS.saturating_sub(self.age_millis);
        #[expect(clippy::cast_precision_loss, reason = "a week of milliseconds is exact in f64")]
        let share = immature as f64 / MATURE_MILLIS as f64;
        1.0 + share
    }
}

impl Detector for SeriesModel {
    /// Readings older than the newest seen are neither scored nor learnt, unless so many come in a row that the clock
    /// must have been set back.
    fn observe(&mut self, moment: Moment, value: f64) -> Score {
        if self.kind != MetricKind::Gauge || !value.is_finite() {
            return Score::NONE;
        }
        let Some(step_millis) = self.step(moment.at) else { return Score::NONE };
        let value = value.clamp(-LARGEST, LARGEST);
        self.readings = self.readings.saturating_add(1);
        self.age_millis = self.age_millis.saturating_add(step_millis);

        let caution = self.caution();
        let speaks = self.speaks();
        let level = self.level.observe(value, step_millis, caution, speaks);
        let stuck = self.stuck.observe(value, step_millis, caution);
        match () {
            () if !speaks => Score::NONE,
            () if stuck > level.excess => {
                Score { value: calibrate(stuck), expected: None, oddity: Some(Oddity::Stuck) }
            }
            () => Score {
                value: calibrate(level.excess),
                expected: level.expected,
                oddity: Some(Oddity::Profile),
            },
        }
    }
}

/// `excess` (how many times what is tolerated, 0 upwards) to 0..1: 0.5 at 1, 0.8 at 2, 0.9 at 3.
fn calibrate(excess: f64) -> f64 {
    1.0 - 1.0 / (1.0 + excess * excess)
}
