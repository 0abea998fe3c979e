//! Which windows were published and are no longer kept, in a few bytes: they must never be opened again, or their `id`
//! would start again at revision 0.
//!
//! Ends of forgotten windows are kept as up to [`MAX_RANGES`] ranges of time; the closest two are merged when there are
//! more. So the promise errs on one side only: every forgotten window is remembered; a window between two forgotten ones that
//! was never published may be refused too. While the clock runs forward those are too late anyway; after it was set
//! back, ranges keep the time it shows now apart from the time it had shown.

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

const MAX_RANGES: usize = 8;

/// Ends of forgotten windows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    /// Both ends inclusive, disjoint, ascending.
    ranges: Vec<(Timestamp, Timestamp)>,
}

impl Forgotten {
    /// Whether a window that ended at `end` may have been forgotten.
    pub(crate) fn holds(&self, end: Timestamp) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&end))
    }

    pub(crate) fn add(&mut self, end: Timestamp) {
        if self.holds(end) {
            return;
        }
        let place = self.ranges.partition_point(|(_, high)| *high < end);
        self.ranges.insert(place, (end, end));
        if self.ranges.len() > MAX_RANGES {
            self.merge_closest();
        }
    }

    fn merge_closest(&mut self) {
        let gaps = self.ranges.iter().zip(self.ranges.iter().skip(1)).enumerate();
        let closest =
            gaps.min_by_key(|(_, (left, right))| right.0.millis_after(left.1)).map(|(place, _)| place);
        if let Some(place) = closest {
            let right = self.ranges.remove(place + 1);
            if let Some(left) = self.ranges.get_mut(place) {
                left.1 = right.1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn remembers_everything_and_merges_neighbours_first() {
        let mut forgotten = Forgotten::default();
        for end in (0..1000).step_by(10).chain((1_000_000..1_001_000).step_by(10)) {
            forgotten.add(at(end));
        }
        assert!(
            (0..1000)
                .step_by(10)
                .chain((1_000_000..1_001_000).step_by(10))
                .all(|end| forgotten.holds(at(end)))
        );
        assert!(forgotten.ranges.len() <= MAX_RANGES);
        assert!(!forgotten.holds(at(500_000)), "the gap between two epochs of the clock stays open");
    }

    #[test]
    fn remembers_in_any_order() {
        let mut forgotten = Forgotten::default();
        let ends: Vec<i64> = (0..100).map(|step| (step * 37) % 101 * 1000).collect();
        ends.iter().for_each(|end| forgotten.add(at(*end)));
        assert!(ends.iter().all(|end| forgotten.holds(at(*end))));
        assert!(forgotten.ranges.iter().zip(forgotten.ranges.iter().skip(1)).all(|(a, b)| a.1 < b.0));
    }
}
