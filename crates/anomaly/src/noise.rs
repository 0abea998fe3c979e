//! Noise: the values scatter far more than ever before (a loose contact, a failing sensor, an oscillating control loop).
//!
//! Scatter is the median size of the second differences of [`BLOCK`] readings, which neither a ramp nor a few spikes
//! change. Of three blocks in a row the lowest counts, so that only lasting scatter is found. It is compared with the
//! highest scatter of the series, remembered over months, so that a series that is calm at night is compared with its day.
//! The past scatter is measured by the upper quartile, because the median jumps if a load is switched a little more often.
//!
//! A lasting new scatter becomes normal after about a day.

use serde::{Deserialize, Serialize};

use super::clock::{DAY_MILLIS, LONGEST_STEP_MILLIS, WEEK_MILLIS, forget, share};

/// Readings in a block.
const BLOCK: usize = 15;
/// The changes needed before scatter counts.
const LEARN_CHANGES: u32 = 100;
/// How many times the highest scatter so far is tolerated.
const TOLERATED: f64 = 2.0;
/// The highest scatter halves in about two months.
const MEMORY_MILLIS: u64 = 90 * DAY_MILLIS;
/// While the scatter is an anomaly, the record grows by this factor a day, as a natural logarithm: ten times.
const LEARN_RATE: f64 = std::f64::consts::LN_10;
/// Standard deviation of second differences over that of the values, sqrt(6).
const SECOND_DIFFERENCE: f64 = 2.449_489_742_783_178;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Noise {
    /// The two values before, and how many of them there are since the last gap.
    before: [f64; 2],
    known: u8,
    changes: u32,
    /// The smallest change of value: the sensor's resolution, where it has one.
    quantum: f64,
    /// Sizes of second differences in the block under way. Single precision is enough for a ratio.
    block: [f32; BLOCK],
    filled: u8,
    block_millis: u64,
    /// Of the two blocks before.
    blocks: [Scatter; 2],
    record: f64,
    /// The highest scatter of the current anomaly, 0 if there is none.
    peak: f64,
    excess: f64,
}

/// Of the sizes in a block.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Scatter {
    median: f64,
    upper_quartile: f64,
}

impl Scatter {
    fn of(sorted: &[f32; BLOCK]) -> Self {
        Self { median: f64::from(sorted[BLOCK / 2]), upper_quartile: f64::from(sorted[BLOCK * 3 / 4]) }
    }

    const fn calmer(self, other: Self) -> Self {
        Self {
            median: self.median.min(other.median),
            upper_quartile: self.upper_quartile.min(other.upper_quartile),
        }
    }
}

impl Noise {
    /// The scatter relative to the tolerated one; from 1 on an anomaly. It changes at the end of each block.
    pub(crate) fn observe(&mut self, value: f64, step_millis: u64, age_millis: u64) -> f64 {
        if step_millis >= LONGEST_STEP_MILLIS {
            self.known = 0;
        } else if step_millis == 0 && self.known > 0 {
            return self.excess;
        }
        self.block_millis = self.block_millis.saturating_add(step_millis);
        let [older, newer] = self.before;
        self.before = [newer, value];
        if self.known >= 1 {
            self.note_change((value - newer).abs());
        }
        self.known = (self.known + 1).min(3);
        if self.known == 3 {
            self.fill((value - newer - (newer - older)).abs() / SECOND_DIFFERENCE, age_millis);
        }
        self.excess
    }

    fn note_change(&mut self, change: f64) {
        if change > 0.0 {
            self.changes = self.changes.saturating_add(1);
            self.quantum = if self.quantum > 0.0 { self.quantum.min(change) } else { change };
        }
    }

    fn fill(&mut self, size: f64, age_millis: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "single precision is enough for a ratio")]
        if let Some(slot) = self.block.get_mut(usize::from(self.filled)) {
            *slot = size.min(f64::from(f32::MAX)) as f32;
        }
        self.filled += 1;
        if usize::from(self.filled) < BLOCK {
            return;
        }
        self.filled = 0;
        self.block.sort_unstable_by(f32::total_cmp);
        let block = Scatter::of(&self.block);
        let scatter = block.calmer(self.blocks[0]).calmer(self.blocks[1]);
        self.blocks = [self.blocks[1], block];
        let millis = std::mem::take(&mut self.block_millis);
        self.judge(scatter, millis, age_millis);
    }

    fn judge(&mut self, scatter: Scatter, millis: u64, age_millis: u64) {
        let record = self.record.max(self.quantum);
        let excess = scatter.median / (TOLERATED * record);
        if age_millis < WEEK_MILLIS || self.changes < LEARN_CHANGES || record <= 0.0 {
            self.record = self.record.max(scatter.upper_quartile);
            return;
        }
        if excess >= 1.0 {
            self.peak = self.peak.max(scatter.upper_quartile);
            self.record = record * (LEARN_RATE * share(millis, DAY_MILLIS)).exp();
            self.excess = excess;
            return;
        }
        // Learns enough from an anomaly that the same one is not reported again.
        let like = (record * self.peak.min(record * TOLERATED * TOLERATED)).sqrt();
        self.record = forget(self.record, millis, MEMORY_MILLIS).max(scatter.upper_quartile).max(like);
        self.peak = 0.0;
        self.excess = 0.0;
    }
}
