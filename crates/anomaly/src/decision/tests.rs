use super::*;

/// The sample at which it is enough, of a row of ranks of six families.
fn speaks_at(samples: &[[f64; 6]]) -> Option<usize> {
    let mut decision = Decision::default();
    samples.iter().position(|families| decision.weigh(families, 1.0) >= 1.0)
}

#[test]
fn one_family_that_sets_a_record_is_not_enough_however_long() {
    assert_eq!(speaks_at(&[[1.0, 0.1, 0.1, 0.1, 0.1, 0.1]; 50]), None);
}

#[test]
fn three_families_at_their_records_are_enough_once_it_lasts() {
    assert_eq!(speaks_at(&[[1.0, 1.0, 1.0, 0.0, 0.0, 0.0]; 50]), Some(2));
}

#[test]
fn what_is_blatant_in_one_family_is_said_at_once() {
    assert_eq!(speaks_at(&[[130.0, 0.0, 0.0, 0.0, 0.0, 0.0]]), Some(0));
}

#[test]
fn a_young_series_takes_more() {
    let mut decision = Decision::default();
    let lasting = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
    assert!((0..50).all(|_| decision.weigh(&lasting, 2.5) < 1.0));
}
