//! Which numbers are there, and so which are missing.

use crate::state::State;
use crate::totals::{Count, DropReason, DroppedRange};

/// Numbers in runs, in any order.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    there: Vec<(u64, u64)>,
}

impl Missing {
    pub(crate) fn is_there(&mut self, seq: u64) {
        match self.there.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => self.there.push((seq, seq)),
        }
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.there.iter().map(|(_, last)| *last).max()
    }

    /// Where the `lost` entries stood: whole gaps between what is there and what was `dropped` before, the newest first,
    /// until they could hold them all; older numbers were published.
    pub(crate) fn ranges(
        &mut self,
        state: &State,
        lost: Count,
        dropped: &[DroppedRange],
    ) -> Vec<DroppedRange> {
        self.there.extend(dropped.iter().map(|range| (range.seq_from, range.seq_to)));
        self.there.sort_unstable();
        let mut room = 0_u64;
        let mut places = self.gaps(state.next_seq);
        places.reverse();
        places.retain(|(first, last)| {
            let is_wanted = room < lost.entries;
            room = room.saturating_add(last - first + 1);
            is_wanted
        });
        spread(places, lost, state.now_ms)
    }

    /// Needs `there` to be sorted.
    fn gaps(&self, next_seq: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut next = 1;
        for (first, last) in self.there.iter().copied().chain([(next_seq, next_seq)]) {
            if next < first {
                gaps.push((next, first - 1));
            }
            next = next.max(last.saturating_add(1));
        }
        gaps
    }
}

/// What was lost, evenly over the numbers.
fn spread(places: Vec<(u64, u64)>, lost: Count, at_ms: i64) -> Vec<DroppedRange> {
    if lost == Count::default() {
        return Vec::new();
    }
    let mut numbers: u64 = places.iter().map(|(first, last)| last - first + 1).sum();
    let mut weight = lost.weight;
    let part = |(seq_from, seq_to): (u64, u64)| {
        let length = seq_to - seq_from + 1;
        let part = u128::from(weight) * u128::from(length) / u128::from(numbers.max(1));
        let part = u64::try_from(part).unwrap_or(weight);
        weight -= part;
        numbers -= length;
        DroppedRange { seq_from, seq_to, weight: part, reason: DropReason::Damaged, at_ms }
    };
    places.into_iter().map(part).collect()
}
