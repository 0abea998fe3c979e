//! Summaries of parts of a set, made into the summary of the whole.
//!
//! What comes out is what count, sum and sum of squares of all values would give, but nothing cancels out: counts, means and
//! squared distances from the mean are merged (Chan, Golub and LeVeque, 1979).

use crate::blob::Entry;
use crate::row::Summary;

/// The summary of what was added so far; of nothing at first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Merged {
    count: u64,
    mean: f64,
    /// The sum of all squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

impl Merged {
    pub(crate) const EMPTY: Self =
        Self { count: 0, mean: 0.0, squares: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY };

    #[expect(clippy::cast_precision_loss, reason = "2^53 values are more than any device sends")]
    pub(crate) fn add(&mut self, part: &Summary) {
        if part.count == 0 {
            return;
        }
        let count = self.count.saturating_add(part.count);
        let (before, added, all) = (self.count as f64, part.count as f64, count as f64);
        let distance = part.avg - self.mean;
        self.squares += part.std * part.std * added + distance * distance * (before * added / all);
        self.mean = if self.count == 0 { part.avg } else { self.mean + distance * (added / all) };
        self.count = count;
        self.min = self.min.min(part.min);
        self.max = self.max.max(part.max);
    }

    /// None where nothing was added.
    #[expect(clippy::cast_precision_loss, reason = "2^53 values are more than any device sends")]
    pub(crate) fn summary(&self) -> Option<Summary> {
        let Self { count, mean, squares, min, max } = *self;
        let std = (squares / count as f64).max(0.0).sqrt();
        // Rounding must not put a mean outside of its values.
        (count > 0).then(|| Summary { avg: mean.max(min).min(max), min, max, std, count })
    }
}

/// One of these for each metric, in the order in which they were first added.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MergedMetrics(Vec<(u32, Merged)>);

impl MergedMetrics {
    pub(crate) fn add(&mut self, entries: &[Entry]) {
        for Entry { metric, summary } in entries {
            match self.0.iter_mut().find(|(known, _)| known == metric) {
                Some((_, merged)) => merged.add(summary),
                None => {
                    let mut merged = Merged::EMPTY;
                    merged.add(summary);
                    self.0.push((*metric, merged));
                }
            }
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |(metric, merged): &(u32, Merged)| {
            merged.summary().map(|summary| Entry { metric: *metric, summary })
        };
        self.0.iter().filter_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn summary_of(values: &[f64]) -> Summary {
        let count = values.len() as f64;
        let avg = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - avg).powi(2)).sum::<f64>() / count;
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Summary { avg, min, max, std: variance.sqrt(), count: values.len() as u64 }
    }

    fn merged(parts: &[Vec<f64>]) -> Option<Summary> {
        let mut merged = Merged::EMPTY;
        parts.iter().for_each(|part| merged.add(&summary_of(part)));
        merged.summary()
    }

    #[test]
    fn nothing_has_no_summary_and_a_part_of_no_values_changes_nothing() {
        let mut merged = Merged::EMPTY;
        merged.add(&Summary { avg: 7.0, min: 7.0, max: 7.0, std: 0.0, count: 0 });
        assert_eq!(merged.summary(), None);
    }

    #[test]
    fn one_part_comes_out_as_it_went_in() {
        let part = Summary { avg: 21.4, min: 21.1, max: 21.9, std: 0.0, count: 30 };
        let mut merged = Merged::EMPTY;
        merged.add(&part);
        assert_eq!(merged.summary(), Some(part));
    }

    #[test]
    fn small_deviations_at_a_large_offset_do_not_cancel_out() {
        let parts: Vec<Vec<f64>> = (0..100)
            .map(|part| (0..30).map(|n| 1e9 + f64::from((part * 30 + n) % 7) / 8.0).collect())
            .collect();
        let all: Vec<f64> = parts.iter().flatten().copied().collect();
        let (merged, exact) = (merged(&parts).unwrap(), summary_of(&all));
        assert!((merged.std - exact.std).abs() < 1e-6 * exact.std, "{} {}", merged.std, exact.std);
    }

    proptest! {
        #[test]
        fn parts_give_the_summary_of_all_values(
            parts in prop::collection::vec(prop::collection::vec(-1e4..1e4_f64, 1..20), 1..20)
        ) {
            let all: Vec<f64> = parts.iter().flatten().copied().collect();
            let (merged, exact) = (merged(&parts).unwrap(), summary_of(&all));
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()));
            prop_assert!(near(merged.avg, exact.avg) && near(merged.std, exact.std), "{:?} {:?}", merged, exact);
            prop_assert_eq!((merged.min, merged.max, merged.count), (exact.min, exact.max, exact.count));
        }
    }
}
