//! What [`super`] is for.

use super::*;

/// The last statistic after 600 steps of 0.1 and then 60 of `step`.
fn after(step: f64) -> f64 {
    let mut spread = Spread::default();
    let steps = (0..660).map(|n| if n < 600 { 0.1 } else { step } * f64::from(n % 2));
    steps.map(|value| spread.observe(value)).last().unwrap()
}

#[test]
fn scatter_that_grows_and_scatter_that_falls_are_seen_alike() {
    let (same, more, less) = (after(0.1), after(1.0), after(0.01));
    assert!(same < 0.05 && more > 2.0 && less > 2.0, "{same} {more} {less}");
}

#[test]
fn a_series_that_stands_still_has_no_scatter_to_compare() {
    let mut spread = Spread::default();
    assert!((0..500).all(|_| spread.observe(1.0) == 0.0));
}
