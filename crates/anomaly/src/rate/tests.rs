//! What [`super`] is for.

use super::*;

#[test]
fn a_count_is_told_by_the_hour_and_a_reset_is_no_part_of_it() {
    let mut rate = Rate::default();
    let half_hour = SinceLast(Some(1_800_000));
    assert_eq!(rate.of(100.0, SinceLast(None)), None);
    assert_eq!([104.0, 1.0, 1.5].map(|count| rate.of(count, half_hour)), [Some(8.0), None, Some(1.0)]);
    assert_eq!(rate.of(9.0, SinceLast(Some(0))), None);
}
