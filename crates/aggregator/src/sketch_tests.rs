use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::*;

const MOST_CENTROIDS: usize = 128;
const PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    values.iter().for_each(|value| sketch.push(*value));
    sketch
}

fn merged<'a>(parts: impl IntoIterator<Item = &'a [f64]>) -> Sketch {
    let mut merged = Sketch::new();
    parts.into_iter().for_each(|part| merged.merge(&sketch(part)));
    merged
}

fn percentile(sketch: &Sketch, percent: f64) -> f64 {
    sketch.percentiles(&[percent], f64::NEG_INFINITY, f64::INFINITY)[0].1
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// What numpy gives.
fn exact(values: &[f64], percent: f64) -> f64 {
    let sorted = sorted(values);
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// How far `value` is from where `percent` ought to be, as a share of all values.
fn rank_error(sorted: &[f64], percent: f64, value: f64) -> f64 {
    let place = percent / 100.0 * (sorted.len() - 1) as f64;
    let (below, up_to) = (sorted.partition_point(|v| *v < value), sorted.partition_point(|v| *v <= value));
    let (first, last) = if below < up_to { (below, up_to - 1) } else { (below.saturating_sub(1), below) };
    (first as f64 - place).max(place - last as f64).max(0.0) / sorted.len() as f64
}

fn check(what: &str, sketch: &Sketch, sorted: &[f64]) {
    assert!(sketch.centroids.len() <= MOST_CENTROIDS, "{what}: {} centroids", sketch.centroids.len());
    let held: u32 = sketch.centroids.iter().map(|centroid| centroid.weight).sum();
    assert_eq!(held as usize + sketch.fresh.len(), sorted.len(), "{what}: values lost");
    assert_eq!(percentile(sketch, 0.0), sorted[0], "{what}: smallest");
    assert_eq!(percentile(sketch, 100.0), sorted[sorted.len() - 1], "{what}: largest");
    for percent in PERCENTS {
        let allowed = if (10.0..90.0).contains(&percent) { ACCURACY } else { ACCURACY / 2.0 };
        let error = rank_error(sorted, percent, percentile(sketch, percent));
        assert!(error <= allowed, "{what}: p{percent} is off by {error}");
    }
}

/// However the values come: as drawn, in order, backwards, merged from a hundred parts in random order, and from parts that
/// do not overlap.
fn check_every_way(what: &str, draw: impl Fn(&mut StdRng) -> f64) {
    for count in [3_000, 100_000] {
        let mut rng = StdRng::seed_from_u64(7);
        let values: Vec<f64> = (0..count).map(|_| draw(&mut rng)).collect();
        let mut ordered = sorted(&values);
        let mut parts: Vec<&[f64]> = values.chunks(count / 100).collect();
        parts.shuffle(&mut rng);
        let mut ranges: Vec<&[f64]> = ordered.chunks(count / 100).collect();
        ranges.shuffle(&mut rng);
        check(&format!("{what}, {count}"), &sketch(&values), &ordered);
        check(&format!("{what}, {count}, merged"), &merged(parts), &ordered);
        check(&format!("{what}, {count}, merged from ranges"), &merged(ranges), &ordered);
        check(&format!("{what}, {count}, ascending"), &sketch(&ordered), &ordered);
        ordered.reverse();
        let descending = sketch(&ordered);
        ordered.reverse();
        check(&format!("{what}, {count}, descending"), &descending, &ordered);
    }
}

/// Box and Muller.
fn normal(rng: &mut StdRng) -> f64 {
    let (radius, angle): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
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
fn a_small_spread_around_a_large_value_is_told_apart() {
    let mut rng = StdRng::seed_from_u64(1);
    let values: Vec<f64> = (0..3_000).map(|_| 1013.0 + normal(&mut rng)).collect();
    let pressure = sketch(&values);
    for percent in [5.0, 50.0, 95.0] {
        let (found, expected) = (percentile(&pressure, percent), exact(&values, percent));
        assert!((found - expected).abs() < 0.03, "p{percent}: {found}, not {expected}");
    }
}

#[test]
fn an_offset_and_a_scale_change_nothing_but_the_offset_and_the_scale() {
    let mut rng = StdRng::seed_from_u64(2);
    // Multiples of 2^-20: the moved ones are exact too.
    let values: Vec<f64> =
        (0..3_000).map(|_| f64::from(rng.random_range(0..1 << 20)) / 1_048_576.0).collect();
    let moved: Vec<f64> = values.iter().map(|value| value * 4.0 + 1e9).collect();
    let (here, there) = (sketch(&values), sketch(&moved));
    for percent in PERCENTS {
        let expected = percentile(&here, percent) * 4.0 + 1e9;
        assert!((percentile(&there, percent) - expected).abs() < 1e-5, "p{percent}");
    }
}

#[test]
fn normal_values_keep_their_ranks() {
    check_every_way("N(1013, 1)", |rng| 1013.0 + normal(rng));
}

#[test]
fn normal_values_far_from_zero_keep_their_ranks() {
    check_every_way("N(1e9, 1)", |rng| 1e9 + normal(rng));
}

#[test]
fn negative_values_keep_their_ranks() {
    check_every_way("N(-273, 0.1)", |rng| -273.0 + 0.1 * normal(rng));
}

#[test]
fn uniform_values_keep_their_ranks() {
    check_every_way("uniform", |rng| rng.random_range(-1.0..1.0));
}

#[test]
fn exponential_values_keep_their_ranks() {
    check_every_way("exponential", |rng| -(1.0 - rng.random::<f64>()).ln());
}

#[test]
fn values_around_two_modes_keep_their_ranks() {
    check_every_way("bimodal", |rng| normal(rng) + if rng.random_bool(0.5) { 20.0 } else { 1000.0 });
}

#[test]
fn two_values_that_change_places_near_the_median_keep_their_ranks() {
    for share in [0.47, 0.48, 0.49, 0.51, 0.52, 0.53] {
        check_every_way(&format!("{share} on"), |rng| if rng.random_bool(share) { 1500.0 } else { 0.0 });
    }
}

#[test]
fn coarse_steps_keep_their_ranks() {
    check_every_way("steps", |rng| ((20.0 + 0.3 * normal(rng)) * 10.0).round() / 10.0);
}

#[test]
fn not_many_different_values_are_exact_however_often_they_come() {
    let mut rng = StdRng::seed_from_u64(4);
    let values: Vec<f64> =
        (0..20_000).map(|_| f64::from(rng.random_range(0..ENOUGH as i32)) / 10.0).collect();
    for sketch in [sketch(&values), merged(values.chunks(700))] {
        for percent in PERCENTS {
            assert_eq!(percentile(&sketch, percent), exact(&values, percent), "p{percent}");
        }
    }
}

#[test]
fn a_constant_stays_exactly_what_it_is() {
    check_every_way("constant", |_| 0.1);
    let constant = sketch(&[0.1; 3_000]);
    assert!(PERCENTS.iter().all(|percent| percentile(&constant, *percent) == 0.1));
}

#[test]
fn memory_stays_bounded_over_the_whole_range_of_numbers() {
    let mut wide = Sketch::new();
    let mut most = 0;
    for round in 0..20 {
        for exponent in -300..300 {
            wide.push(10f64.powi(exponent));
            wide.push(-(10f64.powi(exponent)) * f64::from(round));
            let (centroids, fresh) = (wide.centroids.capacity(), wide.fresh.capacity());
            most = most.max(centroids * size_of::<Centroid>() + fresh * size_of::<f64>());
        }
    }
    assert!(most <= MOST_CENTROIDS * size_of::<Centroid>() + EXACT * size_of::<f64>(), "{most} bytes");
    assert_eq!(percentile(&wide, 100.0), 10f64.powi(299));
}

#[test]
fn goes_on_after_being_stored_as_if_nothing_had_happened() {
    let mut rng = StdRng::seed_from_u64(3);
    for count in [0, 1, 64, 65, 200, 5_000] {
        let values: Vec<f64> = (0..count).map(|_| normal(&mut rng)).collect();
        let mut kept = sketch(&values);
        let mut restored: Sketch = postcard::from_bytes(&postcard::to_stdvec(&kept).unwrap()).unwrap();
        for value in (0..500).map(f64::from) {
            kept.push(value);
            restored.push(value);
        }
        assert_eq!(postcard::to_stdvec(&kept), postcard::to_stdvec(&restored), "{count}");
    }
}

fn values() -> impl Strategy<Value = Vec<f64>> {
    let value =
        prop_oneof![1e-4f64..1e4, -1e4f64..-1e-4, 1e-4f64..1e-2, Just(0.0), Just(-0.0), 20.0f64..21.0];
    prop::collection::vec(value, 1..600)
}

/// Everything finite.
fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop::num::f64::NORMAL
        | prop::num::f64::SUBNORMAL
        | prop::num::f64::ZERO
        | prop::num::f64::POSITIVE
        | prop::num::f64::NEGATIVE;
    prop::collection::vec(value, 1..300)
}

proptest! {
    #[test]
    fn up_to_so_many_values_are_exact_also_after_merging(
        values in prop::collection::vec(-1e4f64..1e4, 1..=EXACT),
        cut in 0..EXACT,
        percent in 0.0f64..=100.0,
    ) {
        let (left, right) = values.split_at(cut.min(values.len()));
        let found = percentile(&merged([left, right]), percent);
        prop_assert!((found - exact(&values, percent)).abs() < 1e-9);
    }

    #[test]
    fn clusters_very_unevenly_apart_are_off_by_three_times_the_accuracy_at_most(
        parts in prop::collection::vec(values(), 1..4),
        percent in 0.0f64..=100.0,
    ) {
        let found = percentile(&merged(parts.iter().map(Vec::as_slice)), percent);
        let error = rank_error(&sorted(&parts.concat()), percent, found);
        prop_assert!(error <= 3.0 * ACCURACY, "{error}");
    }

    #[test]
    fn percentiles_of_any_values_rise_from_the_smallest_to_the_largest(
        parts in prop::collection::vec(any_values(), 1..5),
        percents in prop::collection::vec(0.0f64..=100.0, 0..20),
    ) {
        let all = sorted(&parts.concat());
        let percents = sorted(&[&percents[..], &[0.0, 100.0]].concat());
        let merged = merged(parts.iter().map(Vec::as_slice));
        let found = merged.percentiles(&percents, f64::NEG_INFINITY, f64::INFINITY);
        prop_assert_eq!(found[0].1, all[0]);
        prop_assert_eq!(found[found.len() - 1].1, all[all.len() - 1]);
        for pair in found.windows(2) {
            prop_assert!(pair[0].1 <= pair[1].1, "{pair:?}");
        }
    }

    #[test]
    fn the_same_calls_give_the_same_sketch(parts in prop::collection::vec(any_values(), 1..4)) {
        let bytes = || postcard::to_stdvec(&merged(parts.iter().map(Vec::as_slice))).unwrap();
        prop_assert_eq!(bytes(), bytes());
    }
}
