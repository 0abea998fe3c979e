//! A series that used to vary and now repeats one value exactly, far longer than it ever did: a frozen sensor.
//!
//! Repeating the lowest or highest value ever seen is not judged: that is where dark, off, empty and saturated rest.
//! A coarse sensor that often repeats itself has a long longest run, and is given many times that.

use serde::{Deserialize, Serialize};

/// Runs (stretches of one value) to have seen before a series counts as one that varies.
const LEARN_RUNS: u32 = 100;
/// How many times the longest run so far is tolerated.
const TOLERATED: f64 = 8.0;
/// No run below this many readings is odd.
const SHORTEST: f64 = 30.0;
/// No run below this much event time is odd: 5 minutes.
const SHORTEST_MILLIS: u64 = 300_000;
/// The longest run is forgotten at this rate per run.
const FORGET: f64 = 0.001;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Stuck {
    value: f64,
    lowest: f64,
    highest: f64,
    /// Readings in the run under way; 0 before the first reading.
    run: u32,
    run_millis: u64,
    /// Readings in the longest run that is over.
    longest: f64,
    runs: u32,
}

impl Stuck {
    /// How many times the tolerated run; 1 is odd.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, caution: f64) -> f64 {
        if self.run == 0 {
            (self.value, self.lowest, self.highest, self.run) = (value, value, value, 1);
            return 0.0;
        }
        if value != self.value {
            self.begin_run(value);
            return 0.0;
        }
        // The same value at the same time is one reading that came twice.
        if step_millis > 0 {
            self.run = self.run.saturating_add(1);
            self.run_millis = self.run_millis.saturating_add(step_millis);
        }
        let resting = value <= self.lowest || value >= self.highest;
        if resting || self.runs < LEARN_RUNS || self.run_millis < SHORTEST_MILLIS {
            return 0.0;
        }
        f64::from(self.run) / (self.tolerated() * caution)
    }

    fn tolerated(&self) -> f64 {
        (TOLERATED * self.longest).max(SHORTEST)
    }

    /// One frozen stretch teaches no more than what was tolerated, so that it does not blind the series for good.
    fn begin_run(&mut self, value: f64) {
        let taught = f64::from(self.run).min(self.tolerated());
        self.longest = (self.longest * (1.0 - FORGET)).max(taught);
        self.runs = self.runs.saturating_add(1);
        (self.value, self.run, self.run_millis) = (value, 1, 0);
        self.lowest = self.lowest.min(value);
        self.highest = self.highest.max(value);
    }
}
