use proptest::prelude::*;

use super::*;

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    values.iter().for_each(|value| sketch.push(*value));
    sketch
}

fn percentile(sketch: &Sketch, percent: f64) -> f64 {
    sketch.percentiles(&[percent], f64::NEG_INFINITY, f64::INFINITY)[0].1
}

/// The two values between which numpy interpolates.
fn neighbours(values: &[f64], percent: f64) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    (sorted[place.floor() as usize], sorted[place.ceil() as usize])
}

#[test]
fn few_values_have_the_percentiles_that_numpy_gives() {
    let few = sketch(&[4.0, 1.0, 3.0, 2.0]);
    assert_eq!(percentile(&few, 50.0), 2.5);
    assert_eq!(percentile(&few, 0.0), 1.0);
    assert_eq!(percentile(&few, 100.0), 4.0);
    assert!((percentile(&few, 95.0) - 3.85).abs() < 1e-12);
    assert_eq!(percentile(&sketch(&[7.0]), 95.0), 7.0);
}

#[test]
fn nothing_has_no_percentiles() {
    assert!(Sketch::new().percentiles(&[50.0], 0.0, 0.0).is_empty());
}

#[test]
fn many_negative_values_and_noughts_come_out_in_order() {
    let values: Vec<f64> = (-500..=500).map(f64::from).collect();
    let many = sketch(&values);
    for (percent, expected) in [(0.0, -500.0), (10.0, -400.0), (50.0, 0.0), (90.0, 400.0), (100.0, 500.0)] {
        assert!(
            (percentile(&many, percent) - expected).abs() <= ACCURACY * 1.01 * f64::abs(expected),
            "{percent}"
        );
    }
}

#[test]
fn memory_stays_bounded_over_the_whole_range_of_numbers() {
    let mut wide = Sketch::new();
    for exponent in -300..300 {
        wide.push(10f64.powi(exponent));
        wide.push(-(10f64.powi(exponent)));
    }
    let bytes = postcard::to_stdvec(&wide).unwrap().len();
    assert!(bytes < 40_000, "{bytes}");
    assert_eq!(percentile(&wide, 100.0), 10f64.powi(299));
}

/// Within eight decades: values that spread wider than there are bins lose accuracy by design.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let value =
        prop_oneof![1e-4f64..1e4, -1e4f64..-1e-4, 1e-4f64..1e-2, Just(0.0), Just(-0.0), 20.0f64..21.0];
    prop::collection::vec(value, 1..300)
}

proptest! {
    #[test]
    fn percentiles_lie_within_the_accuracy_also_after_merging(
        parts in prop::collection::vec(values(), 1..4),
        percent in 0.0f64..=100.0,
    ) {
        let all: Vec<f64> = parts.concat();
        let mut merged = Sketch::new();
        parts.iter().for_each(|part| merged.merge(&sketch(part)));
        let (low, high) = neighbours(&all, percent);
        let slack = |value: f64| value.abs() * ACCURACY * 1.001;
        let found = percentile(&merged, percent);
        prop_assert!(low - slack(low) <= found && found <= high + slack(high), "{low} {found} {high}");
    }

    #[test]
    fn no_values_upset_it(parts in prop::collection::vec(prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 0..200), 1..4)) {
        let mut merged = Sketch::new();
        parts.iter().for_each(|part| merged.merge(&sketch(part)));
        for (_, value) in merged.percentiles(&[0.0, 1.0, 50.0, 99.9, 100.0], -f64::MAX, f64::MAX) {
            prop_assert!(value.is_finite());
        }
    }
}
