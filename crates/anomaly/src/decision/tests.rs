use super::*;

/// The samples at which it speaks, of a row of ranks of six families.
fn speaks_at(samples: &[[f64; 6]], caution: f64) -> Vec<usize> {
    let mut decision = Decision::new(20);
    let mut speaks = |families: &[f64; 6]| decision.speaks(families, caution).is_some();
    samples.iter().enumerate().filter_map(|(n, families)| speaks(families).then_some(n)).collect()
}

/// Three families at their records, and nothing.
const LASTING: [f64; 6] = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
const CALM: [f64; 6] = [0.0; 6];

#[test]
fn one_family_that_sets_a_record_is_not_enough_however_long() {
    assert!(speaks_at(&[[1.0, 0.1, 0.1, 0.1, 0.1, 0.1]; 50], 1.0).is_empty());
}

#[test]
fn three_families_at_their_records_are_enough_once_it_lasts_and_are_told_once() {
    assert_eq!(speaks_at(&[LASTING; 50], 1.0), [4]);
}

#[test]
fn what_is_blatant_in_one_family_is_said_at_once() {
    assert_eq!(speaks_at(&[[130.0, 0.0, 0.0, 0.0, 0.0, 0.0]], 1.0), [0]);
}

#[test]
fn a_young_series_takes_more() {
    assert!(speaks_at(&[LASTING; 50], 2.5).is_empty());
}

#[test]
fn what_comes_back_soon_is_not_told_again_and_later_it_is() {
    let soon = [&[LASTING; 9][..], &[CALM; 15], &[LASTING; 9]].concat();
    assert_eq!(speaks_at(&soon, 1.0), [4]);
    let later = [&[LASTING; 9][..], &[CALM; 30], &[LASTING; 9]].concat();
    assert_eq!(speaks_at(&later, 1.0), [4, 43]);
}

#[test]
fn what_becomes_twice_as_bad_is_told_again_at_once() {
    let worse = [&[LASTING; 9][..], &[CALM; 3], &[[400.0, 0.0, 0.0, 0.0, 0.0, 0.0]]].concat();
    assert_eq!(speaks_at(&worse, 1.0), [4, 12]);
}
