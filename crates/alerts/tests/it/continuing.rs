//! An anomaly that goes on stays raised, although the model says it only once.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{Fixture, MINUTE, anomalous, messages};
use gateway_core::{Alert, AnomalyKind, Score};

/// The temperature every five minutes, for so many readings; what was said.
fn keeps(fixture: &mut Fixture, value: f64, score: Score, readings: usize) -> Vec<Alert> {
    (0..readings).flat_map(|_| fixture.scored(5 * MINUTE, value, score)).collect()
}

const HOUR: usize = 12;
const DAY: usize = 24 * HOUR;

#[test]
fn a_value_that_stays_out_of_the_range_is_raised_for_an_hour_and_no_news_then() {
    let mut fixture = Fixture::judged(Duration::ZERO);
    assert_eq!(fixture.scored(MINUTE, 31.0, anomalous(0.9, AnomalyKind::Shift)).len(), 1);
    assert_eq!(keeps(&mut fixture, 31.0, Score::NONE, HOUR - 1), []);
    let cleared = keeps(&mut fixture, 31.0, Score::NONE, 3);
    assert_eq!(
        messages(&cleared),
        ["temperature 31 has stayed at this level for an hour, which counts as normal now"]
    );
    assert_eq!(keeps(&mut fixture, 31.0, Score::NONE, DAY), []);
}

#[test]
fn a_value_that_comes_back_ends_it_at_once() {
    let mut fixture = Fixture::judged(Duration::ZERO);
    fixture.scored(MINUTE, 31.0, anomalous(0.9, AnomalyKind::Profile));
    assert_eq!(keeps(&mut fixture, 31.0, Score::NONE, 6), []);
    assert_eq!(messages(&keeps(&mut fixture, 21.0, Score::NONE, 3)), ["temperature 21 is as usual again"]);
}

#[test]
fn a_fault_stays_raised_for_as_long_as_its_detector_sees_it() {
    let mut fixture = Fixture::judged(Duration::ZERO);
    let stuck = |value| Score { value, expected: None, anomaly_kind: Some(AnomalyKind::Stuck) };
    assert_eq!(fixture.scored(MINUTE, 21.3, stuck(0.6)).len(), 1);
    assert_eq!(keeps(&mut fixture, 21.3, stuck(0.28), 3 * DAY), []);
    assert_eq!(messages(&keeps(&mut fixture, 21.5, Score::NONE, 3)), ["temperature 21.5 is as usual again"]);
}
