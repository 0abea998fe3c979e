//! What [`super`] is for.

use gateway_core::Timestamp;

use super::*;

fn at(n: i64) -> Moment {
    Moment::utc(Timestamp::from_millis(n * 300_000))
}

#[test]
fn a_small_distance_that_lasts_is_more_than_a_large_one_that_does_not() {
    let mut shift = Shift::default();
    (0..2880).for_each(|n| {
        shift.observe(at(n), 0.5);
    });
    let mut spike = shift.clone();
    let spike = spike.observe(at(2880), 1.5);
    let lasting = (2880..2904).map(|n| shift.observe(at(n), 0.7)).last().unwrap();
    assert!(spike < 0.02 && lasting > 2.0 * spike, "{spike} {lasting}");
}
