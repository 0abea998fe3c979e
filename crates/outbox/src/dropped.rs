//! The ranges of numbers of one lane that were dropped for one sink. Neighbouring numbers form one range; the newest thousand ranges are kept.

use std::sync::Arc;

use crate::encoding::{Decoder, put_u64};
use crate::lane::Lane;
use crate::seqs::SeqSet;
use crate::totals::{Count, DropReason, DroppedRange};

/// How many are kept.
const MAX_RANGES: usize = 1000;

/// Oldest numbers first. Clones are cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DroppedRanges(Arc<Vec<DroppedRange>>);

impl DroppedRanges {
    pub(crate) fn all(&self) -> &[DroppedRange] {
        &self.0
    }

    /// The numbers of all ranges, and, if older ones were removed, everything before.
    pub(crate) fn seqs(&self) -> SeqSet {
        let mut seqs = SeqSet::default();
        self.0.iter().for_each(|range| seqs.insert_range(range.seq_from, range.seq_to));
        if let Some(oldest) = self.0.first().filter(|_| self.0.len() >= MAX_RANGES) {
            seqs.insert_range(0, oldest.seq_to);
        }
        seqs
    }

    /// Adds a range, joins it with its neighbours, and removes the oldest one if there are too many.
    pub(crate) fn insert(&mut self, range: DroppedRange) {
        let ranges = Arc::make_mut(&mut self.0);
        let at = ranges.partition_point(|old| old.seq_from <= range.seq_from);
        ranges.insert(at, range);
        for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if let (Some(first), Some(second)) = (ranges.get(left).copied(), ranges.get(left + 1).copied())
                && first.meets(&second)
            {
                ranges.remove(left + 1);
                if let Some(joined) = ranges.get_mut(left) {
                    *joined = first.join(second);
                }
            }
        }
        let too_many = ranges.len().saturating_sub(MAX_RANGES);
        ranges.drain(..too_many);
    }

    pub(crate) fn decode(lane: Lane, decoder: &mut Decoder<'_>) -> Option<DroppedRanges> {
        decode(lane, decoder).map(|ranges| DroppedRanges(Arc::new(ranges)))
    }
}

/// Ranges of one lane.
pub(crate) fn encode(ranges: &[DroppedRange], bytes: &mut Vec<u8>) {
    put_u64(bytes, ranges.len() as u64);
    for range in ranges {
        let DroppedRange { lane: _, seq_from, seq_to, weight, reason, at_ms } = *range;
        for number in [seq_from, seq_to, weight, reason.code(), at_ms.cast_unsigned()] {
            put_u64(bytes, number);
        }
    }
}

pub(crate) fn decode(lane: Lane, decoder: &mut Decoder<'_>) -> Option<Vec<DroppedRange>> {
    let mut ranges = Vec::new();
    for _ in 0..decoder.u64()? {
        ranges.push(DroppedRange {
            lane,
            seq_from: decoder.u64()?,
            seq_to: decoder.u64()?,
            weight: decoder.u64()?,
            reason: DropReason::from_code(decoder.u64()?),
            at_ms: decoder.u64()?.cast_signed(),
        });
    }
    Some(ranges)
}

/// Ranges for entries that were lost to damage. Their weight is spread evenly over the missing numbers.
pub(crate) fn spread(missing: &[(Lane, SeqSet)], lost: Count, at_ms: i64) -> Vec<DroppedRange> {
    if lost == Count::default() {
        return Vec::new();
    }
    let ranges = || missing.iter().flat_map(|(lane, seqs)| seqs.ranges().map(|range| (*lane, range)));
    let length = |(first, last): (u64, u64)| (last - first).saturating_add(1);
    let mut numbers = ranges().map(|(_, range)| length(range)).fold(0, u64::saturating_add);
    let mut weight = lost.weight;
    let part = |(lane, (seq_from, seq_to))| {
        let length = length((seq_from, seq_to));
        let part = u128::from(weight) * u128::from(length) / u128::from(numbers.max(1));
        let part = u64::try_from(part).unwrap_or(weight).min(weight);
        weight -= part;
        numbers = numbers.saturating_sub(length);
        DroppedRange { lane, seq_from, seq_to, weight: part, reason: DropReason::Damaged, at_ms }
    };
    ranges().map(part).collect()
}
