//! Hours without the gateway: the machine slept, or the gateway was stopped. No device counts as silent for them, no
//! `for` ends by them, and what is raised stays raised.

use std::time::Duration;

use crate::common::{Fixture, HOUR, LOUNGE, MINUTE, SECOND, START, rule, silent};
use alerts::{Conditions, RuleSpec};
use gateway_core::{AlertState, Score};

fn silent_for_15m() -> [RuleSpec; 2] {
    let when = Conditions { silent_for: Some(Duration::from_secs(900)), ..Conditions::default() };
    [silent(), rule("no-temperature", when)]
}

fn hot() -> RuleSpec {
    rule("hot", Conditions { above: Some(40.0), ..Conditions::default() })
}

fn hot_for_10m() -> RuleSpec {
    RuleSpec { hold_for: Duration::from_secs(600), ..hot() }
}

/// Clocks that run on, are set forward or back on waking, or have never been set after a power cut.
const STEPS: [i64; 4] = [0, HOUR, -HOUR, -START + MINUTE];

#[test]
fn a_device_has_its_whole_silence_after_hours_of_ours() {
    for step in STEPS {
        let mut fixture = Fixture::new(silent_for_15m());
        fixture.is(20.0);
        assert!(fixture.wait(14 * MINUTE).is_empty());
        assert!(fixture.away(8 * HOUR, step).is_empty(), "step {step}");
        assert!(fixture.wait(15 * MINUTE - 1).is_empty(), "step {step}");
        assert_eq!(fixture.wait(1).len(), 2, "step {step}: silent all the same");
    }
}

#[test]
fn a_gateway_that_restarts_again_and_again_notices_who_is_silent() {
    let mut fixture = Fixture::new(silent_for_15m());
    fixture.is(20.0);
    for _ in 0..14 {
        assert!(fixture.wait(MINUTE).is_empty());
        assert!(fixture.away(20 * SECOND, 0).is_empty());
    }
    assert!(fixture.wait(MINUTE - 1).is_empty(), "it listened for 15 minutes less a millisecond");
    assert_eq!(fixture.wait(1).len(), 2);
}

#[test]
fn what_is_raised_stays_raised_and_is_not_raised_again() {
    for step in STEPS {
        let mut fixture = Fixture::new(silent_for_15m().into_iter().chain([hot()]));
        assert_eq!(fixture.is(41.0).len(), 1);
        assert_eq!(fixture.wait(15 * MINUTE).len(), 2);
        assert!(fixture.away(8 * HOUR, step).is_empty());
        assert!(fixture.wait(HOUR).is_empty());
        assert_eq!(fixture.alerts.active_alerts().count(), 3, "step {step}");
        let cleared = fixture.is(41.0);
        assert!(cleared.iter().all(|alert| alert.state == AlertState::Cleared), "step {step}");
        assert_eq!(cleared.len(), 2, "it sends again and is still hot: step {step}");
    }
}

#[test]
fn hours_that_nobody_watched_are_no_part_of_a_for() {
    for step in STEPS {
        let mut fixture = Fixture::new([hot_for_10m()]);
        fixture.is(41.0);
        assert!(fixture.wait(6 * MINUTE).is_empty());
        assert!(fixture.away(8 * HOUR, step).is_empty(), "step {step}");
        assert!(fixture.wait(4 * MINUTE - 1).is_empty(), "step {step}");
        assert_eq!(fixture.wait(1).len(), 1, "6 minutes before, 4 after: step {step}");
    }
}

#[test]
fn a_reading_on_waking_does_not_end_a_for_either() {
    for step in [0, HOUR] {
        let mut fixture = Fixture::new([hot_for_10m()]);
        fixture.is(41.0);
        assert!(fixture.wait(6 * MINUTE).is_empty());
        assert!(fixture.away(8 * HOUR, step).is_empty());
        assert!(fixture.is(42.0).is_empty(), "step {step}");
        assert!(fixture.wait(4 * MINUTE - 1).is_empty(), "step {step}");
        let raised = fixture.hear(LOUNGE, "temperature", 43.0, fixture.now + 1, Score::NONE);
        assert_eq!((raised.len(), raised[0].value), (1, Some(43.0)), "step {step}");
    }
}

#[test]
fn a_clock_that_is_set_forward_does_not_end_a_for() {
    let mut fixture = Fixture::new([hot_for_10m()]);
    fixture.is(41.0);
    assert!(fixture.wait(6 * MINUTE).is_empty());
    fixture.now += HOUR;
    assert!(fixture.is(42.0).is_empty());
    assert!(fixture.wait(4 * MINUTE - 1).is_empty());
    assert_eq!(fixture.wait(1).len(), 1);
}

#[test]
fn what_a_device_kept_while_nobody_listened_raises_in_time() {
    let mut fixture = Fixture::new([hot_for_10m()]);
    let asleep = fixture.now;
    fixture.is(41.0);
    assert!(fixture.away(8 * HOUR, 0).is_empty());
    let mut raised = Vec::new();
    for minute in 1..=8 * 60 {
        let at = asleep + minute * MINUTE;
        raised.extend(fixture.hear(LOUNGE, "temperature", 41.0, at, Score::NONE));
    }
    raised.extend(fixture.wait(10 * MINUTE));
    assert_eq!(raised.len(), 1, "no later than `for` after waking");
}
