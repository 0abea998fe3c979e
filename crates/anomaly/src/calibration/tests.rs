//! What [`super`] is for.

use super::*;

/// A past of 400 samples between 0 and 1.
fn past() -> Calibration {
    Calibration::from_trial((0..400).map(|n| f64::from(n * 7 % 100) / 100.0))
}

#[test]
fn as_strong_as_nothing_before_ranks_1_or_more_and_the_ordinary_near_0() {
    let mut calibration = past();
    assert!(calibration.rank(0.5) < 0.1);
    assert!(calibration.rank(1.0) >= 1.0);
    assert!(calibration.rank(2.0) > 10.0);
}

#[test]
fn a_burst_counts_once() {
    let (mut burst, mut single) = (past(), past());
    (0..10).for_each(|_| burst.learn(5.0));
    (0..10).for_each(|n| single.learn(if n == 0 { 5.0 } else { 0.5 }));
    let strong =
        |calibration: &Calibration| calibration.strongest.iter().filter(|strong| strong.value > 1.0).count();
    assert_eq!([strong(&burst), strong(&single)], [1, 1]);
}

#[test]
fn a_record_is_forgotten_and_a_calmer_series_is_measured_by_its_calm() {
    let mut calibration = past();
    (0..10).for_each(|n| calibration.learn(if n == 0 { 100.0 } else { 0.5 }));
    assert!(calibration.rank(2.0) < 0.6);
    (0..60_000).for_each(|n| calibration.learn(f64::from(n % 10) / 100.0));
    assert!(calibration.strongest.iter().all(|strong| strong.value < 0.1));
    assert!(calibration.rank(10.0) > 0.9);
}
