//! What people were told of, or have acknowledged, is held back: the same thing is not told again every day.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{DAY, HOUR, House, LOUNGE, MINUTE, SECOND, START, messages, odd, rule, too_hot};
use gateway_core::{Alert, AlertKind, AlertState, MetricId, Oddity, Score, Severity, Timestamp};

use alerts::{Conditions, RuleSpec};

const HOLD: Duration = Duration::from_secs(86_400);

fn hot(value: f64) -> (f64, Score) {
    (value, odd(0.9, Oddity::Profile))
}

/// An odd reading and the ordinary ones that end it; what was raised.
fn episode(house: &mut House, (value, score): (f64, Score)) -> Vec<Alert> {
    let mut out = house.scored(MINUTE, value, score);
    for _ in 0..3 {
        out.extend(house.scored(MINUTE, 21.0, Score::NONE));
    }
    out.retain(|alert| alert.state == AlertState::Raised);
    out
}

fn is_told(house: &mut House, odd: (f64, Score)) -> bool {
    !episode(house, odd).is_empty()
}

#[test]
fn an_anomaly_clears_after_three_ordinary_readings_and_rests_five_minutes() {
    let mut house = House::judged(Duration::ZERO);
    let (value, score) = (85.0, odd(0.97, Oddity::Profile));
    assert!(house.scored(SECOND, 21.0, odd(0.49, Oddity::Profile)).is_empty());
    let raised = house.scored(SECOND, value, score);
    let text = "temperature 85 is unusual for this time of day; usually 20.12 to 22.44 (profile)";
    assert_eq!(messages(&raised), [text]);
    assert_eq!((&*raised[0].rule, raised[0].kind), ("anomaly", AlertKind::Anomaly));
    assert_eq!((raised[0].severity, raised[0].score), (Severity::Warning, Some(0.97)));
    assert_eq!((raised[0].oddity, raised[0].expected), (score.oddity, score.expected));

    let calm = |house: &mut House| house.scored(SECOND, 21.0, Score::NONE);
    assert!(calm(&mut house).is_empty() && calm(&mut house).is_empty());
    assert!(house.scored(SECOND, value, score).is_empty());
    assert!(calm(&mut house).is_empty() && calm(&mut house).is_empty());
    let cleared = calm(&mut house);
    assert_eq!(messages(&cleared), ["temperature 21 is as usual again"]);
    assert_eq!((cleared[0].since, cleared[0].oddity), (raised[0].since, score.oddity));

    assert!(house.scored(200 * SECOND, value, score).is_empty(), "within five minutes of the last");
    assert_eq!(house.scored(100 * SECOND, value, score).len(), 1);
}

#[test]
fn a_stuck_sensor_is_told_with_how_long() {
    let mut house = House::judged(HOLD);
    house.scored(0, 20.9, Score::NONE);
    for _ in 0..=300 {
        assert!(house.scored(MINUTE, 21.3, Score::NONE).is_empty());
    }
    let stuck = Score { value: 0.6, expected: None, oddity: Some(Oddity::Stuck) };
    let raised = house.scored(MINUTE, 21.3, stuck);
    assert_eq!(messages(&raised), ["temperature has been exactly 21.3 for 5h (stuck)"]);
}

#[test]
fn the_same_thing_is_told_once_within_the_hold() {
    let mut house = House::judged(HOLD);
    assert!(is_told(&mut house, hot(30.0)));
    let cleared = house.now;
    while house.now < cleared + 23 * HOUR {
        house.wait(HOUR - 4 * MINUTE);
        assert!(!is_told(&mut house, hot(30.0)), "{} ms after", house.now - cleared);
    }
    house.now = cleared + DAY;
    assert!(is_told(&mut house, hot(30.0)), "a day after it was cleared");
}

#[test]
fn whichever_detector_says_so_too_high_is_one_thing() {
    for again in [Oddity::Shift, Oddity::Residual, Oddity::Density, Oddity::Markov] {
        let mut house = House::judged(HOLD);
        assert!(is_told(&mut house, hot(30.0)));
        house.wait(HOUR);
        assert!(!is_told(&mut house, (30.0, odd(0.9, again))), "{again:?}");
    }
}

#[test]
fn something_else_or_clearly_worse_is_told_at_once() {
    let stuck = Score { value: 0.7, expected: None, oddity: Some(Oddity::Stuck) };
    for (value, score, is_new) in [
        (31.0, odd(0.95, Oddity::Profile), false),
        (34.5, odd(1.0, Oddity::Profile), true),
        (15.0, odd(0.6, Oddity::Profile), true),
        (21.0, stuck, true),
        (85.0, odd(0.9, Oddity::Sentinel), true),
        (21.0, odd(0.9, Oddity::Noise), true),
        (23.0, odd(0.9, Oddity::Drift), true),
    ] {
        let mut house = House::judged(HOLD);
        assert!(is_told(&mut house, hot(30.0)));
        house.wait(HOUR);
        assert_eq!(is_told(&mut house, (value, score)), is_new, "{value} {score:?}");
        house.wait(HOUR);
        assert!(!is_told(&mut house, (value, score)), "and then it has been told: {value} {score:?}");
    }
}

#[test]
fn without_a_range_a_clearly_higher_score_is_worse() {
    let rare = |value| (21.0, Score { value, expected: None, oddity: Some(Oddity::Density) });
    let mut house = House::judged(HOLD);
    assert!(is_told(&mut house, rare(0.6)));
    house.wait(HOUR);
    assert!(!is_told(&mut house, rare(0.8)));
    house.wait(HOUR);
    assert!(is_told(&mut house, rare(0.9)));
}

#[test]
fn how_far_it_went_while_the_alert_was_out_has_been_told_and_so_has_its_way_back() {
    let mut house = House::judged(HOLD);
    let spike = |house: &mut House| {
        let mut raised = 0;
        for value in [23.0, 30.0, 60.0, 30.0, 15.0] {
            let alerts = house.scored(MINUTE, value, odd(0.9, Oddity::Residual));
            raised += alerts.len();
        }
        for _ in 0..3 {
            house.scored(MINUTE, 21.0, Score::NONE);
        }
        raised
    };
    assert_eq!(spike(&mut house), 1);
    house.wait(HOUR);
    assert_eq!(spike(&mut house), 0);
}

#[test]
fn what_comes_back_every_day_is_told_at_growing_distances_up_to_thirty_days() {
    let days = |hold: Duration| {
        let mut house = House::judged(hold);
        let mut told = Vec::new();
        for day in 0..120_i64 {
            // At two in the afternoon, up to 40 minutes earlier or later.
            house.now = START + day * DAY + 14 * HOUR + (day * 37 % 80 - 40) * MINUTE;
            if is_told(&mut house, hot(30.0)) {
                told.push(day);
            }
        }
        told
    };
    assert_eq!(days(alerts::DEFAULT_HOLD), [0, 2, 6, 13, 25, 49, 80, 110]);
    assert_eq!(days(Duration::ZERO).len(), 120);
    assert_eq!(days(Duration::from_secs(45 * 86_400)), [0, 45, 91], "a longer hold wins");
}

#[test]
fn what_has_not_been_seen_for_thirty_days_is_new() {
    let mut house = House::judged(HOLD);
    for _ in 0..4 {
        assert!(is_told(&mut house, hot(30.0)));
        house.now += 9 * DAY;
    }
    house.now += 31 * DAY;
    assert!(is_told(&mut house, hot(30.0)));
    house.now += DAY + HOUR;
    assert!(is_told(&mut house, hot(30.0)), "held for a day again, not for sixteen");
}

#[test]
fn a_condition_that_lasts_is_one_alert_however_long() {
    let mut house = House::judged(HOLD);
    let (value, score) = hot(30.0);
    let mut told = 0;
    for _ in 0..10 * 24 {
        told += house.scored(HOUR, value, score).len();
    }
    assert_eq!(told, 1);
    for _ in 0..3 {
        house.scored(MINUTE, 21.0, Score::NONE);
    }
    house.wait(HOUR);
    assert!(!is_told(&mut house, hot(30.0)), "the hold counts from its end");
}

#[test]
fn an_acknowledged_anomaly_is_cleared_and_held_back_for_as_long_as_asked() {
    let mut house = House::judged(Duration::ZERO);
    let (value, score) = hot(30.0);
    let raised = house.scored(MINUTE, value, score);
    house.wait(MINUTE);
    let cleared = house.acknowledge(Some("temperature"), 2 * HOLD);
    assert_eq!(messages(&cleared), ["acknowledged; not told again for 2d unless it gets clearly worse"]);
    let alert = &cleared[0];
    assert_eq!(
        (alert.state, alert.kind, alert.since),
        (AlertState::Cleared, AlertKind::Anomaly, raised[0].since)
    );
    assert_eq!((alert.metric, alert.at.as_millis()), (Some(MetricId(0)), house.now));
    assert_eq!((alert.value, alert.score, alert.oddity), (None, None, Some(Oddity::Profile)));
    assert_eq!(house.alerts.raised().count(), 0);
    assert!(house.acknowledge(Some("temperature"), HOLD).is_empty(), "none is raised");

    for _ in 0..47 {
        assert!(house.scored(HOUR, value, score).is_empty(), "it goes on");
    }
    house = house.restart();
    assert!(house.scored(58 * MINUTE, value, score).is_empty());
    assert_eq!(house.scored(2 * MINUTE, value, score).len(), 1);
    house.acknowledge(None, HOLD);
    house.wait(HOUR);
    assert!(is_told(&mut house, hot(60.0)), "clearly worse");
}

#[test]
fn only_anomalies_of_the_metric_that_is_meant_are_acknowledged() {
    let model = RuleSpec { metric: None, ..rule("odd", anomaly()) };
    let mut house = House::new([model, too_hot()]);
    let (_, score) = hot(50.0);
    assert_eq!(house.scored(MINUTE, 50.0, score).len(), 2);
    assert_eq!(house.hear(LOUNGE, "humidity", 90.0, house.now, score).len(), 1);
    assert!(house.acknowledge(Some("contact"), HOLD).is_empty());
    assert_eq!(house.acknowledge(Some("humidity"), HOLD).len(), 1);
    assert_eq!(house.acknowledge(None, HOLD).len(), 1);
    let left: Vec<_> = house.alerts.raised().map(|raised| raised.kind).collect();
    assert_eq!(left, [AlertKind::Threshold]);
}

fn anomaly() -> Conditions {
    Conditions { anomaly: Some(0.5), ..Conditions::default() }
}

#[test]
fn each_rule_tells_for_itself() {
    let severe = RuleSpec { metric: None, ..rule("severe", Conditions { anomaly: Some(0.8), ..anomaly() }) };
    let mut house = House::new([severe, RuleSpec { metric: None, ..rule("odd", anomaly()) }]);
    house.alerts.set_hold(HOLD);
    let names = |alerts: Vec<Alert>| alerts.iter().map(|alert| alert.rule.to_string()).collect::<Vec<_>>();
    assert_eq!(names(episode(&mut house, (30.0, odd(0.6, Oddity::Profile)))), ["odd"]);
    house.wait(HOUR);
    assert_eq!(names(episode(&mut house, (30.0, odd(0.9, Oddity::Profile)))), ["severe"]);
}

#[test]
fn a_device_whose_clock_is_put_right_is_held_back_for_as_long_as_before_and_no_longer() {
    let mut house = House::judged(HOLD);
    let ahead = 365 * DAY;
    let (value, score) = hot(30.0);
    let hear = |house: &mut House, value, score, ahead| {
        house.now += MINUTE;
        house.hear(LOUNGE, "temperature", value, house.now + ahead, score)
    };
    assert_eq!(hear(&mut house, value, score, ahead).len(), 1);
    for _ in 0..3 {
        hear(&mut house, 21.0, Score::NONE, ahead);
    }
    for _ in 0..3 {
        hear(&mut house, 21.0, Score::NONE, 0);
    }
    assert!(hear(&mut house, value, score, 0).is_empty());
    house.now += DAY;
    assert_eq!(hear(&mut house, value, score, 0).len(), 1);
}

#[test]
fn what_waits_for_the_clock_is_held_back_as_well() {
    let waiting = RuleSpec { hold_for: Duration::from_secs(600), ..rule("odd", anomaly()) };
    let mut house = House::new([waiting]);
    house.alerts.set_hold(HOLD);
    let (value, score) = hot(30.0);
    house.scored(MINUTE, value, score);
    assert_eq!(house.wait(10 * MINUTE).len(), 1);
    for _ in 0..3 {
        house.scored(MINUTE, 21.0, Score::NONE);
    }
    let cleared = house.now;
    house.scored(HOUR, value, score);
    assert!(house.wait(DAY - HOUR - 1).is_empty());
    let raised = house.wait(1);
    assert_eq!(raised.len(), 1, "nothing has said otherwise since");
    assert_eq!(raised[0].at, Timestamp::from_millis(cleared + DAY));
}
