//! Alerts for a device as a whole: each of its values is ordinary, their combination is not.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use crate::common::{HOUR, House, MINUTE, messages, rule, too_hot};
use alerts::{Conditions, RuleSpec};
use gateway_core::{AlertKind, AlertState, Oddity, Score};

const HOLD: Duration = Duration::from_secs(86_400);
const WINDOW: i64 = 5 * MINUTE;

const ODD: Score = Score { value: 0.8, expected: None, oddity: Some(Oddity::Combination) };

#[test]
fn it_is_raised_without_a_metric_and_cleared_after_two_ordinary_windows() {
    let mut house = House::judged(HOLD);
    assert!(house.window(WINDOW, Score { value: 0.4, ..ODD }, "").is_empty());
    let raised = house.window(WINDOW, ODD, "temperature 21, heating 100");
    let text = "temperature 21, heating 100: each value is ordinary, their combination is not (combination)";
    assert_eq!(messages(&raised), [text]);
    let alert = &raised[0];
    assert_eq!((alert.metric, alert.value, alert.score), (None, None, Some(0.8)));
    assert_eq!((alert.kind, alert.state), (AlertKind::Anomaly, AlertState::Raised));
    assert_eq!((&*alert.rule, alert.oddity), ("anomaly", Some(Oddity::Combination)));
    assert_eq!(alert.at.as_millis(), house.now - WINDOW, "when the window began");
    assert_eq!(house.alerts.raised().map(|raised| raised.metric).collect::<Vec<_>>(), [None]);

    assert!(house.window(WINDOW, Score::NONE, "").is_empty());
    assert!(house.window(WINDOW, ODD, "").is_empty());
    assert!(house.window(WINDOW, Score::NONE, "").is_empty());
    let cleared = house.window(WINDOW, Score::NONE, "");
    assert_eq!(messages(&cleared), ["the combination of values is as usual again"]);
    assert_eq!((cleared[0].since, cleared[0].metric), (alert.since, None));
}

#[test]
fn without_values_the_sentence_stands_alone() {
    let mut house = House::judged(HOLD);
    let raised = house.window(WINDOW, ODD, "");
    assert_eq!(messages(&raised), ["each value is ordinary, their combination is not (combination)"]);
}

#[test]
fn it_is_held_back_and_acknowledged_like_any_anomaly() {
    let mut house = House::judged(HOLD);
    assert_eq!(house.window(WINDOW, ODD, "").len(), 1);
    house.window(WINDOW, Score::NONE, "");
    assert_eq!(house.window(WINDOW, Score::NONE, "").len(), 1);
    assert!(house.window(HOUR, ODD, "").is_empty(), "told an hour ago");
    let mut house = house.restart();
    assert!(house.window(HOUR, ODD, "").is_empty());
    assert_eq!(house.window(24 * HOUR, ODD, "").len(), 1);
    assert!(house.acknowledge(Some("temperature"), HOLD).is_empty(), "not that metric's");
    let cleared = house.acknowledge(None, 3 * HOLD);
    assert_eq!((cleared.len(), cleared[0].metric, cleared[0].state), (1, None, AlertState::Cleared));
    assert!(house.window(71 * HOUR, ODD, "").is_empty());
    assert_eq!(house.window(HOUR + MINUTE * 5, ODD, "").len(), 1);
}

#[test]
fn a_late_window_neither_raises_nor_clears() {
    let mut house = House::judged(HOLD);
    house.window(WINDOW, Score::NONE, "");
    house.now -= HOUR;
    assert!(house.window(0, ODD, "").is_empty());
}

#[test]
fn only_rules_about_anomalies_of_every_metric_judge_it() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let of_cellar = RuleSpec { metric: None, devices: vec!["cellar".into()], ..rule("cellar", when) };
    let mut house = House::new([rule("temperature", when), of_cellar, too_hot()]);
    assert!(house.window(WINDOW, ODD, "").is_empty());
    house.reconfigure([RuleSpec { metric: None, ..rule("every", when) }]);
    let raised = house.window(WINDOW, ODD, "");
    assert_eq!((raised.len(), &*raised[0].rule), (1, "every"));
    house.reconfigure([too_hot()]);
    let gone = house.wait(MINUTE);
    assert_eq!(messages(&gone), ["the rule every no longer applies"]);
    assert_eq!((gone[0].metric, gone[0].since), (None, raised[0].since));
}

#[test]
fn what_held_for_as_long_as_for_says_is_raised_by_the_clock() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let waiting = RuleSpec { metric: None, hold_for: Duration::from_secs(3600), ..rule("slow", when) };
    let mut house = House::new([waiting]);
    assert!(house.window(WINDOW, ODD, "").is_empty());
    assert!(house.wait(HOUR - 1).is_empty());
    let raised = house.wait(1);
    assert_eq!(messages(&raised), ["each value is ordinary, their combination is not (combination)"]);
}
