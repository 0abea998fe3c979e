//! What [`super`] is for.

use super::*;

#[test]
fn only_what_is_stronger_than_all_of_late_passes() {
    let mut gate = Gate::new(3);
    assert_eq!(
        [1.0, 1.0, 2.0, 1.5, 0.5, 0.5, 1.0].map(|strength| gate.passes(strength)),
        [true, false, true, false, false, false, false]
    );
    assert!(gate.passes(1.1), "the 2 is more than three samples ago");
}
