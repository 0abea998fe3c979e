//! What [`super`] is for.

use super::*;

#[test]
fn the_trial_lies_between_0_and_1_and_there_is_a_way_back() {
    let scale = Scale::of([10.0, 30.0, 20.0].into_iter());
    assert_eq!([10.0, 20.0, 30.0, 50.0].map(|value| scale.normalise(value)), [0.0, 0.5, 1.0, 2.0]);
    assert_eq!(scale.denormalise(0.5), 20.0);
}

#[test]
fn a_series_that_stood_still_has_a_scale_too() {
    let scale = Scale::of([0.0; 5].into_iter());
    assert_eq!([scale.normalise(2.0), scale.log(0.0)], [2.0, 0.0]);
}
