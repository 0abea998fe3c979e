//! A notified or acknowledged anomaly is held back: the same anomaly is not reported again every day.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{DAY, Fixture, HOUR, LOUNGE, MINUTE, SECOND, START, anomalous, messages, rule, too_hot};
use gateway_core::{Alert, AlertKind, AlertState, AnomalyKind, MetricId, Score, Severity, Timestamp};

use alerts::{Conditions, RuleSpec};

const HOLD: Duration = Duration::from_secs(86_400);

fn hot(value: f64) -> (f64, Score) {
    (value, anomalous(0.9, AnomalyKind::Profile))
}

/// An anomalous reading and the normal ones that end it; returns the raised alerts.
fn episode(fixture: &mut Fixture, (value, score): (f64, Score)) -> Vec<Alert> {
    let mut out = fixture.scored(MINUTE, value, score);
    for _ in 0..3 {
        out.extend(fixture.scored(MINUTE, 21.0, Score::NONE));
    }
    out.retain(|alert| alert.state == AlertState::Raised);
    out
}

fn is_raised(fixture: &mut Fixture, anomaly: (f64, Score)) -> bool {
    !episode(fixture, anomaly).is_empty()
}

#[test]
fn an_anomaly_clears_after_three_ordinary_readings_and_rests_five_minutes() {
    let mut fixture = Fixture::judged(Duration::ZERO);
    let (value, score) = (85.0, anomalous(0.97, AnomalyKind::Profile));
    assert!(fixture.scored(SECOND, 21.0, anomalous(0.49, AnomalyKind::Profile)).is_empty());
    let raised = fixture.scored(SECOND, value, score);
    let text = "temperature 85 is unusual for this time of day; usually 20.12 to 22.44 (profile)";
    assert_eq!(messages(&raised), [text]);
    assert_eq!((&*raised[0].rule, raised[0].kind), ("anomaly", AlertKind::Anomaly));
    assert_eq!((raised[0].severity, raised[0].score), (Severity::Warning, Some(0.97)));
    assert_eq!((raised[0].anomaly_kind, raised[0].expected), (score.anomaly_kind, score.expected));

    let calm = |fixture: &mut Fixture| fixture.scored(SECOND, 21.0, Score::NONE);
    assert!(calm(&mut fixture).is_empty() && calm(&mut fixture).is_empty());
    assert!(fixture.scored(SECOND, value, score).is_empty());
    assert!(calm(&mut fixture).is_empty() && calm(&mut fixture).is_empty());
    let cleared = calm(&mut fixture);
    assert_eq!(messages(&cleared), ["temperature 21 is as usual again"]);
    assert_eq!((cleared[0].since, cleared[0].anomaly_kind), (raised[0].since, score.anomaly_kind));

    assert!(fixture.scored(200 * SECOND, value, score).is_empty(), "within five minutes of the last");
    assert_eq!(fixture.scored(100 * SECOND, value, score).len(), 1);
}

#[test]
fn a_stuck_sensor_is_told_with_how_long() {
    let mut fixture = Fixture::judged(HOLD);
    fixture.scored(0, 20.9, Score::NONE);
    for _ in 0..=300 {
        assert!(fixture.scored(MINUTE, 21.3, Score::NONE).is_empty());
    }
    let stuck = Score { value: 0.6, expected: None, anomaly_kind: Some(AnomalyKind::Stuck) };
    let raised = fixture.scored(MINUTE, 21.3, stuck);
    assert_eq!(messages(&raised), ["temperature has been exactly 21.3 for 5h (stuck)"]);
}

#[test]
fn the_same_thing_is_told_once_within_the_hold() {
    let mut fixture = Fixture::judged(HOLD);
    assert!(is_raised(&mut fixture, hot(30.0)));
    let cleared = fixture.now;
    while fixture.now < cleared + 23 * HOUR {
        fixture.wait(HOUR - 4 * MINUTE);
        assert!(!is_raised(&mut fixture, hot(30.0)), "{} ms after", fixture.now - cleared);
    }
    fixture.now = cleared + DAY;
    assert!(is_raised(&mut fixture, hot(30.0)), "a day after it was cleared");
}

#[test]
fn whichever_detector_says_so_too_high_is_one_thing() {
    for again in [AnomalyKind::Shift, AnomalyKind::Residual, AnomalyKind::Density, AnomalyKind::Markov] {
        let mut fixture = Fixture::judged(HOLD);
        assert!(is_raised(&mut fixture, hot(30.0)));
        fixture.wait(HOUR);
        assert!(!is_raised(&mut fixture, (30.0, anomalous(0.9, again))), "{again:?}");
    }
}

#[test]
fn something_else_or_clearly_worse_is_told_at_once() {
    let stuck = Score { value: 0.7, expected: None, anomaly_kind: Some(AnomalyKind::Stuck) };
    for (value, score, is_new) in [
        (31.0, anomalous(0.95, AnomalyKind::Profile), false),
        (34.5, anomalous(1.0, AnomalyKind::Profile), true),
        (15.0, anomalous(0.6, AnomalyKind::Profile), true),
        (21.0, stuck, true),
        (85.0, anomalous(0.9, AnomalyKind::Sentinel), true),
        (21.0, anomalous(0.9, AnomalyKind::Noise), true),
        (23.0, anomalous(0.9, AnomalyKind::Drift), true),
    ] {
        let mut fixture = Fixture::judged(HOLD);
        assert!(is_raised(&mut fixture, hot(30.0)));
        fixture.wait(HOUR);
        assert_eq!(is_raised(&mut fixture, (value, score)), is_new, "{value} {score:?}");
        fixture.wait(HOUR);
        assert!(!is_raised(&mut fixture, (value, score)), "and then it has been notified: {value} {score:?}");
    }
}

#[test]
fn without_a_range_a_clearly_higher_score_is_worse() {
    let rare = |value| (21.0, Score { value, expected: None, anomaly_kind: Some(AnomalyKind::Density) });
    let mut fixture = Fixture::judged(HOLD);
    assert!(is_raised(&mut fixture, rare(0.6)));
    fixture.wait(HOUR);
    assert!(!is_raised(&mut fixture, rare(0.8)));
    fixture.wait(HOUR);
    assert!(is_raised(&mut fixture, rare(0.9)));
}

#[test]
fn how_far_it_went_while_the_alert_was_out_has_been_told_and_so_has_its_way_back() {
    let mut fixture = Fixture::judged(HOLD);
    let spike = |fixture: &mut Fixture| {
        let mut raised = 0;
        for value in [23.0, 30.0, 60.0, 30.0, 15.0] {
            let alerts = fixture.scored(MINUTE, value, anomalous(0.9, AnomalyKind::Residual));
            raised += alerts.len();
        }
        for _ in 0..3 {
            fixture.scored(MINUTE, 21.0, Score::NONE);
        }
        raised
    };
    assert_eq!(spike(&mut fixture), 1);
    fixture.wait(HOUR);
    assert_eq!(spike(&mut fixture), 0);
}

#[test]
fn what_comes_back_every_day_is_told_at_growing_distances_up_to_thirty_days() {
    let days = |hold: Duration| {
        let mut fixture = Fixture::judged(hold);
        let mut raised_days = Vec::new();
        for day in 0..120_i64 {
            // At two in the afternoon, up to 40 minutes earlier or later.
            fixture.now = START + day * DAY + 14 * HOUR + (day * 37 % 80 - 40) * MINUTE;
            if is_raised(&mut fixture, hot(30.0)) {
                raised_days.push(day);
            }
        }
        raised_days
    };
    assert_eq!(days(alerts::DEFAULT_HOLD), [0, 2, 6, 13, 25, 49, 80, 110]);
    assert_eq!(days(Duration::ZERO).len(), 120);
    assert_eq!(days(Duration::from_secs(45 * 86_400)), [0, 45, 91], "a longer hold wins");
}

#[test]
fn what_has_not_been_seen_for_thirty_days_is_new() {
    let mut fixture = Fixture::judged(HOLD);
    for _ in 0..4 {
        assert!(is_raised(&mut fixture, hot(30.0)));
        fixture.now += 9 * DAY;
    }
    fixture.now += 31 * DAY;
    assert!(is_raised(&mut fixture, hot(30.0)));
    fixture.now += DAY + HOUR;
    assert!(is_raised(&mut fixture, hot(30.0)), "condition for a day again, not for sixteen");
}

#[test]
fn a_condition_that_lasts_is_one_alert_however_long() {
    let mut fixture = Fixture::judged(HOLD);
    let (value, score) = hot(30.0);
    let mut raised_count = 0;
    for _ in 0..10 * 24 {
        raised_count += fixture.scored(HOUR, value, score).len();
    }
    assert_eq!(raised_count, 1);
    for _ in 0..3 {
        fixture.scored(MINUTE, 21.0, Score::NONE);
    }
    fixture.wait(HOUR);
    assert!(!is_raised(&mut fixture, hot(30.0)), "the hold counts from its end");
}

#[test]
fn an_acknowledged_anomaly_is_cleared_and_held_back_for_as_long_as_asked() {
    let mut fixture = Fixture::judged(Duration::ZERO);
    let (value, score) = hot(30.0);
    let raised = fixture.scored(MINUTE, value, score);
    fixture.wait(MINUTE);
    let cleared = fixture.acknowledge(Some("temperature"), 2 * HOLD);
    assert_eq!(messages(&cleared), ["acknowledged; no new alert for 2d unless it gets clearly worse"]);
    let alert = &cleared[0];
    assert_eq!(
        (alert.state, alert.kind, alert.since),
        (AlertState::Cleared, AlertKind::Anomaly, raised[0].since)
    );
    assert_eq!((alert.metric, alert.at.as_millis()), (Some(MetricId(0)), fixture.now));
    assert_eq!((alert.value, alert.score, alert.anomaly_kind), (None, None, Some(AnomalyKind::Profile)));
    assert_eq!(fixture.alerts.active_alerts().count(), 0);
    assert!(fixture.acknowledge(Some("temperature"), HOLD).is_empty(), "none is raised");

    for _ in 0..47 {
        assert!(fixture.scored(HOUR, value, score).is_empty(), "it goes on");
    }
    fixture = fixture.restart();
    assert!(fixture.scored(58 * MINUTE, value, score).is_empty());
    assert_eq!(fixture.scored(2 * MINUTE, value, score).len(), 1);
    fixture.acknowledge(None, HOLD);
    fixture.wait(HOUR);
    assert!(is_raised(&mut fixture, hot(60.0)), "clearly worse");
}

#[test]
fn anomalies_that_are_acknowledged_are_cleared_and_other_alerts_stay() {
    let model = RuleSpec { metric: None, ..rule("odd", anomaly()) };
    let mut fixture = Fixture::new([model, too_hot()]);
    let (_, score) = hot(50.0);
    assert_eq!(fixture.scored(MINUTE, 50.0, score).len(), 2);
    assert_eq!(fixture.hear(LOUNGE, "humidity", 90.0, fixture.now, score).len(), 1);
    assert!(fixture.acknowledge(Some("contact"), HOLD).is_empty());
    assert_eq!(fixture.acknowledge(Some("humidity"), HOLD).len(), 1);
    let states: Vec<_> = fixture.acknowledge(None, HOLD).iter().map(|alert| alert.state).collect();
    assert_eq!(states, [AlertState::Acknowledged, AlertState::Cleared]);
    let left: Vec<_> = fixture.alerts.active_alerts().map(|raised| raised.kind).collect();
    assert_eq!(left, [AlertKind::Threshold]);
}

fn anomaly() -> Conditions {
    Conditions { anomaly: Some(0.5), ..Conditions::default() }
}

#[test]
fn each_rule_tells_for_itself() {
    let severe = RuleSpec { metric: None, ..rule("severe", Conditions { anomaly: Some(0.8), ..anomaly() }) };
    let mut fixture = Fixture::new([severe, RuleSpec { metric: None, ..rule("odd", anomaly()) }]);
    fixture.alerts.set_hold(HOLD);
    let names = |alerts: Vec<Alert>| alerts.iter().map(|alert| alert.rule.to_string()).collect::<Vec<_>>();
    assert_eq!(names(episode(&mut fixture, (30.0, anomalous(0.6, AnomalyKind::Profile)))), ["odd"]);
    fixture.wait(HOUR);
    assert_eq!(names(episode(&mut fixture, (30.0, anomalous(0.9, AnomalyKind::Profile)))), ["severe"]);
}

#[test]
fn a_device_whose_clock_is_put_right_is_held_back_for_as_long_as_before_and_no_longer() {
    let mut fixture = Fixture::judged(HOLD);
    let ahead = 365 * DAY;
    let (value, score) = hot(30.0);
    let hear = |fixture: &mut Fixture, value, score, ahead| {
        fixture.now += MINUTE;
        fixture.hear(LOUNGE, "temperature", value, fixture.now + ahead, score)
    };
    assert_eq!(hear(&mut fixture, value, score, ahead).len(), 1);
    for _ in 0..3 {
        hear(&mut fixture, 21.0, Score::NONE, ahead);
    }
    for _ in 0..3 {
        hear(&mut fixture, 21.0, Score::NONE, 0);
    }
    assert!(hear(&mut fixture, value, score, 0).is_empty());
    fixture.now += DAY;
    assert_eq!(hear(&mut fixture, value, score, 0).len(), 1);
}

#[test]
fn what_waits_for_the_clock_is_held_back_as_well() {
    let waiting = RuleSpec { hold_for: Duration::from_secs(600), ..rule("odd", anomaly()) };
    let mut fixture = Fixture::new([waiting]);
    fixture.alerts.set_hold(HOLD);
    let (value, score) = hot(30.0);
    fixture.scored(MINUTE, value, score);
    assert_eq!(fixture.wait(10 * MINUTE).len(), 1);
    for _ in 0..3 {
        fixture.scored(MINUTE, 21.0, Score::NONE);
    }
    let cleared = fixture.now;
    fixture.scored(HOUR, value, score);
    assert!(fixture.wait(DAY - HOUR - 1).is_empty());
    let raised = fixture.wait(1);
    assert_eq!(raised.len(), 1, "nothing has said otherwise since");
    assert_eq!(raised[0].at, Timestamp::from_millis(cleared + DAY));
}
