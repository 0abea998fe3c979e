//! What [`super`] is for.

use super::*;

/// 0.1, 0.5, 0.9 in turn.
fn turns() -> Markov {
    let mut markov = Markov::default();
    (0..900).for_each(|n| {
        markov.observe([0.1, 0.5, 0.9][n % 3]);
    });
    markov
}

#[test]
fn a_step_backwards_is_rare_where_the_value_itself_is_not() {
    let (mut forth, mut back) = (turns(), turns());
    let (forth, back) = (forth.observe(0.1), back.observe(0.5));
    assert!(back > forth + 4.0, "{forth} {back}");
}

#[test]
fn after_a_gap_there_is_no_step() {
    let mut markov = turns();
    markov.forget_last();
    assert!(markov.observe(0.5) < 2.0);
}
