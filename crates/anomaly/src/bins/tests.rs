//! What [`super`] is for.

use super::*;

#[test]
fn a_bin_has_a_plain_mean_at_first_and_one_that_forgets_later() {
    let mut means = Means::new(2, 0.1);
    [1.0, 3.0].into_iter().for_each(|value| means.learn(1, value));
    assert_eq!(
        [means.get(1, 2), means.get(1, 3), means.get(0, 1), means.get(9, 0)],
        [Some(2.0), None, None, None]
    );
    (0..100).for_each(|_| means.learn(1, 8.0));
    assert!((means.get(1, 2).unwrap() - 8.0).abs() < 0.01);
}

#[test]
fn counts_outside_of_the_bins_are_none_and_half_can_be_forgotten() {
    let mut counts = Counts::new(1);
    (0..5).for_each(|_| counts.add(0));
    counts.add(7);
    counts.halve();
    assert_eq!([counts.get(0), counts.get(7)], [2.0, 0.0]);
}
