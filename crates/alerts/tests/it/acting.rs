//! Conditions of states and expressions, and what lies between an alert and those who are told. Each timeline runs twice: as it
//! is, and with a restart before each event, which must not change a word.

use std::time::Duration;

use alerts::{Conditions, Escalation, Hours, Mute, Policy, RuleSpec};
use gateway_core::{Alert, AlertState, DeviceId, Notice, Score, Severity, Timestamp};

use crate::common::{CELLAR, Fixture, HOUR, LOUNGE, MINUTE, SECOND, START, rule, too_hot};

/// What happens after so many minutes.
enum Event {
    /// A metric of the lounge.
    Is(&'static str, f64),
    Cellar(&'static str, f64),
    /// A window of the lounge closes with this average.
    Window(&'static str, f64),
    Acknowledge,
    /// Nobody is told of the lounge for so many minutes.
    Mute(i64),
    Nothing,
}
use Event::{Acknowledge, Cellar, Is, Nothing, Window};

/// Minutes after the event before, what happens, and what is said until then and of it.
type Line = (i64, Event, &'static [&'static str]);

fn happens(fixture: &mut Fixture, (minutes, event, _): &Line) -> Vec<Alert> {
    let mut out = fixture.wait(minutes * MINUTE);
    let now = fixture.now;
    out.extend(match event {
        Is(metric, value) => fixture.hear(LOUNGE, metric, *value, now, Score::NONE),
        Cellar(metric, value) => fixture.hear(CELLAR, metric, *value, now, Score::NONE),
        Window(metric, avg) => fixture.closed(LOUNGE, metric, *avg),
        Acknowledge => fixture.acknowledge(None, Duration::ZERO),
        Event::Mute(minutes) => {
            let until = Timestamp::from_millis(now + minutes * MINUTE);
            let mute = Mute { devices: Some(vec![DeviceId(LOUNGE)]), rule: None, until };
            assert!(fixture.alerts.mute(mute, fixture.time()));
            Vec::new()
        }
        Nothing => Vec::new(),
    });
    out
}

fn text(alert: &Alert) -> String {
    let state = match (alert.state, alert.notice) {
        (AlertState::Raised, None) => "+",
        (AlertState::Raised, Some(Notice::Reminder(_))) => "again",
        (AlertState::Raised, Some(Notice::Escalated)) => alert.severity.as_str(),
        (AlertState::Acknowledged, _) => "noted",
        (AlertState::Cleared, _) => "-",
    };
    format!("{state} {}", alert.message)
}

/// All that was said.
fn run(rules: &[RuleSpec], lines: &[Line]) -> Vec<Alert> {
    let mut plain = Fixture::new(rules.to_vec());
    let mut restarted = Fixture::new(rules.to_vec());
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let said = happens(&mut plain, line);
        assert_eq!(said.iter().map(text).collect::<Vec<_>>(), line.2, "line {number}");
        restarted = restarted.restart();
        assert_eq!(happens(&mut restarted, line), said, "line {number}, after a restart");
        all.extend(said);
    }
    all
}

fn when(text: &str) -> RuleSpec {
    RuleSpec { metric: None, expression: Some(text.into()), ..rule("busy", Conditions::default()) }
}

fn with(policy: Policy) -> RuleSpec {
    RuleSpec { policy, severity: Severity::Warning, ..too_hot() }
}

#[test]
fn a_state_is_told_when_it_is_reached_and_left() {
    let equals = Conditions { equals: Some(1.0), ..Conditions::default() };
    let said = run(
        &[RuleSpec {
            metric: Some("contact".into()),
            hold_for: Duration::from_secs(120),
            ..rule("open", equals)
        }],
        &[
            (0, Is("contact", 0.0), &[]),
            (1, Is("contact", 1.0), &[]),
            (1, Is("contact", 0.0), &[]),
            (1, Is("contact", 1.0), &[]),
            (3, Nothing, &["+ contact is 1"]),
            (1, Is("contact", 0.0), &["- contact 0 is no longer 1"]),
        ],
    );
    assert_eq!(said.first().and_then(|alert| alert.limit), Some(1.0));
}

#[test]
fn each_change_is_told() {
    let changes = Conditions { changes: true, ..Conditions::default() };
    run(
        &[RuleSpec { metric: Some("contact".into()), ..rule("door", changes) }],
        &[
            (0, Is("contact", 0.0), &[]),
            (1, Is("contact", 0.0), &[]),
            (1, Is("contact", 1.0), &["+ contact changed from 0 to 1"]),
            (1, Is("contact", 0.0), &["- contact 0: the change is over", "+ contact changed from 1 to 0"]),
            (1, Is("contact", 0.0), &["- contact 0: the change is over"]),
            (1, Is("contact", 0.0), &[]),
        ],
    );
}

#[test]
fn an_expression_reads_newest_values_of_its_device() {
    let said = run(
        &[when("co2 > 1000 && occupancy == 1")],
        &[
            (0, Is("co2", 1200.0), &[]),
            (1, Cellar("occupancy", 1.0), &[]),
            (1, Is("occupancy", 1.0), &["+ co2 1200, occupancy 1: co2 > 1000 && occupancy == 1"]),
            (1, Is("co2", 1300.0), &[]),
            (1, Is("occupancy", 0.0), &["- co2 1300, occupancy 0: no longer co2 > 1000 && occupancy == 1"]),
        ],
    );
    assert!(said.iter().all(|alert| alert.device == DeviceId(LOUNGE) && alert.metric.is_none()));
}

#[test]
fn an_expression_reads_windows_and_the_zone() {
    run(
        &[
            when("temperature > avg.temperature + 3"),
            RuleSpec { name: "zone".into(), ..when("zone.humidity > 60") },
        ],
        &[
            (0, Is("temperature", 30.0), &[]),
            (
                5,
                Window("temperature", 26.0),
                &["+ temperature 30, avg.temperature 26: temperature > avg.temperature + 3"],
            ),
            (
                1,
                Is("temperature", 28.0),
                &["- temperature 28, avg.temperature 26: no longer temperature > avg.temperature + 3"],
            ),
            (1, Is("humidity", 61.0), &["+ zone.humidity 61: zone.humidity > 60"]),
            (1, Cellar("humidity", 90.0), &[]),
            (1, Is("humidity", 60.0), &["- zone.humidity 60: no longer zone.humidity > 60"]),
        ],
    );
}

#[test]
fn an_expression_must_hold_for_a_while() {
    run(
        &[RuleSpec { hold_for: Duration::from_secs(300), ..when("co2 > 1000") }],
        &[
            (0, Is("co2", 1200.0), &[]),
            (4, Is("co2", 900.0), &[]),
            (1, Is("co2", 1100.0), &[]),
            (6, Nothing, &["+ co2 1100: co2 > 1000"]),
        ],
    );
}

#[test]
fn who_does_not_react_is_reminded_and_then_it_gets_worse() {
    let escalate = Some(Escalation { after: Duration::from_secs(5400), severity: Severity::Critical });
    let policy = Policy { remind: Some(Duration::from_secs(3600)), escalate, ..Policy::default() };
    let said = run(
        &[with(policy)],
        &[
            (0, Is("temperature", 41.0), &["+ temperature 41 is above 40"]),
            (59, Nothing, &[]),
            (2, Nothing, &["again still, after 1h: temperature 41 is above 40"]),
            (30, Nothing, &["critical not acknowledged for 90m: temperature 41 is above 40"]),
            (30, Nothing, &["again still, after 2h: temperature 41 is above 40"]),
            (1, Acknowledge, &["noted somebody took note; no more reminders"]),
            (1, Acknowledge, &[]),
            (240, Nothing, &[]),
            (1, Is("temperature", 20.0), &["- temperature 20 is no longer above 40"]),
            (120, Nothing, &[]),
        ],
    );
    let since: Vec<_> = said.iter().map(|alert| alert.since).collect();
    assert!(since.iter().all(|one| *one == Timestamp::from_millis(START)), "{since:?}");
    assert_eq!(said.last().map(|alert| alert.severity), Some(Severity::Critical));
}

#[test]
fn after_an_alert_there_is_quiet_for_the_cooldown() {
    let policy = Policy { cooldown: Duration::from_secs(3600), ..Policy::default() };
    run(
        &[with(policy)],
        &[
            (0, Is("temperature", 41.0), &["+ temperature 41 is above 40"]),
            (1, Is("temperature", 20.0), &["- temperature 20 is no longer above 40"]),
            (1, Is("temperature", 42.0), &[]),
            (1, Is("temperature", 20.0), &[]),
            (1, Is("temperature", 43.0), &[]),
            (60, Nothing, &["+ temperature 43 is above 40"]),
            (1, Is("temperature", 20.0), &["- temperature 20 is no longer above 40"]),
        ],
    );
}

#[test]
fn outside_of_its_hours_a_rule_says_nothing() {
    // It is Friday, midnight UTC.
    let hours = Hours::parse("Mon-Fri 01:00-02:00", "UTC").unwrap();
    let policy = Policy { between: Some(hours), ..Policy::default() };
    let said = run(
        &[with(policy)],
        &[
            (0, Is("temperature", 41.0), &[]),
            (61, Nothing, &["+ temperature 41 is above 40"]),
            (60, Nothing, &["- outside of the rule's hours"]),
            (1, Is("temperature", 20.0), &[]),
            (1, Is("temperature", 42.0), &[]),
            // Until Monday.
            (24 * 60 * 3, Nothing, &["+ temperature 42 is above 40", "- outside of the rule's hours"]),
            (1, Is("temperature", 20.0), &[]),
        ],
    );
    let since: Vec<_> = said.iter().map(|alert| alert.since.as_millis() - START).collect();
    assert_eq!(since, [HOUR, HOUR, 73 * HOUR, 73 * HOUR]);
}

#[test]
fn what_is_silenced_is_told_afterwards_if_it_still_holds() {
    let policy = Policy { remind: Some(Duration::from_secs(600)), ..Policy::default() };
    run(
        &[with(policy)],
        &[
            (0, Is("humidity", 1.0), &[]),
            (0, Event::Mute(30), &[]),
            (1, Is("temperature", 41.0), &[]),
            (1, Cellar("temperature", 41.0), &["+ temperature 41 is above 40"]),
            (1, Cellar("temperature", 21.0), &["- temperature 21 is no longer above 40"]),
            (28, Nothing, &["+ temperature 41 is above 40"]),
            (1, Event::Mute(60), &[]),
            (59, Nothing, &[]),
            (2, Nothing, &["again still, after 1h: temperature 41 is above 40"]),
            (1, Is("temperature", 20.0), &["- temperature 20 is no longer above 40"]),
        ],
    );
}

#[test]
fn silence_is_measured_by_the_usual_interval() {
    let auto = Conditions { silent_auto: true, ..Conditions::default() };
    let mut fixture = Fixture::new([RuleSpec { metric: None, ..rule("gone", auto) }]);
    for _ in 0..8 {
        assert!(fixture.then(5 * MINUTE, 20.0).is_empty());
    }
    assert!(fixture.wait(HOUR).is_empty(), "seven intervals say nothing yet");
    assert!(fixture.is(20.0).is_empty(), "the eighth is long: the median stays");
    let mut fixture = fixture.restart();
    assert!(fixture.then(5 * MINUTE, 20.0).is_empty());
    assert!(fixture.wait(15 * MINUTE - SECOND).is_empty());
    let said = fixture.wait(2 * SECOND);
    assert_eq!(said.iter().map(text).collect::<Vec<_>>(), ["+ lounge has been silent for 15m"]);
    assert_eq!(fixture.is(20.0).len(), 1);
}

#[test]
fn a_reload_keeps_what_is_raised_and_clears_what_has_no_rule() {
    let mut fixture = Fixture::new([
        when("co2 > 1000"),
        with(Policy { remind: Some(Duration::from_secs(600)), ..Policy::default() }),
    ]);
    assert_eq!(fixture.hear(LOUNGE, "co2", 1200.0, START, Score::NONE).len(), 1);
    assert_eq!(fixture.is(41.0).len(), 1);
    fixture.reconfigure([too_hot(), when("co2 > 1000")]);
    assert!(fixture.wait(HOUR).is_empty(), "no reminders any more, and nothing raised twice");
    assert_eq!(fixture.alerts.active_alerts().count(), 2);
    fixture.reconfigure([too_hot(), when("co2 > 1100")]);
    let said = fixture.wait(0);
    assert_eq!(said.iter().map(text).collect::<Vec<_>>(), ["- the rule busy no longer applies"]);
    assert_eq!(fixture.alerts.active_alerts().count(), 1);
}

#[test]
fn alerts_within_one_millisecond_have_times_of_their_own() {
    let mut fixture = Fixture::new([RuleSpec { clear_by: 0.0, ..too_hot() }]);
    let mut said = Vec::new();
    for _ in 0..5 {
        said.extend(fixture.is(41.0));
        said.extend(fixture.is(20.0));
        fixture = fixture.restart();
    }
    let since: Vec<_> = said.iter().map(|alert| alert.since.as_millis() - START).collect();
    assert_eq!(since, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    assert!(fixture.wait(HOUR).is_empty());
    assert!(fixture.alerts.next_deadline().is_none(), "nothing is remembered for ever");
}

#[test]
fn rules_of_the_first_form_are_read() {
    #[derive(serde::Serialize)]
    struct First<'a>(
        &'a str,
        Option<&'a str>,
        FirstConditions,
        Duration,
        f64,
        Severity,
        &'a [&'a str],
        &'a [&'a str],
    );
    type FirstConditions =
        (Option<f64>, Option<f64>, Option<f64>, Option<f64>, Duration, Option<Duration>, Option<f64>);
    let when = (Some(40.0), Some(5.0), None, None, Duration::ZERO, None, None);
    let first =
        First("too-hot", Some("temperature"), when, Duration::ZERO, 0.5, Severity::Critical, &[], &[]);
    let bytes = postcard::to_stdvec(&[first][..]).unwrap();
    let read: Vec<alerts::Rule> = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(read.first().map(alerts::Rule::spec), Some(&too_hot()));
    let again: Vec<alerts::Rule> = postcard::from_bytes(&postcard::to_stdvec(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}
