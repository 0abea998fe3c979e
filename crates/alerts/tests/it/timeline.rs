//! Rules over time: what is said when, on one building with a few devices.

use std::time::Duration;

use crate::common::{Fixture, LOUNGE, SECOND, START, messages, rule, silent, too_hot};
use alerts::{Conditions, RuleSpec};
use gateway_core::{AlertKind, AlertState, MetricId, Score, Severity, Timestamp};

#[test]
fn a_threshold_is_raised_once_and_cleared_behind_its_hysteresis() {
    let mut time = Fixture::new([too_hot()]);
    assert!(time.is(40.0).is_empty());
    let raised = time.then(60 * SECOND, 41.2);
    assert_eq!(messages(&raised), ["temperature 41.2 is above 40"]);
    assert!(time.then(60 * SECOND, 55.0).is_empty());
    assert!(time.then(60 * SECOND, 39.6).is_empty());
    let cleared = time.then(60 * SECOND, 39.5);
    assert_eq!(messages(&cleared), ["temperature 39.5 is no longer above 40"]);

    let (raised, cleared) = (&raised[0], &cleared[0]);
    assert_eq!((raised.kind, raised.state), (AlertKind::Threshold, AlertState::Raised));
    assert_eq!((cleared.kind, cleared.state), (AlertKind::Threshold, AlertState::Cleared));
    assert_eq!((raised.severity, raised.value, raised.score), (Severity::Critical, Some(41.2), None));
    assert_eq!((raised.since, raised.at), (Timestamp::from_millis(START + 60_000), raised.since));
    assert_eq!(cleared.since, raised.since);
    assert_eq!(cleared.at, Timestamp::from_millis(START + 240_000));
    assert!(time.then(60 * SECOND, 39.9).is_empty());
}

#[test]
fn without_hysteresis_the_limit_itself_clears() {
    let mut time = Fixture::new([RuleSpec { clear_by: 0.0, ..too_hot() }]);
    assert_eq!(time.is(40.1).len(), 1);
    assert_eq!(messages(&time.then(SECOND, 40.0)), ["temperature 40 is no longer above 40"]);
}

#[test]
fn below_mirrors_above() {
    let mut time = Fixture::new([too_hot()]);
    assert!(time.is(5.0).is_empty());
    assert_eq!(messages(&time.then(60 * SECOND, 4.9)), ["temperature 4.9 is below 5"]);
    assert!(time.then(60 * SECOND, 5.4).is_empty());
    assert_eq!(messages(&time.then(60 * SECOND, 5.5)), ["temperature 5.5 is no longer below 5"]);
}

#[test]
fn clear_by_is_reached_in_decimals_too() {
    let clears_at = |when, clear_by, values: [f64; 3]| {
        let mut time = Fixture::new([RuleSpec { clear_by, ..rule("edge", when) }]);
        values.map(|value| time.then(SECOND, value).len())
    };
    let above = |limit| Conditions { above: Some(limit), ..Conditions::default() };
    let below = |limit| Conditions { below: Some(limit), ..Conditions::default() };
    assert_eq!(clears_at(below(5.0), 1.0, [4.0, 5.9, 6.0]), [1, 0, 1]);
    // 21.3 - 0.1 is a little less than 21.2 in binary, 0.1 + 0.2 a little more than 0.3.
    assert_eq!(clears_at(above(21.3), 0.1, [22.0, 21.201, 21.2]), [1, 0, 1]);
    assert_eq!(clears_at(below(0.1), 0.2, [0.0, 0.299, 0.3]), [1, 0, 1]);
}

#[test]
fn for_waits_until_the_condition_has_held_without_a_break() {
    let mut time = Fixture::new([RuleSpec { hold_for: Duration::from_secs(300), ..too_hot() }]);
    assert!(time.is(41.0).is_empty());
    assert!(time.then(240 * SECOND, 41.0).is_empty());
    assert!(time.then(30 * SECOND, 39.8).is_empty(), "nothing was raised that could be cleared");
    assert!(time.then(30 * SECOND, 41.0).is_empty());
    assert!(time.then(299 * SECOND, 41.0).is_empty());
    time.now += 1000;
    let raised = time.is(42.0);
    assert_eq!(messages(&raised), ["temperature 42 is above 40"]);
    assert_eq!(raised[0].since, raised[0].at);
    assert!(time.wait(600 * SECOND).is_empty(), "the clock does not raise it again");
}

#[test]
fn a_straggler_neither_raises_nor_clears() {
    let mut time = Fixture::new([too_hot()]);
    assert!(time.is(20.0).is_empty());
    assert!(time.hear(LOUNGE, "temperature", 50.0, START - 1, Score::NONE).is_empty());
    assert_eq!(time.then(60 * SECOND, 50.0).len(), 1);
    for _ in 0..10 {
        assert!(time.hear(LOUNGE, "temperature", 20.0, START + 1, Score::NONE).is_empty());
    }
    assert_eq!(time.then(60 * SECOND, 20.0).len(), 1);
}

#[test]
fn a_device_whose_clock_ran_ahead_is_believed_again_after_three_readings() {
    let mut time = Fixture::new([too_hot()]);
    assert!(time.hear(LOUNGE, "temperature", 20.0, START + 3_000_000, Score::NONE).is_empty());
    assert!(time.then(SECOND, 50.0).is_empty());
    assert!(time.then(SECOND, 50.0).is_empty());
    assert_eq!(time.then(SECOND, 50.0).len(), 1);
}

#[test]
fn a_rise_is_measured_from_the_lowest_of_the_stretch() {
    let when = Conditions { rises_by: Some(6.0), within: Duration::from_secs(600), ..Conditions::default() };
    let mut time = Fixture::new([RuleSpec { clear_by: 1.0, ..rule("fire", when) }]);
    for value in [21.0, 20.0, 22.0, 24.0] {
        assert!(time.then(120 * SECOND, value).is_empty());
    }
    let raised = time.then(120 * SECOND, 26.1);
    assert_eq!(messages(&raised), ["temperature rose by 6.1 within 10m"]);
    assert_eq!(raised[0].kind, AlertKind::Rate);
    assert!(time.then(30 * SECOND, 25.1).is_empty(), "5.1 is still within the hysteresis");
    assert_eq!(messages(&time.then(30 * SECOND, 25.0)), ["temperature 25 no longer rises by 6 within 10m"]);

    let mut slow = Fixture::new([rule("fire", when)]);
    for minute in 0..600 {
        assert!(slow.then(60 * SECOND, f64::from(minute) * 0.5).is_empty(), "5 in ten minutes");
    }
}

#[test]
fn a_fall_is_measured_from_the_highest() {
    let when = Conditions { falls_by: Some(3.0), within: Duration::from_secs(600), ..Conditions::default() };
    let mut time = Fixture::new([rule("window-open", when)]);
    assert!(time.is(21.0).is_empty());
    assert_eq!(messages(&time.then(300 * SECOND, 17.5)), ["temperature fell by 3.5 within 10m"]);
    assert_eq!(messages(&time.then(400 * SECOND, 17.0)).len(), 1, "the 21 is too long ago");
}

#[test]
fn a_fall_clears_at_its_hysteresis() {
    let when = Conditions { falls_by: Some(3.0), within: Duration::from_secs(600), ..Conditions::default() };
    let mut time = Fixture::new([RuleSpec { clear_by: 1.0, ..rule("window-open", when) }]);
    assert!(time.is(21.0).is_empty());
    assert_eq!(time.then(10 * SECOND, 18.0).len(), 1);
    assert!(time.then(10 * SECOND, 18.9).is_empty());
    assert_eq!(messages(&time.then(10 * SECOND, 19.0)), ["temperature 19 no longer falls by 3 within 10m"]);
}

#[test]
fn a_silent_device_is_raised_by_the_clock_and_cleared_by_its_next_word() {
    let mut time = Fixture::new([silent()]);
    assert!(time.is(20.0).is_empty());
    assert!(time.wait(899 * SECOND).is_empty());
    let raised = time.wait(SECOND);
    assert_eq!(messages(&raised), ["lounge has been silent for 15m"]);
    assert_eq!((raised[0].kind, raised[0].metric, raised[0].value), (AlertKind::Silent, None, None));
    assert!(time.wait(9000 * SECOND).is_empty());
    let cleared = time.is(20.0);
    assert_eq!(messages(&cleared), ["lounge sends again"]);
    assert_eq!(cleared[0].since, raised[0].since);
    assert_eq!(time.wait(900 * SECOND).len(), 1);
}

#[test]
fn any_metric_breaks_a_devices_silence_but_not_another_metrics() {
    let metric = RuleSpec { metric: Some("temperature".into()), name: "no-temperature".into(), ..silent() };
    let mut time = Fixture::new([silent(), metric]);
    assert!(time.is(20.0).is_empty());
    assert!(time.wait(600 * SECOND).is_empty());
    assert!(time.hear(LOUNGE, "humidity", 50.0, time.now, Score::NONE).is_empty());
    let raised = time.wait(600 * SECOND);
    assert_eq!(messages(&raised), ["lounge's temperature has been silent for 15m"]);
    assert_eq!(raised[0].metric, Some(MetricId(0)));
}

#[test]
fn a_straggler_shows_that_its_device_is_alive() {
    let mut time = Fixture::new([silent()]);
    time.is(20.0);
    assert!(time.wait(800 * SECOND).is_empty());
    time.hear(LOUNGE, "temperature", 20.0, START - 1000, Score::NONE);
    assert!(time.wait(800 * SECOND).is_empty());
}

#[test]
fn nobody_is_called_silent_for_the_time_the_gateway_was_away() {
    let mut time = Fixture::new([silent()]);
    time.is(20.0);
    assert!(time.wait(600 * SECOND).is_empty());
    let mut time = time.restart();
    time.now += 7_200_000;
    assert!(time.wait(299 * SECOND).is_empty(), "600 s were silent before, 299 after");
    assert_eq!(time.wait(SECOND).len(), 1);
}

#[test]
fn a_clock_that_is_set_calls_nobody_silent_and_hides_no_silence() {
    for jump in [56 * 365 * 86_400_000, 3_600_000, -3_600_000, -60_000] {
        let mut time = Fixture::new([silent()]);
        time.is(20.0);
        assert!(time.wait(600 * SECOND).is_empty());
        time.now += jump;
        assert!(time.wait(0).is_empty(), "jump {jump}");
        assert!(time.wait(299 * SECOND).is_empty(), "jump {jump}");
        assert_eq!(time.wait(SECOND).len(), 1, "jump {jump}");
    }
}
