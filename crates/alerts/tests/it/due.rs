//! `for`, where the clock raises what no later reading confirms: devices that only speak when something changes.

use std::time::Duration;

use crate::common::{CELLAR, Fixture, LOUNGE, MINUTE, START};
use alerts::{Conditions, Policy, RuleSpec};
use gateway_core::{Alert, AlertKind, AlertState, AnomalyKind, Score, Severity, Timestamp};

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
        expression: None,
        policy: Policy::default(),
    }
}

fn contact(fixture: &mut Fixture, value: f64) -> Vec<Alert> {
    late(fixture, LOUNGE, value, 0)
}

/// Measured so many milliseconds ago.
fn late(fixture: &mut Fixture, device: u32, value: f64, millis: i64) -> Vec<Alert> {
    fixture.hear(device, "contact", value, fixture.now - millis, Score::NONE)
}

#[test]
fn one_reading_is_enough_when_nothing_says_otherwise() {
    let mut fixture = Fixture::new([open()]);
    assert!(contact(&mut fixture, 1.0).is_empty());
    assert!(fixture.wait(10 * MINUTE - 1).is_empty());
    let raised = fixture.wait(1);
    assert_eq!(raised.len(), 1);
    let alert = &raised[0];
    assert_eq!((&*alert.rule, alert.kind, alert.state), ("open", AlertKind::Threshold, AlertState::Raised));
    assert_eq!((alert.value, alert.score), (Some(1.0), None));
    assert_eq!(&*alert.message, "contact 1 is above 0.5");
    assert_eq!(alert.at, Timestamp::from_millis(START + 10 * MINUTE));
    assert_eq!(alert.since, alert.at);
    assert_eq!(fixture.alerts.next_deadline(), None, "nothing waits any more");

    assert!(contact(&mut fixture, 1.0).is_empty(), "it is out already");
    assert!(fixture.wait(60 * MINUTE).is_empty());
    let cleared = contact(&mut fixture, 0.0);
    assert_eq!((cleared.len(), cleared[0].since), (1, alert.since));
    assert!(fixture.wait(60 * MINUTE).is_empty());
}

#[test]
fn it_counts_from_arrival_and_tells_the_time_it_fell_due_and_the_last_value() {
    let mut fixture = Fixture::new([open()]);
    assert!(late(&mut fixture, LOUNGE, 1.0, 60 * MINUTE).is_empty(), "an hour on its way");
    assert!(fixture.wait(5 * MINUTE).is_empty());
    assert!(late(&mut fixture, LOUNGE, 2.0, 64 * MINUTE).is_empty());
    assert!(fixture.wait(5 * MINUTE - 1).is_empty());
    fixture.now += 20_000;
    let raised = fixture.advance();
    assert_eq!((raised.len(), raised[0].value), (1, Some(2.0)));
    assert_eq!(raised[0].at, Timestamp::from_millis(START + 10 * MINUTE), "although asked late");
}

#[test]
fn a_reading_that_says_otherwise_ends_the_wait_but_a_straggler_does_not() {
    let mut fixture = Fixture::new([open()]);
    contact(&mut fixture, 1.0);
    assert!(fixture.wait(9 * MINUTE).is_empty());
    assert!(contact(&mut fixture, 0.0).is_empty());
    assert!(fixture.wait(60 * MINUTE).is_empty());
    assert_eq!(fixture.alerts.next_deadline(), None);

    contact(&mut fixture, 1.0);
    assert!(fixture.wait(9 * MINUTE).is_empty());
    assert!(late(&mut fixture, LOUNGE, 0.0, 30 * MINUTE).is_empty());
    assert_eq!(fixture.wait(MINUTE).len(), 1);
}

#[test]
fn each_series_falls_due_by_itself() {
    let mut fixture = Fixture::new([open()]);
    contact(&mut fixture, 1.0);
    assert!(fixture.wait(3 * MINUTE).is_empty());
    late(&mut fixture, CELLAR, 1.0, 0);
    let devices = |alerts: &[Alert]| alerts.iter().map(|alert| alert.device.0).collect::<Vec<_>>();
    assert_eq!(devices(&fixture.wait(7 * MINUTE)), [0]);
    assert!(fixture.wait(3 * MINUTE - 1).is_empty());
    assert_eq!(devices(&fixture.wait(1)), [1]);
}

#[test]
fn without_for_nothing_waits_for_the_clock() {
    let mut fixture = Fixture::new([RuleSpec { hold_for: Duration::ZERO, ..open() }]);
    assert_eq!(contact(&mut fixture, 1.0).len(), 1);
    assert_eq!(fixture.alerts.next_deadline(), None);
}

#[test]
fn time_that_the_gateway_was_away_or_its_clock_was_set_by_does_not_count() {
    for jump in [56 * 365 * 24 * 60 * MINUTE, 120 * MINUTE, -60 * MINUTE, -MINUTE] {
        for heard_before_advance in [false, true] {
            let mut fixture = Fixture::new([open()]);
            contact(&mut fixture, 1.0);
            assert!(fixture.wait(6 * MINUTE).is_empty());
            let mut fixture = fixture.restart();
            fixture.now += jump;
            if heard_before_advance {
                late(&mut fixture, CELLAR, 0.0, 0);
            }
            assert!(fixture.advance().is_empty(), "jump {jump}");
            assert!(fixture.wait(4 * MINUTE - 1).is_empty(), "jump {jump}");
            let raised = fixture.wait(1);
            assert_eq!(raised.len(), 1, "jump {jump}");
            assert_eq!(raised[0].at, Timestamp::from_millis(fixture.now), "jump {jump}");
        }
    }
}

#[test]
fn a_reload_keeps_the_wait_of_a_rule_that_asks_the_same() {
    let mut fixture = Fixture::new([open()]);
    contact(&mut fixture, 1.0);
    assert!(fixture.wait(6 * MINUTE).is_empty());
    fixture.reconfigure([RuleSpec { severity: Severity::Critical, ..open() }]);
    assert!(fixture.wait(4 * MINUTE - 1).is_empty());
    assert_eq!(fixture.wait(1).len(), 1);

    let mut fixture = Fixture::new([open()]);
    contact(&mut fixture, 1.0);
    assert!(fixture.wait(6 * MINUTE).is_empty());
    fixture.reconfigure([RuleSpec { hold_for: Duration::from_secs(420), ..open() }]);
    assert!(fixture.wait(MINUTE - 1).is_empty());
    assert_eq!(fixture.wait(1).len(), 1, "a shorter `for` falls due sooner");
}

#[test]
fn a_rule_that_asks_something_else_is_not_raised_for_the_old_answer() {
    let higher = Conditions { above: Some(1.5), ..Conditions::default() };
    for other in [
        RuleSpec { when: higher, ..open() },
        RuleSpec { devices: vec!["cellar".into()], ..open() },
        RuleSpec { name: "other".into(), ..open() },
    ] {
        let mut fixture = Fixture::new([open()]);
        contact(&mut fixture, 1.0);
        fixture.reconfigure([other]);
        assert!(fixture.wait(60 * MINUTE).is_empty());
    }
}

#[test]
fn an_anomaly_that_falls_due_rests_five_minutes_after_the_last() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let mut fixture = Fixture::new([RuleSpec { when, hold_for: Duration::from_secs(60), ..open() }]);
    let odd = Score { value: 0.9, expected: Some((1.0, 2.0)), anomaly_kind: Some(AnomalyKind::Profile) };
    let stuck = Score { value: 0.8, expected: None, anomaly_kind: Some(AnomalyKind::Stuck) };
    assert!(fixture.hear(LOUNGE, "contact", 7.0, fixture.now, odd).is_empty());
    let raised = fixture.wait(MINUTE);
    assert_eq!((raised.len(), raised[0].score), (1, Some(0.9)));
    assert_eq!(&*raised[0].message, "contact 7 is unusual for this time of day; usually 1 to 2 (profile)");
    for cleared in [0, 0, 1] {
        assert!(fixture.wait(1000).is_empty());
        assert_eq!(contact(&mut fixture, 1.0).len(), cleared);
    }
    assert!(fixture.hear(LOUNGE, "contact", 7.0, fixture.now, stuck).is_empty());
    assert!(fixture.wait(5 * MINUTE - 3001).is_empty());
    let again = fixture.wait(1);
    assert_eq!(again.len(), 1);
    assert_eq!(&*again[0].message, "contact has been exactly 7 for unusually long (stuck)");
    assert_eq!(again[0].at.since(raised[0].at), Duration::from_secs(300));
}
