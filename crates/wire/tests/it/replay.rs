//! A counter is accepted once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use wire::ReplayWindow;

#[test]
fn counters_may_come_out_of_order_within_64() {
    let mut window = ReplayWindow::new();
    for (counter, is_new) in [
        (5, true),
        (5, false),
        (4, true),
        (4, false),
        (68, true),
        (5, false),
        (4, false),
        (6, true),
        (0, false),
    ] {
        assert_eq!(window.accept(counter), is_new, "{counter}");
    }
    assert!(window.accept(u32::MAX));
    assert!(!window.accept(68));
    let (highest, accepted) = window.to_parts();
    assert_eq!(ReplayWindow::from_parts(highest, accepted), window);
}

proptest! {
    #[test]
    fn no_counter_is_accepted_twice(counters in prop::collection::vec(0..200_u32, 0..400)) {
        let (mut window, mut accepted) = (ReplayWindow::new(), BTreeSet::new());
        for counter in counters {
            let is_recent = accepted.last().is_none_or(|highest| counter + 64 > *highest);
            let is_new = is_recent && accepted.insert(counter);
            prop_assert_eq!(window.accept(counter), is_new);
        }
    }
}
