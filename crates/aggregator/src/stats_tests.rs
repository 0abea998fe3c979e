//! Against sums in twice the precision of f64 (double-double, error below 1e-30 relative), which share no code with `Stats`.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// An unevaluated sum of two doubles.
#[derive(Clone, Copy, Default)]
struct Wide(f64, f64);

impl Wide {
    fn plus(self, other: f64) -> Self {
        let sum = self.0 + other;
        let part = sum - self.0;
        let rest = (self.0 - (sum - part)) + (other - part) + self.1;
        let high = sum + rest;
        Self(high, rest - (high - sum))
    }

    fn plus_product(self, a: f64, b: f64) -> Self {
        let product = a * b;
        self.plus(product).plus(a.mul_add(b, -product))
    }
}

/// Mean and population standard deviation in two passes.
fn exact(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let sum = values.iter().fold(Wide::default(), |sum, value| sum.plus(*value));
    let mean = Wide(sum.0 / count, 0.0);
    let mean = mean.plus((sum.plus(-mean.0 * count).0 + mean.0.mul_add(-count, mean.0 * count)) / count);
    let squares = values.iter().fold(Wide::default(), |squares, value| {
        let distance = Wide(*value, 0.0).plus(-mean.0).plus(-mean.1);
        squares.plus_product(distance.0, distance.0).plus(2.0 * distance.0 * distance.1)
    });
    (mean.0 + mean.1, (squares.0 / count).sqrt())
}

fn stats(values: &[f64]) -> Stats {
    let mut stats = Stats::EMPTY;
    values.iter().for_each(|value| stats.push(*value));
    stats
}

fn merged(parts: impl IntoIterator<Item = Stats>) -> Stats {
    parts.into_iter().fold(Stats::EMPTY, |mut all, part| {
        all.merge(&part);
        all
    })
}

/// 1e9 with a standard deviation of about 1 (the sum of twelve uniform numbers is near enough to normal).
fn million_around_a_billion() -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(7);
    (0..1_000_000).map(|_| 1e9 + (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0).collect()
}

#[track_caller]
fn assert_agrees(stats: &Stats, values: &[f64]) {
    let (avg, std) = exact(values);
    assert_eq!(stats.count, values.len() as u64);
    assert_eq!(stats.min, values.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(stats.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    assert!(((stats.avg() - avg) / avg).abs() < 1e-15, "avg {} is not {avg}", stats.avg());
    assert!(((stats.std() - std) / std).abs() < 1e-12, "std {} is not {std}", stats.std());
}

#[test]
fn a_million_values_around_a_billion_keep_twelve_digits() {
    let values = million_around_a_billion();
    assert_agrees(&stats(&values), &values);
}

#[test]
fn merging_a_thousand_parts_keeps_twelve_digits() {
    let values = million_around_a_billion();
    assert_agrees(&merged(values.chunks(1000).map(stats)), &values);
    let uneven = values.chunks(1).take(500).chain([&values[500..600_000], &values[600_000..]]);
    assert_agrees(&merged(uneven.map(stats)), &values);
}

#[test]
fn a_late_reading_and_an_outlier_keep_twelve_digits() {
    let mut values = million_around_a_billion();
    let mut all = merged(values.chunks(100_000).map(stats));
    all.push(1e9 + 3.25);
    values.push(1e9 + 3.25);
    assert_agrees(&all, &values);

    let mut outlier_first = vec![-5.0];
    outlier_first.extend_from_slice(&values);
    assert_agrees(&stats(&outlier_first), &outlier_first);
}

#[test]
fn equal_values_have_no_spread() {
    let all = stats(&[0.1; 1000]);
    assert_eq!((all.avg(), all.std()), (0.1, 0.0));
}

#[test]
fn values_at_the_end_of_the_range_stay_finite() {
    let all = stats(&[f64::MAX, -f64::MAX, f64::MAX, 1.0]);
    assert!(all.avg().is_finite() && all.std().is_finite());
}

proptest! {
    #[test]
    fn agrees_however_the_values_are_split(
        values in prop::collection::vec(-1e6f64..1e6, 2..200),
        cut in 0usize..200,
    ) {
        let cut = cut.min(values.len());
        let all = merged([stats(&values[..cut]), stats(&values[cut..])]);
        let (avg, std) = exact(&values);
        prop_assert!((all.avg() - avg).abs() <= 1e-9 * avg.abs().max(std));
        prop_assert!((all.std() - std).abs() <= 1e-9 * std);
    }
}
