//! Alerts for a device as a whole: each of its values is ordinary, their combination is not.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{Fixture, HOUR, MINUTE, messages, rule, too_hot};
use alerts::{Conditions, RuleSpec};
use gateway_core::{AlertKind, AlertState, AnomalyKind, Score};

const HOLD: Duration = Duration::from_secs(86_400);
const WINDOW: i64 = 5 * MINUTE;

const ANOMALY: Score = Score { value: 0.8, expected: None, anomaly_kind: Some(AnomalyKind::Combination) };

#[test]
fn it_is_raised_without_a_metric_and_cleared_after_two_ordinary_windows() {
    let mut fixture = Fixture::judged(HOLD);
    assert!(fixture.window(WINDOW, Score { value: 0.4, ..ANOMALY }, "").is_empty());
    let raised = fixture.window(WINDOW, ANOMALY, "temperature 21, heating 100");
    let text = "temperature 21, heating 100: each value is ordinary, their combination is not (combination)";
    assert_eq!(messages(&raised), [text]);
    let alert = &raised[0];
    assert_eq!((alert.metric, alert.value, alert.score), (None, None, Some(0.8)));
    assert_eq!((alert.kind, alert.state), (AlertKind::Anomaly, AlertState::Raised));
    assert_eq!((&*alert.rule, alert.anomaly_kind), ("anomaly", Some(AnomalyKind::Combination)));
    assert_eq!(alert.at.as_millis(), fixture.now - WINDOW, "when the window began");
    assert_eq!(fixture.alerts.active_alerts().map(|raised| raised.metric).collect::<Vec<_>>(), [None]);

    assert!(fixture.window(WINDOW, Score::NONE, "").is_empty());
    assert!(fixture.window(WINDOW, ANOMALY, "").is_empty());
    assert!(fixture.window(WINDOW, Score::NONE, "").is_empty());
    let cleared = fixture.window(WINDOW, Score::NONE, "");
    assert_eq!(messages(&cleared), ["the combination of values is as usual again"]);
    assert_eq!((cleared[0].since, cleared[0].metric), (alert.since, None));
}

#[test]
fn without_values_the_sentence_stands_alone() {
    let mut fixture = Fixture::judged(HOLD);
    let raised = fixture.window(WINDOW, ANOMALY, "");
    assert_eq!(messages(&raised), ["each value is ordinary, their combination is not (combination)"]);
}

#[test]
fn it_is_held_back_and_acknowledged_like_any_anomaly() {
    let mut fixture = Fixture::judged(HOLD);
    assert_eq!(fixture.window(WINDOW, ANOMALY, "").len(), 1);
    fixture.window(WINDOW, Score::NONE, "");
    assert_eq!(fixture.window(WINDOW, Score::NONE, "").len(), 1);
    assert!(fixture.window(HOUR, ANOMALY, "").is_empty(), "notified an hour ago");
    let mut fixture = fixture.restart();
    assert!(fixture.window(HOUR, ANOMALY, "").is_empty());
    assert_eq!(fixture.window(24 * HOUR, ANOMALY, "").len(), 1);
    assert!(fixture.acknowledge(Some("temperature"), HOLD).is_empty(), "not that metric's");
    let cleared = fixture.acknowledge(None, 3 * HOLD);
    assert_eq!((cleared.len(), cleared[0].metric, cleared[0].state), (1, None, AlertState::Cleared));
    assert!(fixture.window(71 * HOUR, ANOMALY, "").is_empty());
    assert_eq!(fixture.window(HOUR + MINUTE * 5, ANOMALY, "").len(), 1);
}

#[test]
fn a_late_window_neither_raises_nor_clears() {
    let mut fixture = Fixture::judged(HOLD);
    fixture.window(WINDOW, Score::NONE, "");
    fixture.now -= HOUR;
    assert!(fixture.window(0, ANOMALY, "").is_empty());
}

#[test]
fn only_rules_about_anomalies_of_every_metric_judge_it() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let of_cellar = RuleSpec { metric: None, devices: vec!["cellar".into()], ..rule("cellar", when) };
    let mut fixture = Fixture::new([rule("temperature", when), of_cellar, too_hot()]);
    assert!(fixture.window(WINDOW, ANOMALY, "").is_empty());
    fixture.reconfigure([RuleSpec { metric: None, ..rule("every", when) }]);
    let raised = fixture.window(WINDOW, ANOMALY, "");
    assert_eq!((raised.len(), &*raised[0].rule), (1, "every"));
    fixture.reconfigure([too_hot()]);
    let gone = fixture.wait(MINUTE);
    assert_eq!(messages(&gone), ["the rule every no longer applies"]);
    assert_eq!((gone[0].metric, gone[0].since), (None, raised[0].since));
}

#[test]
fn what_held_for_as_long_as_for_says_is_raised_by_the_clock() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let waiting = RuleSpec { metric: None, hold_for: Duration::from_secs(3600), ..rule("slow", when) };
    let mut fixture = Fixture::new([waiting]);
    assert!(fixture.window(WINDOW, ANOMALY, "").is_empty());
    assert!(fixture.wait(HOUR - 1).is_empty());
    let raised = fixture.wait(1);
    assert_eq!(messages(&raised), ["each value is ordinary, their combination is not (combination)"]);
}
