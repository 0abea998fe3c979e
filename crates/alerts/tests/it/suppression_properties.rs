//! For any series: the same anomaly is never raised twice within the hold, and a restart changes nothing.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{Fixture, HOUR, MINUTE};
use gateway_core::{Alert, AlertState, AnomalyKind, Score};
use proptest::prelude::*;

const LOW: f64 = 20.0;
const HIGH: f64 = 22.0;

/// A reading: minutes after the one before, a value, its score, whether it has a range, and its detector.
type Reading = (i64, f64, f64, bool, AnomalyKind);

fn reading() -> impl Strategy<Value = Reading> {
    let anomaly_kinds = [
        AnomalyKind::Profile,
        AnomalyKind::Residual,
        AnomalyKind::Stuck,
        AnomalyKind::Sentinel,
        AnomalyKind::Noise,
        AnomalyKind::Drift,
    ];
    let minutes = prop_oneof![8 => 1..30_i64, 1 => 600..5000_i64];
    let score = prop_oneof![Just(0.0), 0.5..1.0_f64];
    (minutes, 0.0..60.0_f64, score, any::<bool>(), prop::sample::select(anomaly_kinds.to_vec()))
}

fn score((_, _, value, has_range, anomaly_kind): Reading) -> Score {
    Score { value, expected: has_range.then_some((LOW, HIGH)), anomaly_kind: Some(anomaly_kind) }
}

/// The same to people: the class, and for values and drifts the side.
fn thing(alert: &Alert) -> (u8, i8) {
    let class = match alert.anomaly_kind.unwrap() {
        AnomalyKind::Stuck => 1,
        AnomalyKind::Sentinel => 2,
        AnomalyKind::Noise => 3,
        AnomalyKind::Drift => 4,
        _ => 0,
    };
    let value = alert.value.unwrap();
    let side = match alert.expected {
        Some((_, high)) if value > high => 1,
        Some((low, _)) if value < low => -1,
        _ => 0,
    };
    (class, if matches!(class, 0 | 4) { side } else { 0 })
}

fn distance(alert: &Alert) -> f64 {
    match thing(alert) {
        (_, 0) => alert.score.unwrap(),
        _ => (alert.value.unwrap() - HIGH).max(LOW - alert.value.unwrap()),
    }
}

fn run(hold: Duration, readings: &[Reading], restart_at: Option<usize>) -> Vec<Alert> {
    let (mut fixture, mut out) = (Fixture::judged(hold), Vec::new());
    for (index, reading) in readings.iter().enumerate() {
        if restart_at == Some(index) {
            fixture = fixture.restart();
        }
        fixture.now += reading.0 * MINUTE;
        out.extend(fixture.scored(0, reading.1, score(*reading)));
    }
    out
}

proptest! {
    #[test]
    fn the_same_thing_is_never_raised_twice_within_the_hold(
        readings in prop::collection::vec(reading(), 1..300),
        hours in 1..48_i64,
    ) {
        let hold = Duration::from_secs(u64::try_from(hours).unwrap() * 3600);
        let raised: Vec<Alert> =
            run(hold, &readings, None).into_iter().filter(|a| a.state == AlertState::Raised).collect();
        for (index, later) in raised.iter().enumerate() {
            let before = raised[..index].iter().rev().find(|earlier| thing(earlier) == thing(later));
            let Some(before) = before else { continue };
            let since = later.at.millis_after(before.at);
            prop_assert!(
                since >= hours * HOUR || distance(later) > distance(before),
                "{later:?} only {since} ms after {before:?}"
            );
        }
    }

    #[test]
    fn a_restart_at_any_reading_changes_nothing(
        readings in prop::collection::vec(reading(), 1..200),
        at in 0..200_usize,
    ) {
        let hold = Duration::from_secs(6 * 3600);
        prop_assert_eq!(run(hold, &readings, Some(at)), run(hold, &readings, None));
    }

    #[test]
    fn what_is_kept_of_a_series_stays_small(readings in prop::collection::vec(reading(), 1..300)) {
        let mut fixture = Fixture::judged(Duration::from_secs(3600));
        for reading in readings {
            fixture.now += reading.0 * MINUTE;
            fixture.scored(0, reading.1, score(reading));
        }
        let bytes = postcard::to_stdvec(&fixture.alerts).unwrap().len();
        prop_assert!(bytes < 600, "{bytes} bytes");
    }
}
