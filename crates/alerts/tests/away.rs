//! Hours in which nobody listened: the machine slept, or the gateway was stopped. Nobody is called silent for them, no
//! `for` ends by them, and what is raised stays raised.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use alerts::{Alerts, Conditions, RuleSpec, Subject};
use gateway_core::{Alert, AlertState, DeviceId, MetricId, Now, Reading, Score, Severity, Timestamp};

const START: i64 = 1_795_132_800_000;
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A gateway's clock and its alerts about one thermometer.
struct House {
    alerts: Alerts,
    now: i64,
}

impl House {
    fn new(rules: impl IntoIterator<Item = RuleSpec>) -> Self {
        let rules = rules.into_iter().map(|rule| rule.try_into().unwrap()).collect();
        Self { alerts: Alerts::new(rules), now: START }
    }

    fn time(&self) -> Now {
        Now::at(Timestamp::from_millis(self.now))
    }

    /// Listens, asking when it is asked to.
    fn wait(&mut self, millis: i64) -> Vec<Alert> {
        let (end, mut out) = (self.now + millis, Vec::new());
        loop {
            self.now = self.alerts.next_deadline().map_or(end, |due| due.as_millis().clamp(self.now, end));
            self.alerts.advance(self.time(), &mut out);
            if self.now == end {
                return out;
            }
            self.now += 1;
        }
    }

    /// Nobody listens, and the clock is set by `step` meanwhile; what that raises at once.
    fn away(&mut self, millis: i64, step: i64) -> Vec<Alert> {
        self.now += millis + step;
        self.alerts.was_away(Timestamp::from_millis(self.now - millis), self.time());
        self.wait(0)
    }

    fn hear(&mut self, value: f64) -> Vec<Alert> {
        self.hear_of(value, self.now)
    }

    fn hear_of(&mut self, value: f64, at: i64) -> Vec<Alert> {
        let (device, metric) = (DeviceId(0), MetricId(0));
        let subject =
            Subject { device, device_name: "lounge", zone: None, metric, metric_name: "temperature" };
        let reading = Reading { device, metric, value, at: Timestamp::from_millis(at) };
        let mut out = Vec::new();
        self.alerts.observe(&subject, &reading, &Score::NONE, self.time(), &mut out);
        out
    }
}

fn rule(name: &str, when: Conditions) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        metric: Some("temperature".into()),
        when,
        hold_for: Duration::ZERO,
        clear_by: 0.0,
        severity: Severity::Warning,
        devices: Vec::new(),
        zones: Vec::new(),
    }
}

fn silent_for_15m() -> [RuleSpec; 2] {
    let when = Conditions { silent_for: Some(Duration::from_secs(900)), ..Conditions::default() };
    [RuleSpec { metric: None, ..rule("silent", when) }, rule("no-temperature", when)]
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
        let mut house = House::new(silent_for_15m());
        house.hear(20.0);
        assert!(house.wait(14 * MINUTE).is_empty());
        assert!(house.away(8 * HOUR, step).is_empty(), "step {step}");
        assert!(house.wait(15 * MINUTE - 1).is_empty(), "step {step}");
        assert_eq!(house.wait(1).len(), 2, "step {step}: silent all the same");
    }
}

#[test]
fn a_gateway_that_restarts_again_and_again_notices_who_is_silent() {
    let mut house = House::new(silent_for_15m());
    house.hear(20.0);
    for _ in 0..14 {
        assert!(house.wait(MINUTE).is_empty());
        assert!(house.away(20 * SECOND, 0).is_empty());
    }
    assert!(house.wait(MINUTE - 1).is_empty(), "it listened for 15 minutes less a millisecond");
    assert_eq!(house.wait(1).len(), 2);
}

#[test]
fn what_is_raised_stays_raised_and_is_not_raised_again() {
    for step in STEPS {
        let mut house = House::new(silent_for_15m().into_iter().chain([hot()]));
        assert_eq!(house.hear(41.0).len(), 1);
        assert_eq!(house.wait(15 * MINUTE).len(), 2);
        assert!(house.away(8 * HOUR, step).is_empty());
        assert!(house.wait(HOUR).is_empty());
        assert_eq!(house.alerts.raised().count(), 3, "step {step}");
        let cleared = house.hear(41.0);
        assert!(cleared.iter().all(|alert| alert.state == AlertState::Cleared), "step {step}");
        assert_eq!(cleared.len(), 2, "heard again, and still as hot: step {step}");
    }
}

#[test]
fn hours_that_nobody_watched_are_no_part_of_a_for() {
    for step in STEPS {
        let mut house = House::new([hot_for_10m()]);
        house.hear(41.0);
        assert!(house.wait(6 * MINUTE).is_empty());
        assert!(house.away(8 * HOUR, step).is_empty(), "step {step}");
        assert!(house.wait(4 * MINUTE - 1).is_empty(), "step {step}");
        assert_eq!(house.wait(1).len(), 1, "6 minutes before, 4 after: step {step}");
    }
}

#[test]
fn a_reading_on_waking_does_not_end_a_for_either() {
    for step in [0, HOUR] {
        let mut house = House::new([hot_for_10m()]);
        house.hear(41.0);
        assert!(house.wait(6 * MINUTE).is_empty());
        assert!(house.away(8 * HOUR, step).is_empty());
        assert!(house.hear(42.0).is_empty(), "step {step}");
        assert!(house.wait(4 * MINUTE - 1).is_empty(), "step {step}");
        let raised = house.hear_of(43.0, house.now + 1);
        assert_eq!((raised.len(), raised[0].value), (1, Some(43.0)), "step {step}");
    }
}

#[test]
fn a_clock_that_is_set_forward_does_not_end_a_for() {
    let mut house = House::new([hot_for_10m()]);
    house.hear(41.0);
    assert!(house.wait(6 * MINUTE).is_empty());
    house.now += HOUR;
    assert!(house.hear(42.0).is_empty());
    assert!(house.wait(4 * MINUTE - 1).is_empty());
    assert_eq!(house.wait(1).len(), 1);
}

#[test]
fn what_a_device_kept_while_nobody_listened_raises_in_time() {
    let mut house = House::new([hot_for_10m()]);
    let asleep = house.now;
    house.hear(41.0);
    assert!(house.away(8 * HOUR, 0).is_empty());
    let mut raised = Vec::new();
    for minute in 1..=8 * 60 {
        raised.extend(house.hear_of(41.0, asleep + minute * MINUTE));
    }
    raised.extend(house.wait(10 * MINUTE));
    assert_eq!(raised.len(), 1, "no later than `for` after waking");
}
