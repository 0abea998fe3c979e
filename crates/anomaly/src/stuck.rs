//! Stuck: a series that used to vary repeats one value exactly, far longer than ever before (a frozen sensor).
//!
//! The run must be too long both in readings and in event time: a burst of messages is not a long time, and a few
//! heartbeats of a device that reports changes are not many readings. A multiple of the longest run so far is tolerated,
//! remembered over months, so that plateaus of nights and weekends alarm at most once.
//!
//! A run at the lowest or highest value is not scored if the series rested there before, nor at 0 and 100: dark, off, empty,
//! saturated. A series that never varied is never stuck.

use serde::{Deserialize, Serialize};

use super::clock::{DAY_MILLIS, HOUR_MILLIS, WEEK_MILLIS, forget};

/// Runs (stretches of one value) to have seen before a series counts as one that varies.
const LEARN_RUNS: u32 = 100;
/// How many times the longest run so far is tolerated. Holidays are up to 4 times a weekend.
const TOLERATED: f64 = 4.0;
/// A run of fewer readings is never an anomaly.
const SHORTEST: f64 = 30.0;
/// A run of less event time is never an anomaly.
const SHORTEST_MILLIS: u64 = HOUR_MILLIS / 2;
/// Nor below this in the first week, which has a weekend that was not seen before.
const SHORTEST_YOUNG_MILLIS: u64 = 3 * DAY_MILLIS;
/// The longest run halves in about two months.
const MEMORY_MILLIS: u64 = 90 * DAY_MILLIS;
/// Runs at the lowest or highest value that make it a place to rest.
const RESTS: u8 = 3;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Stuck {
    value: f64,
    lowest: f64,
    highest: f64,
    /// Runs at `lowest` and at `highest`, as far as [`RESTS`].
    runs_lowest: u8,
    runs_highest: u8,
    /// Readings in the run under way; 0 before the first reading.
    run: u32,
    run_millis: u64,
    runs: u32,
    /// Of runs anywhere between.
    longest: Longest,
    /// Of runs at a place to rest.
    longest_rest: Longest,
}

/// The longest runs that are over.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Longest {
    readings: f64,
    millis: f64,
}

impl Stuck {
    /// The run relative to the tolerated one; from 1 on an anomaly.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, age_millis: u64) -> f64 {
        let young = age_millis < WEEK_MILLIS;
        if self.run == 0 {
            (self.lowest, self.highest) = (value, value);
            self.begin_run(value);
            return 0.0;
        }
        self.longest.forget(step_millis);
        self.longest_rest.forget(step_millis);
        if value != self.value {
            self.end_run(young);
            self.begin_run(value);
            return 0.0;
        }
        // The same value at the same time is one reading received twice.
        if step_millis > 0 {
            self.run = self.run.saturating_add(1);
            self.run_millis = self.run_millis.saturating_add(step_millis);
        }
        if self.runs < LEARN_RUNS || self.rests() {
            return 0.0;
        }
        let shortest_millis = if young { SHORTEST_YOUNG_MILLIS } else { SHORTEST_MILLIS };
        let readings = f64::from(self.run) / (TOLERATED * self.longest.readings).max(SHORTEST);
        let time = millis(self.run_millis) / (TOLERATED * self.longest.millis).max(millis(shortest_millis));
        readings.min(time)
    }

    fn rests(&self) -> bool {
        let natural = self.value == 0.0 || self.value == 100.0;
        (self.value <= self.lowest && (natural || self.runs_lowest >= RESTS))
            || (self.value >= self.highest && (natural || self.runs_highest >= RESTS))
    }

    fn end_run(&mut self, young: bool) {
        self.runs = self.runs.saturating_add(1);
        let longest = if self.rests() { &mut self.longest_rest } else { &mut self.longest };
        longest.readings = longer(longest.readings, f64::from(self.run), SHORTEST, young);
        longest.millis = longer(longest.millis, millis(self.run_millis), millis(SHORTEST_MILLIS), young);
    }

    fn begin_run(&mut self, value: f64) {
        // Where it now goes beyond a place to rest, it may still hold there as long.
        if value < self.lowest {
            self.longest.include(self.longest_rest, self.runs_lowest);
            (self.lowest, self.runs_lowest) = (value, 0);
        }
        if value > self.highest {
            self.longest.include(self.longest_rest, self.runs_highest);
            (self.highest, self.runs_highest) = (value, 0);
        }
        if value == self.lowest {
            self.runs_lowest = self.runs_lowest.saturating_add(1).min(RESTS);
        }
        if value == self.highest {
            self.runs_highest = self.runs_highest.saturating_add(1).min(RESTS);
        }
        (self.value, self.run, self.run_millis) = (value, 1, 0);
    }
}

impl Longest {
    fn forget(&mut self, step_millis: u64) {
        self.readings = forget(self.readings, step_millis, MEMORY_MILLIS);
        self.millis = forget(self.millis, step_millis, MEMORY_MILLIS);
    }

    fn include(&mut self, rest: Self, runs: u8) {
        if runs < RESTS {
            return;
        }
        self.readings = self.readings.max(rest.readings);
        self.millis = self.millis.max(rest.millis);
    }
}

/// The longest run after one more. A mature series learns from a longer one just enough that the same one is not an anomaly
/// again, and never so much that one frozen stretch blinds it.
fn longer(longest: f64, run: f64, shortest: f64, young: bool) -> f64 {
    if young {
        return longest.max(run);
    }
    let known = longest.max(shortest / TOLERATED);
    if run <= known {
        return longest;
    }
    (known * run.min(known * TOLERATED * TOLERATED)).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "2^53 milliseconds are 285,000 years")]
fn millis(millis: u64) -> f64 {
    millis as f64
}
