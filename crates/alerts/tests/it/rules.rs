//! Which series a rule speaks of, what is wrong with a rule, and what becomes of its alerts over a restart and a reload.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{CELLAR, Fixture, LOUNGE, MINUTE, SECOND, START, messages, rule, silent, too_hot};
use alerts::{Conditions, Rule, RuleSpec};
use gateway_core::{AlertState, MetricId, Score};

#[test]
fn a_restart_raises_nothing_twice_and_forgets_nothing() {
    let hold = RuleSpec { name: "long".into(), hold_for: Duration::from_secs(300), ..too_hot() };
    let mut time = Fixture::new([too_hot(), hold]);
    let raised = time.is(50.0);
    assert_eq!(raised.len(), 1);
    assert!(time.then(200 * SECOND, 50.0).is_empty());
    let mut time = time.restart();
    let long = time.then(100 * SECOND, 50.0);
    assert_eq!((long.len(), &*long[0].rule), (1, "long"));
    let cleared = time.then(SECOND, 20.0);
    assert_eq!((cleared.len(), cleared[0].since), (2, raised[0].since));
}

#[test]
fn a_restart_at_any_reading_changes_nothing() {
    let rate = Conditions { rises_by: Some(3.0), within: Duration::from_secs(300), ..Conditions::default() };
    let rules = || [too_hot(), silent(), rule("rate", rate)];
    let values = [20.0, 22.0, 25.5, 41.0, 41.0, 39.7, 39.0, 20.0, 4.0, 6.0];
    let run = |restart_before: Option<usize>| {
        let (mut time, mut out) = (Fixture::new(rules()), Vec::new());
        for (index, value) in values.into_iter().enumerate() {
            if restart_before == Some(index) {
                time = time.restart();
            }
            out.extend(time.then(if index == 5 { 1000 * SECOND } else { MINUTE }, value));
        }
        out
    };
    let straight = run(None);
    assert!(straight.len() >= 8, "{:?}", messages(&straight));
    for index in 0..values.len() {
        assert_eq!(run(Some(index)), straight);
    }
}

#[test]
fn rules_that_stay_keep_their_state_and_alerts_of_others_are_cleared() {
    let other = || RuleSpec { name: "other".into(), ..too_hot() };
    let mut time = Fixture::new([other(), too_hot()]);
    let raised = time.is(50.0);
    assert_eq!(raised.len(), 2);

    let hotter = Conditions { above: Some(45.0), ..Conditions::default() };
    time.reconfigure([rule("new", hotter), too_hot()]);
    let gone = time.wait(SECOND);
    assert_eq!(messages(&gone), ["the rule other no longer applies"]);
    assert_eq!((gone[0].state, gone[0].since), (AlertState::Cleared, raised[0].since));
    let new = time.then(SECOND, 50.0);
    assert_eq!((new.len(), &*new[0].rule), (1, "new"), "too-hot is not raised again");
    assert_eq!(time.then(SECOND, 20.0).len(), 2);
}

#[test]
fn a_rule_that_no_longer_speaks_of_a_device_clears_its_alert() {
    let mut time = Fixture::new([too_hot()]);
    assert_eq!(time.is(50.0).len(), 1);
    time.reconfigure([RuleSpec { devices: vec!["cellar".into()], ..too_hot() }]);
    assert!(time.is(50.0).is_empty());
    assert_eq!(messages(&time.wait(SECOND)), ["the rule too-hot no longer applies"]);
    assert!(time.wait(MINUTE).is_empty());
    assert_eq!(time.alerts.next_deadline(), None);
}

#[test]
fn raised_lists_what_is_out() {
    let mut time = Fixture::new([too_hot(), silent()]);
    time.is(50.0);
    time.wait(1000 * SECOND);
    let raised: Vec<_> =
        time.alerts.active_alerts().map(|alert| (&**alert.rule, alert.device.0, alert.metric)).collect();
    assert_eq!(raised, [("silent", LOUNGE, None), ("too-hot", LOUNGE, Some(MetricId(0)))]);
}

#[test]
fn devices_zones_and_metrics_choose_the_series() {
    let raised = |spec: RuleSpec| {
        let mut time = Fixture::new([spec]);
        let mut raised = |device, metric| !time.hear(device, metric, 50.0, START, Score::NONE).is_empty();
        [raised(LOUNGE, "temperature"), raised(LOUNGE, "humidity"), raised(CELLAR, "temperature")]
    };
    let globs = |text: &str| vec![text.to_owned()];
    assert_eq!(raised(too_hot()), [true, false, true]);
    assert_eq!(raised(RuleSpec { zones: globs("floor-1/*"), ..too_hot() }), [true, false, false]);
    assert_eq!(raised(RuleSpec { zones: globs("*"), ..too_hot() }), [true, false, true]);
    assert_eq!(raised(RuleSpec { devices: globs("cell*"), ..too_hot() }), [false, false, true]);
    assert_eq!(raised(RuleSpec { devices: globs("lo?nge"), ..too_hot() }), [true, false, false]);
    assert_eq!(
        raised(RuleSpec { devices: globs("cellar"), zones: globs("floor-1/*"), ..too_hot() }),
        [false; 3]
    );
}

#[test]
fn every_problem_of_a_rule_is_told_with_its_key() {
    let keys = |spec: &RuleSpec| spec.problems().iter().map(|problem| problem.key).collect::<Vec<_>>();
    assert!(keys(&too_hot()).is_empty());
    assert_eq!(keys(&rule("empty", Conditions::default())), ["above"]);
    let when = Conditions {
        above: Some(f64::NAN),
        rises_by: Some(-1.0),
        silent_for: Some(Duration::ZERO),
        anomaly: Some(2.0),
        ..Conditions::default()
    };
    let bad = RuleSpec { clear_by: -1.0, devices: vec!["[".into()], ..rule("bad", when) };
    assert_eq!(keys(&bad), ["above", "rises_by", "within", "silent_for", "anomaly", "clear_by", "devices"]);
    let everywhere = |when| keys(&RuleSpec { metric: None, ..rule("everywhere", when) });
    let within = Duration::from_secs(60);
    for when in [
        Conditions { above: Some(1.0), anomaly: Some(0.5), ..Conditions::default() },
        Conditions { below: Some(1.0), silent_for: Some(within), ..Conditions::default() },
        Conditions { rises_by: Some(1.0), within, ..Conditions::default() },
        Conditions { falls_by: Some(1.0), within, ..Conditions::default() },
    ] {
        assert_eq!(everywhere(when), ["metric"], "{when:?}");
    }
    let alone = Conditions { anomaly: Some(0.5), silent_for: Some(within), ..Conditions::default() };
    assert!(everywhere(alone).is_empty());

    let problem = Rule::try_from(bad).unwrap_err();
    assert_eq!(problem.to_string(), "alerts.bad.above: not a finite number");
}
