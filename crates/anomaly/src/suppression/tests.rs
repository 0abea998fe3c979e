use super::*;

use AnomalyKind::{Noise, Stuck};

/// The samples that are reported, of rows of ranks of six families.
fn reported_at(samples: &[[f64; 6]], caution: f64) -> Vec<usize> {
    let mut suppression = SampleSuppression::new(20);
    let mut is_reported = |families: &[f64; 6]| suppression.add(families, caution).reported.is_some();
    samples.iter().enumerate().filter_map(|(n, families)| is_reported(families).then_some(n)).collect()
}

/// Three families at their records, and nothing.
const LASTING: [f64; 6] = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
const NORMAL: [f64; 6] = [0.0; 6];

#[test]
fn one_family_that_sets_a_record_is_not_enough_however_long() {
    assert!(reported_at(&[[1.0, 0.1, 0.1, 0.1, 0.1, 0.1]; 50], 1.0).is_empty());
}

#[test]
fn three_families_at_their_records_are_enough_once_it_lasts_and_are_reported_once() {
    assert_eq!(reported_at(&[LASTING; 50], 1.0), [4]);
}

#[test]
fn what_is_blatant_in_one_family_is_reported_at_once() {
    assert_eq!(reported_at(&[[130.0, 0.0, 0.0, 0.0, 0.0, 0.0]], 1.0), [0]);
}

#[test]
fn a_young_series_needs_more() {
    assert!(reported_at(&[LASTING; 50], 2.5).is_empty());
}

#[test]
fn what_comes_back_soon_is_not_reported_again_and_later_it_is() {
    let soon = [&[LASTING; 9][..], &[NORMAL; 15], &[LASTING; 9]].concat();
    assert_eq!(reported_at(&soon, 1.0), [4]);
    let later = [&[LASTING; 9][..], &[NORMAL; 30], &[LASTING; 9]].concat();
    assert_eq!(reported_at(&later, 1.0), [4, 43]);
}

#[test]
fn what_becomes_twice_as_strong_is_reported_again_at_once() {
    let worse = [&[LASTING; 9][..], &[NORMAL; 3], &[[400.0, 0.0, 0.0, 0.0, 0.0, 0.0]]].concat();
    assert_eq!(reported_at(&worse, 1.0), [4, 12]);
}

#[test]
fn only_what_is_stronger_than_all_of_late_is_the_strongest() {
    let mut strengths = RecentStrengths(Recent::new(3));
    assert_eq!(
        [1.0, 1.0, 2.0, 1.5, 0.5, 0.5, 1.0].map(|strength| strengths.is_strongest(strength)),
        [true, false, true, false, false, false, false]
    );
    assert!(strengths.is_strongest(1.1), "the 2 is more than three samples ago");
}

/// What becomes of readings with these scores.
fn reports(scores: &[(AnomalyKind, f64)]) -> Vec<Report> {
    let mut reports = Reports::of_readings();
    scores.iter().map(|(kind, score)| reports.add(Some(*kind), score / (1.0 - score))).collect()
}

#[test]
fn a_fault_that_continues_is_reported_once_and_again_when_it_is_much_worse() {
    use Report::{New, Repeated, Weak};
    let scores = [0.5, 0.55, 0.6, 0.7, 0.7, 0.1, 0.5, 0.99].map(|score| (Stuck, score));
    assert_eq!(reports(&scores), [New, Repeated, Repeated, New, Repeated, Weak, New, New]);
}

#[test]
fn another_fault_is_new() {
    assert_eq!(reports(&[(Stuck, 0.9), (Noise, 0.6)]), [Report::New, Report::New]);
}
