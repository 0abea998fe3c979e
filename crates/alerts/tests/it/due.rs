//! `for`, where the clock raises what no later reading confirms: devices that only speak when something changes.

use std::time::Duration;

use crate::common::{CELLAR, House, LOUNGE, MINUTE, START};
use alerts::{Conditions, RuleSpec};
use gateway_core::{Alert, AlertKind, AlertState, Oddity, Score, Severity, Timestamp};

/// Open for ten minutes.
fn open() -> RuleSpec {
    RuleSpec {
        name: "open".into(),
        metric: Some("contact".into()),
        when: Conditions { above: Some(0.5), ..Conditions::default() },
        hold_for: Duration::from_secs(600),
        clear_by: 0.0,
        severity: Severity::Warning,
        devices: Vec::new(),
        zones: Vec::new(),
    }
}

fn contact(house: &mut House, value: f64) -> Vec<Alert> {
    late(house, LOUNGE, value, 0)
}

/// Measured so many milliseconds ago.
fn late(house: &mut House, device: u32, value: f64, millis: i64) -> Vec<Alert> {
    house.hear(device, "contact", value, house.now - millis, Score::NONE)
}

#[test]
fn one_reading_is_enough_when_nothing_says_otherwise() {
    let mut house = House::new([open()]);
    assert!(contact(&mut house, 1.0).is_empty());
    assert!(house.wait(10 * MINUTE - 1).is_empty());
    let raised = house.wait(1);
    assert_eq!(raised.len(), 1);
    let alert = &raised[0];
    assert_eq!((&*alert.rule, alert.kind, alert.state), ("open", AlertKind::Threshold, AlertState::Raised));
    assert_eq!((alert.value, alert.score), (Some(1.0), None));
    assert_eq!(&*alert.message, "contact 1 is above 0.5");
    assert_eq!(alert.at, Timestamp::from_millis(START + 10 * MINUTE));
    assert_eq!(alert.since, alert.at);
    assert_eq!(house.alerts.next_deadline(), None, "nothing waits any more");

    assert!(contact(&mut house, 1.0).is_empty(), "it is out already");
    assert!(house.wait(60 * MINUTE).is_empty());
    let cleared = contact(&mut house, 0.0);
    assert_eq!((cleared.len(), cleared[0].since), (1, alert.since));
    assert!(house.wait(60 * MINUTE).is_empty());
}

#[test]
fn it_counts_from_arrival_and_tells_the_time_it_fell_due_and_the_last_value() {
    let mut house = House::new([open()]);
    assert!(late(&mut house, LOUNGE, 1.0, 60 * MINUTE).is_empty(), "an hour on its way");
    assert!(house.wait(5 * MINUTE).is_empty());
    assert!(late(&mut house, LOUNGE, 2.0, 64 * MINUTE).is_empty());
    assert!(house.wait(5 * MINUTE - 1).is_empty());
    house.now += 20_000;
    let raised = house.advance();
    assert_eq!((raised.len(), raised[0].value), (1, Some(2.0)));
    assert_eq!(raised[0].at, Timestamp::from_millis(START + 10 * MINUTE), "although asked late");
}

#[test]
fn a_reading_that_says_otherwise_ends_the_wait_but_a_straggler_does_not() {
    let mut house = House::new([open()]);
    contact(&mut house, 1.0);
    assert!(house.wait(9 * MINUTE).is_empty());
    assert!(contact(&mut house, 0.0).is_empty());
    assert!(house.wait(60 * MINUTE).is_empty());
    assert_eq!(house.alerts.next_deadline(), None);

    contact(&mut house, 1.0);
    assert!(house.wait(9 * MINUTE).is_empty());
    assert!(late(&mut house, LOUNGE, 0.0, 30 * MINUTE).is_empty());
    assert_eq!(house.wait(MINUTE).len(), 1);
}

#[test]
fn each_series_falls_due_by_itself() {
    let mut house = House::new([open()]);
    contact(&mut house, 1.0);
    assert!(house.wait(3 * MINUTE).is_empty());
    late(&mut house, CELLAR, 1.0, 0);
    let devices = |alerts: &[Alert]| alerts.iter().map(|alert| alert.device.0).collect::<Vec<_>>();
    assert_eq!(devices(&house.wait(7 * MINUTE)), [0]);
    assert!(house.wait(3 * MINUTE - 1).is_empty());
    assert_eq!(devices(&house.wait(1)), [1]);
}

#[test]
fn without_for_nothing_waits_for_the_clock() {
    let mut house = House::new([RuleSpec { hold_for: Duration::ZERO, ..open() }]);
    assert_eq!(contact(&mut house, 1.0).len(), 1);
    assert_eq!(house.alerts.next_deadline(), None);
}

#[test]
fn time_that_the_gateway_was_away_or_its_clock_was_set_by_does_not_count() {
    for jump in [56 * 365 * 24 * 60 * MINUTE, 120 * MINUTE, -60 * MINUTE, -MINUTE] {
        for heard_before_advance in [false, true] {
            let mut house = House::new([open()]);
            contact(&mut house, 1.0);
            assert!(house.wait(6 * MINUTE).is_empty());
            let mut house = house.restart();
            house.now += jump;
            if heard_before_advance {
                late(&mut house, CELLAR, 0.0, 0);
            }
            assert!(house.advance().is_empty(), "jump {jump}");
            assert!(house.wait(4 * MINUTE - 1).is_empty(), "jump {jump}");
            let raised = house.wait(1);
            assert_eq!(raised.len(), 1, "jump {jump}");
            assert_eq!(raised[0].at, Timestamp::from_millis(house.now), "jump {jump}");
        }
    }
}

#[test]
fn a_reload_keeps_the_wait_of_a_rule_that_asks_the_same() {
    let mut house = House::new([open()]);
    contact(&mut house, 1.0);
    assert!(house.wait(6 * MINUTE).is_empty());
    house.reconfigure([RuleSpec { severity: Severity::Critical, ..open() }]);
    assert!(house.wait(4 * MINUTE - 1).is_empty());
    assert_eq!(house.wait(1).len(), 1);

    let mut house = House::new([open()]);
    contact(&mut house, 1.0);
    assert!(house.wait(6 * MINUTE).is_empty());
    house.reconfigure([RuleSpec { hold_for: Duration::from_secs(420), ..open() }]);
    assert!(house.wait(MINUTE - 1).is_empty());
    assert_eq!(house.wait(1).len(), 1, "a shorter `for` falls due sooner");
}

#[test]
fn a_rule_that_asks_something_else_is_not_raised_for_the_old_answer() {
    let higher = Conditions { above: Some(1.5), ..Conditions::default() };
    for other in [
        RuleSpec { when: higher, ..open() },
        RuleSpec { devices: vec!["cellar".into()], ..open() },
        RuleSpec { name: "other".into(), ..open() },
    ] {
        let mut house = House::new([open()]);
        contact(&mut house, 1.0);
        house.reconfigure([other]);
        assert!(house.wait(60 * MINUTE).is_empty());
    }
}

#[test]
fn an_anomaly_that_falls_due_rests_five_minutes_after_the_last() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let mut house = House::new([RuleSpec { when, hold_for: Duration::from_secs(60), ..open() }]);
    let odd = Score { value: 0.9, expected: Some((1.0, 2.0)), oddity: Some(Oddity::Profile) };
    let stuck = Score { value: 0.8, expected: None, oddity: Some(Oddity::Stuck) };
    assert!(house.hear(LOUNGE, "contact", 7.0, house.now, odd).is_empty());
    let raised = house.wait(MINUTE);
    assert_eq!((raised.len(), raised[0].score), (1, Some(0.9)));
    assert_eq!(&*raised[0].message, "contact 7 is unusual for this time of day; usually 1 to 2 (profile)");
    for cleared in [0, 0, 1] {
        assert!(house.wait(1000).is_empty());
        assert_eq!(contact(&mut house, 1.0).len(), cleared);
    }
    assert!(house.hear(LOUNGE, "contact", 7.0, house.now, stuck).is_empty());
    assert!(house.wait(5 * MINUTE - 3001).is_empty());
    let again = house.wait(1);
    assert_eq!(again.len(), 1);
    assert_eq!(&*again[0].message, "contact has been exactly 7 for unusually long (stuck)");
    assert_eq!(again[0].at.since(raised[0].at), Duration::from_secs(300));
}
