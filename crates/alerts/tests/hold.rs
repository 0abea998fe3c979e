//! `for`, where the clock raises what no later reading confirms: devices that only speak when something changes.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use alerts::{Alerts, Conditions, RuleSpec, Subject};
use gateway_core::{
    Alert, AlertKind, AlertState, DeviceId, MetricId, Now, Oddity, Reading, Score, Severity, Timestamp,
};

const START: i64 = 1_795_132_800_000;
const MINUTE: i64 = 60_000;

/// A gateway's clock and its alerts; contacts say 1 when a window is opened and 0 when it is closed.
struct House {
    alerts: Alerts,
    now: i64,
}

impl House {
    fn new(rule: RuleSpec) -> Self {
        Self { alerts: Alerts::new(vec![rule.try_into().unwrap()]), now: START }
    }

    fn advance(&mut self) -> Vec<Alert> {
        let mut out = Vec::new();
        self.alerts.advance(Now::at(Timestamp::from_millis(self.now)), &mut out);
        out
    }

    /// Lets the clock run, asking when it is asked to.
    fn wait(&mut self, millis: i64) -> Vec<Alert> {
        let (end, mut out) = (self.now + millis, Vec::new());
        loop {
            self.now = self.alerts.next_deadline().map_or(end, |due| due.as_millis().clamp(self.now, end));
            out.extend(self.advance());
            if self.now == end {
                return out;
            }
            self.now += 1;
        }
    }

    /// A reading of device `id`, measured `late` milliseconds ago.
    fn hear(&mut self, id: u32, value: f64, late: i64, score: Score) -> Vec<Alert> {
        let (device, metric) = (DeviceId(id), MetricId(0));
        let device_name = if id == 0 { "lounge" } else { "cellar" };
        let subject = Subject { device, device_name, zone: None, metric, metric_name: "contact" };
        let reading = Reading { device, metric, value, at: Timestamp::from_millis(self.now - late) };
        let mut out = Vec::new();
        let now = Now::at(Timestamp::from_millis(self.now));
        self.alerts.observe(&subject, &reading, &score, now, &mut out);
        out
    }

    fn is(&mut self, value: f64) -> Vec<Alert> {
        self.hear(0, value, 0, Score::NONE)
    }

    fn restart(self) -> Self {
        let bytes = postcard::to_stdvec(&self.alerts).unwrap();
        Self { alerts: postcard::from_bytes(&bytes).unwrap(), now: self.now }
    }

    fn reconfigure(&mut self, rule: RuleSpec) {
        self.alerts.reconfigure(vec![rule.try_into().unwrap()]);
    }
}

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

#[test]
fn one_reading_is_enough_when_nothing_says_otherwise() {
    let mut house = House::new(open());
    assert!(house.is(1.0).is_empty());
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

    assert!(house.is(1.0).is_empty(), "it is out already");
    assert!(house.wait(60 * MINUTE).is_empty());
    let cleared = house.is(0.0);
    assert_eq!((cleared.len(), cleared[0].since), (1, alert.since));
    assert!(house.wait(60 * MINUTE).is_empty());
}

#[test]
fn it_counts_from_arrival_and_tells_the_time_it_fell_due_and_the_last_value() {
    let mut house = House::new(open());
    assert!(house.hear(0, 1.0, 60 * MINUTE, Score::NONE).is_empty(), "an hour on its way");
    assert!(house.wait(5 * MINUTE).is_empty());
    assert!(house.hear(0, 2.0, 64 * MINUTE, Score::NONE).is_empty());
    assert!(house.wait(5 * MINUTE - 1).is_empty());
    house.now += 20_000;
    let raised = house.advance();
    assert_eq!((raised.len(), raised[0].value), (1, Some(2.0)));
    assert_eq!(raised[0].at, Timestamp::from_millis(START + 10 * MINUTE), "although asked late");
}

#[test]
fn a_reading_that_says_otherwise_ends_the_wait_but_a_straggler_does_not() {
    let mut house = House::new(open());
    house.is(1.0);
    assert!(house.wait(9 * MINUTE).is_empty());
    assert!(house.is(0.0).is_empty());
    assert!(house.wait(60 * MINUTE).is_empty());
    assert_eq!(house.alerts.next_deadline(), None);

    house.is(1.0);
    assert!(house.wait(9 * MINUTE).is_empty());
    assert!(house.hear(0, 0.0, 30 * MINUTE, Score::NONE).is_empty());
    assert_eq!(house.wait(MINUTE).len(), 1);
}

#[test]
fn each_series_falls_due_by_itself() {
    let mut house = House::new(open());
    house.is(1.0);
    assert!(house.wait(3 * MINUTE).is_empty());
    house.hear(1, 1.0, 0, Score::NONE);
    let devices = |alerts: &[Alert]| alerts.iter().map(|alert| alert.device.0).collect::<Vec<_>>();
    assert_eq!(devices(&house.wait(7 * MINUTE)), [0]);
    assert!(house.wait(3 * MINUTE - 1).is_empty());
    assert_eq!(devices(&house.wait(1)), [1]);
}

#[test]
fn without_for_nothing_waits_for_the_clock() {
    let mut house = House::new(RuleSpec { hold_for: Duration::ZERO, ..open() });
    assert_eq!(house.is(1.0).len(), 1);
    assert_eq!(house.alerts.next_deadline(), None);
}

#[test]
fn time_that_the_gateway_was_away_or_its_clock_was_set_by_does_not_count() {
    for jump in [56 * 365 * 24 * 60 * MINUTE, 120 * MINUTE, -60 * MINUTE, -MINUTE] {
        for heard_before_advance in [false, true] {
            let mut house = House::new(open());
            house.is(1.0);
            assert!(house.wait(6 * MINUTE).is_empty());
            let mut house = house.restart();
            house.now += jump;
            if heard_before_advance {
                house.hear(1, 0.0, 0, Score::NONE);
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
    let mut house = House::new(open());
    house.is(1.0);
    assert!(house.wait(6 * MINUTE).is_empty());
    house.reconfigure(RuleSpec { severity: Severity::Critical, ..open() });
    assert!(house.wait(4 * MINUTE - 1).is_empty());
    assert_eq!(house.wait(1).len(), 1);

    let mut house = House::new(open());
    house.is(1.0);
    assert!(house.wait(6 * MINUTE).is_empty());
    house.reconfigure(RuleSpec { hold_for: Duration::from_secs(420), ..open() });
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
        let mut house = House::new(open());
        house.is(1.0);
        house.reconfigure(other);
        assert!(house.wait(60 * MINUTE).is_empty());
    }
}

#[test]
fn an_anomaly_that_falls_due_rests_five_minutes_after_the_last() {
    let when = Conditions { anomaly: Some(0.5), ..Conditions::default() };
    let mut house = House::new(RuleSpec { when, hold_for: Duration::from_secs(60), ..open() });
    let odd = Score { value: 0.9, expected: Some((1.0, 2.0)), oddity: Some(Oddity::Profile) };
    let stuck = Score { value: 0.8, expected: None, oddity: Some(Oddity::Stuck) };
    assert!(house.hear(0, 7.0, 0, odd).is_empty());
    let raised = house.wait(MINUTE);
    assert_eq!((raised.len(), raised[0].score), (1, Some(0.9)));
    assert_eq!(&*raised[0].message, "contact 7 is far from the usual 1 to 2");
    for cleared in [0, 0, 1] {
        assert!(house.wait(1000).is_empty());
        assert_eq!(house.is(1.0).len(), cleared);
    }
    assert!(house.hear(0, 7.0, 0, stuck).is_empty());
    assert!(house.wait(5 * MINUTE - 3001).is_empty());
    let again = house.wait(1);
    assert_eq!(again.len(), 1);
    assert_eq!(&*again[0].message, "contact has been exactly 7 for unusually long");
    assert_eq!(again[0].at.since(raised[0].at), Duration::from_secs(300));
}
