//! A set of sequence numbers, stored as ranges: small for consecutive numbers, which a queue mostly has.

use std::collections::BTreeMap;

use crate::encoding::{Decoder, put_u64};

/// Ranges by their first number; they neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SeqSet {
    ranges: BTreeMap<u64, u64>,
}

impl SeqSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn contains(&self, seq: u64) -> bool {
        self.ranges.range(..=seq).next_back().is_some_and(|(_, last)| *last >= seq)
    }

    /// Whether it contains all numbers of a range.
    pub(crate) fn covers(&self, first: u64, last: u64) -> bool {
        first > last || self.ranges.range(..=first).next_back().is_some_and(|(_, end)| *end >= last)
    }

    /// The first number from `from` on that it does not contain.
    pub(crate) fn first_missing(&self, from: u64) -> u64 {
        match self.ranges.range(..=from).next_back() {
            Some((_, last)) if *last >= from => last.saturating_add(1),
            _ => from,
        }
    }

    /// The numbers of a range that it does not contain.
    pub(crate) fn missing(&self, first: u64, last: u64) -> SeqSet {
        let mut missing = SeqSet::default();
        missing.insert_range(first, last);
        missing.remove_all(self);
        missing
    }

    pub(crate) fn remove_all(&mut self, other: &SeqSet) {
        other.ranges().for_each(|(first, last)| self.remove_range(first, last));
    }

    pub(crate) fn insert_all(&mut self, other: &SeqSet) {
        other.ranges().for_each(|(first, last)| self.insert_range(first, last));
    }

    pub(crate) fn insert(&mut self, seq: u64) {
        self.insert_range(seq, seq);
    }

    pub(crate) fn insert_range(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        // Ranges that overlap or touch are merged.
        while let Some((old_first, old_last)) = self.ranges.range(..=last.saturating_add(1)).next_back()
            && *old_last >= first.saturating_sub(1)
        {
            let (old_first, old_last) = (*old_first, *old_last);
            self.ranges.remove(&old_first);
            (first, last) = (first.min(old_first), last.max(old_last));
        }
        self.ranges.insert(first, last);
    }

    pub(crate) fn remove_range(&mut self, first: u64, last: u64) {
        while let Some((old_first, old_last)) = self.ranges.range(..=last).next_back()
            && *old_last >= first
        {
            let (old_first, old_last) = (*old_first, *old_last);
            self.ranges.remove(&old_first);
            if let Some(end) = first.checked_sub(1).filter(|end| *end >= old_first) {
                self.ranges.insert(old_first, end);
            }
            if let Some(begin) = last.checked_add(1).filter(|begin| *begin <= old_last) {
                self.ranges.insert(begin, old_last);
            }
        }
    }

    /// Ascending.
    pub(crate) fn ranges(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// For each range: the distance from the end of the one before, and its length.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        put_u64(bytes, self.ranges.len() as u64);
        let mut before = 0;
        for (first, last) in &self.ranges {
            put_u64(bytes, first - before);
            put_u64(bytes, last - first);
            before = *last;
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Option<SeqSet> {
        let mut set = SeqSet::default();
        let mut before: u64 = 0;
        for _ in 0..decoder.u64()? {
            let first = before.checked_add(decoder.u64()?)?;
            before = first.checked_add(decoder.u64()?)?;
            set.ranges.insert(first, before);
        }
        Some(set)
    }
}

impl FromIterator<u64> for SeqSet {
    fn from_iter<T: IntoIterator<Item = u64>>(seqs: T) -> Self {
        let mut set = SeqSet::default();
        seqs.into_iter().for_each(|seq| set.insert(seq));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_what_a_set_of_numbers_would(
            steps in prop::collection::vec((any::<bool>(), 0..60u64, 0..9u64), 0..60)
        ) {
            let (mut set, mut model) = (SeqSet::default(), BTreeSet::new());
            for (is_insert, first, length) in steps {
                let last = first + length;
                if is_insert {
                    set.insert_range(first, last);
                    model.extend(first..=last);
                } else {
                    set.remove_range(first, last);
                    model.retain(|seq| !(first..=last).contains(seq));
                }
                let held: Vec<u64> = set.ranges().flat_map(|(first, last)| first..=last).collect();
                prop_assert_eq!(held, model.iter().copied().collect::<Vec<_>>());
                prop_assert!((0..80).all(|seq| set.contains(seq) == model.contains(&seq)));
                prop_assert!((0..80).all(|from| !set.contains(set.first_missing(from))
                    && (from..set.first_missing(from)).all(|seq| set.contains(seq))));
                prop_assert_eq!(set.covers(first, last), (first..=last).all(|seq| model.contains(&seq)));
                let missing: Vec<u64> = set.missing(first, last).ranges().flat_map(|(a, b)| a..=b).collect();
                prop_assert_eq!(missing, (first..=last).filter(|seq| !model.contains(seq)).collect::<Vec<_>>());
                let ranges: Vec<_> = set.ranges().collect();
                prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{:?}", ranges);
            }
            let mut bytes = Vec::new();
            set.encode(&mut bytes);
            prop_assert_eq!(SeqSet::decode(&mut Decoder::new(&bytes)), Some(set));
        }
    }
}
