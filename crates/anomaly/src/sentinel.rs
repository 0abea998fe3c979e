//! Sentinel: a sudden jump to a typical value of a broken sensor: −40, 85 °C, 0, 65535.
//!
//! Such a value is an anomaly only if the series' own past makes it absurd: it is far outside of the range so far, and the
//! jump to it is far larger than any before. Both are measured relative to the series, so one reading is enough, and a value
//! reached in small steps is not absurd.
//!
//! An absurd value is not learnt: it stays an anomaly for a week (0 for a day, because 0 may also mean "switched off").

use serde::{Deserialize, Serialize};

use super::clock::{DAY_MILLIS, HOUR_MILLIS, WEEK_MILLIS, forget, share};

/// Values of broken sensors: all bits set or the lowest number of 8, 16 and 32 bits, plain and in tenths and
/// hundredths; the end of the scale of common sensors (−40, in °C as in °F); what a DS18B20 shows after power-on (85 °C,
/// 185 °F) and when it is not there (−127 °C, −196.6 °F); what people write for "none".
const MARKERS: [f64; 30] = [
    0.0,
    -40.0,
    85.0,
    185.0,
    -127.0,
    -196.6,
    127.0,
    -128.0,
    255.0,
    32_767.0,
    -32_768.0,
    65_535.0,
    3_276.7,
    -3_276.8,
    6_553.5,
    327.67,
    -327.68,
    655.35,
    2_147_483_647.0,
    -2_147_483_648.0,
    4_294_967_295.0,
    999.0,
    -999.0,
    999.9,
    -999.9,
    9_999.0,
    -9_999.0,
    -99.0,
    -99.9,
    -273.15,
];
/// How exact a marker is, relative to it: single precision on its way to double.
const EXACTNESS: f64 = 1e-6;
/// Readings, changes of value and event time to have seen before any value can be absurd.
const LEARN_READINGS: u32 = 60;
const LEARN_CHANGES: u32 = 20;
const LEARN_MILLIS: u64 = DAY_MILLIS;
/// 0 lies so many steps of a coarse sensor away from all that was seen, or it is but the next smaller count.
const ZERO_STEPS: f64 = 5.0;
/// The value lies beyond the range by so many times the half of the range on that side, and the jump is so many times
/// the largest so far.
const TOLERATED_GAP: f64 = 1.0;
const TOLERATED_JUMP: f64 = 1.5;
/// More than this many times what is tolerated says nothing more.
const CLEAR: f64 = 9.0;
/// How absurd a negative marker is to what was never negative, however much that varies: power, light, counts.
const NEVER_NEGATIVE: f64 = 2.5;
/// Range and jumps shrink to a half in about two months; the middle follows in days.
const MEMORY_MILLIS: u64 = 90 * DAY_MILLIS;
const MIDDLE_MILLIS: u64 = 2 * DAY_MILLIS;
/// Bearing an absurd value is forgiven so many times slower than it is counted.
const FORGIVE: u64 = 16;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Sentinel {
    readings: u32,
    changes: u32,
    /// The newest value that was not absurd.
    last: f64,
    lowest: f64,
    highest: f64,
    middle: f64,
    /// The largest jump.
    jump: f64,
    /// The smallest change of value: the sensor's resolution, where it has one.
    quantum: f64,
    /// Event time at absurd values.
    borne_millis: u64,
}

impl Sentinel {
    /// How absurd the value is; from 1 on an anomaly.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, age_millis: u64) -> f64 {
        let absurdity = if is_marker(value) { self.absurdity(value, age_millis) } else { 0.0 };
        let patience = if value == 0.0 { DAY_MILLIS } else { WEEK_MILLIS };
        if absurdity >= 1.0 && self.borne_millis < patience {
            self.borne_millis = self.borne_millis.saturating_add(step_millis);
            return absurdity;
        }
        self.borne_millis = self.borne_millis.saturating_sub(step_millis / FORGIVE);
        self.learn(value, step_millis, age_millis);
        0.0
    }

    /// What the series has shown so far.
    pub(crate) fn range(&self) -> (f64, f64) {
        (self.lowest, self.highest)
    }

    fn absurdity(&self, value: f64, age_millis: u64) -> f64 {
        if self.readings < LEARN_READINGS || self.changes < LEARN_CHANGES || age_millis < LEARN_MILLIS {
            return 0.0;
        }
        if value == 0.0 && (age_millis < WEEK_MILLIS || self.may_be_zero()) {
            return 0.0;
        }
        if value < 0.0 && self.lowest >= 0.0 && age_millis >= WEEK_MILLIS {
            return NEVER_NEGATIVE;
        }
        let (gap, half) = if value < self.lowest {
            (self.lowest - value, self.middle - self.lowest)
        } else {
            (value - self.highest, self.highest - self.middle)
        };
        // A range may be all on one side of its middle.
        let half = half.max((self.highest - self.lowest) / 8.0).max(self.quantum);
        let jump = (value - self.last).abs() / self.jump.max(self.quantum);
        let (gap, jump) = (gap / half / TOLERATED_GAP, jump / TOLERATED_JUMP);
        if gap < 1.0 || jump < 1.0 { 0.0 } else { (gap.min(CLEAR) * jump.min(CLEAR)).sqrt() }
    }

    /// A share between 0 and 1, or a small count.
    fn may_be_zero(&self) -> bool {
        let nearest = self.lowest.abs().min(self.highest.abs());
        (self.lowest >= 0.0 && self.highest <= 1.0) || nearest < ZERO_STEPS * self.quantum
    }

    fn learn(&mut self, value: f64, step_millis: u64, age_millis: u64) {
        if self.readings == 0 {
            (self.last, self.lowest, self.highest, self.middle) = (value, value, value, value);
        }
        self.readings = self.readings.saturating_add(1);
        self.learn_jump((value - self.last).abs(), step_millis, age_millis);
        self.last = value;

        // One outlier stretches the range by no more than its half.
        let known = age_millis >= HOUR_MILLIS && self.changes >= LEARN_CHANGES;
        let stretch = if known { (self.highest - self.lowest) / 2.0 } else { f64::INFINITY };
        self.lowest = self.middle - forget(self.middle - self.lowest, step_millis, MEMORY_MILLIS);
        self.highest = self.middle + forget(self.highest - self.middle, step_millis, MEMORY_MILLIS);
        let taught = value.clamp(self.lowest - stretch, self.highest + stretch);
        let rate = share(step_millis, MIDDLE_MILLIS).max(1.0 / f64::from(self.readings));
        self.middle += rate * (taught - self.middle);
        self.lowest = self.lowest.min(taught);
        self.highest = self.highest.max(taught);
    }

    fn learn_jump(&mut self, jump: f64, step_millis: u64, age_millis: u64) {
        if jump > 0.0 {
            self.changes = self.changes.saturating_add(1);
            self.quantum = if self.quantum > 0.0 { self.quantum.min(jump) } else { jump };
        }
        let taught =
            if age_millis < HOUR_MILLIS { jump } else { jump.min(2.0 * self.jump.max(self.quantum)) };
        self.jump = forget(self.jump, step_millis, MEMORY_MILLIS).max(taught);
    }
}

fn is_marker(value: f64) -> bool {
    MARKERS.iter().any(|marker| (value - marker).abs() <= marker.abs() * EXACTNESS)
}
