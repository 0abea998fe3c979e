//! What [`super`] is for.

use super::*;

#[test]
fn the_oldest_leaves_once_it_is_full() {
    let mut recent = Recent::new(2);
    assert_eq!([recent.mean(), recent.greatest().unwrap_or(-1.0)], [0.0, -1.0]);
    assert_eq!([3.0, 1.0, 2.0].map(|value| recent.push(value)), [None, None, Some(3.0)]);
    assert_eq!((recent.mean(), recent.greatest()), (1.5, Some(2.0)));
}
