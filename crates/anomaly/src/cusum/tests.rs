//! What [`super`] is for.

use super::*;

#[test]
fn small_residuals_add_up_where_they_lie_on_one_side() {
    let mut one_side = Cusum::default();
    let mut both = Cusum::default();
    let sums = (0..40).map(|n| (one_side.observe(1.5), both.observe(if n % 2 == 0 { 1.5 } else { -1.5 })));
    assert_eq!(sums.last(), Some((20.0, 0.5)));
}

#[test]
fn one_outlier_counts_for_little_and_is_forgiven() {
    let mut cusum = Cusum::default();
    assert_eq!(cusum.observe(-1e9), 7.0);
    assert_eq!((0..7).map(|_| cusum.observe(0.0)).last(), Some(0.0));
}
