//! What [`super`] is for.

use super::*;

const EIGHT: Symbols = Symbols { levels: 8, offset: 0.0 };

#[test]
fn a_symbol_stands_for_the_values_that_have_it_and_the_furthest_share_the_last() {
    for place in -3..11 {
        let value = (f64::from(place) + 0.5) / 8.0;
        let (low, high) = EIGHT.range(EIGHT.of(value));
        assert!(low <= value && value < high, "{value}: {low} to {high}");
    }
    assert_eq!([EIGHT.of(-1e6), EIGHT.of(1e6)], [0, EIGHT.count() - 1]);
}
