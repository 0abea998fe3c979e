//! The values scatter far more than they ever did: a loose contact, a failing sensor, a control loop that hunts.
//!
//! Scatter is the median size of the second differences of [`BLOCK`] readings, which neither a ramp nor a few spikes
//! move; of three blocks in a row the calmest counts, so that only what lasts is seen. It is compared with the highest
//! scatter the series had, remembered over months: what is lively by day and still by night is judged by its day.
//! What the series had is measured by the upper quartile: where something is switched on and off now and then, the
//! median jumps from still to lively when that happens a little more often.
//!
//! A new scatter that lasts is the new normal after about a day.

use serde::{Deserialize, Serialize};

use super::clock::{DAY_MILLIS, LONGEST_STEP_MILLIS, WEEK_MILLIS, forget, share};

/// Readings in a block.
const BLOCK: usize = 15;
/// Changes of value to have seen before scatter means anything.
const LEARN_CHANGES: u32 = 100;
/// How many times the highest scatter so far is tolerated.
const TOLERATED: f64 = 2.0;
/// The highest scatter halves in about two months.
const MEMORY_MILLIS: u64 = 90 * DAY_MILLIS;
/// While the scatter is odd, the record grows by this factor a day, as a natural logarithm: ten times.
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
    /// The highest scatter of the odd stretch under way, 0 outside of one.
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
    /// How many times the tolerated scatter; 1 is odd. It changes at the end of each block.
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
        // Enough is learnt from an odd stretch that its like is not odd again.
        let like = (record * self.peak.min(record * TOLERATED * TOLERATED)).sqrt();
        self.record = forget(self.record, millis, MEMORY_MILLIS).max(scatter.upper_quartile).max(like);
        self.peak = 0.0;
        self.excess = 0.0;
    }
}
