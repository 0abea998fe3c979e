//! Rules over time: what is said when, on one building with a few devices.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use alerts::{Alerts, Conditions, Rule, RuleSpec, Subject};
use gateway_core::{
    Alert, AlertKind, AlertState, DeviceId, MetricId, Now, Oddity, Reading, Score, Severity, Timestamp,
};

const START: i64 = 1_795_132_800_000;
const LOUNGE: u32 = 0;
const CELLAR: u32 = 1;

/// A gateway's clock and its alerts; readings come from `lounge` (zone floor-1/lounge) and `cellar` (no zone).
struct Timeline {
    alerts: Alerts,
    now: i64,
}

impl Timeline {
    fn new(rules: impl IntoIterator<Item = RuleSpec>) -> Self {
        Self { alerts: Alerts::new(checked(rules)), now: START }
    }

    fn time(&self) -> Now {
        Now::at(Timestamp::from_millis(self.now))
    }

    /// Lets the clock run, asking as often as it is asked to; what that raised and cleared.
    fn wait(&mut self, secs: i64) -> Vec<Alert> {
        let (end, mut out) = (self.now + secs * 1000, Vec::new());
        loop {
            let due = self.alerts.next_deadline().map_or(end, |due| due.as_millis().clamp(self.now, end));
            self.now = due;
            self.alerts.advance(self.time(), &mut out);
            if due == end {
                return out;
            }
            self.now = (self.now + 1).min(end);
        }
    }

    fn hear(&mut self, device: u32, metric: &str, value: f64, at: i64, score: Score) -> Vec<Alert> {
        let (device_name, zone) =
            if device == LOUNGE { ("lounge", Some("floor-1/lounge")) } else { ("cellar", None) };
        let metrics = ["temperature", "humidity"];
        let id = metrics.iter().position(|name| *name == metric).unwrap();
        let (device, id) = (DeviceId(device), MetricId(u32::try_from(id).unwrap()));
        let subject = Subject { device, device_name, zone, metric: id, metric_name: metric };
        let reading = Reading { device, metric: id, value, at: Timestamp::from_millis(at) };
        let mut out = Vec::new();
        self.alerts.observe(&subject, &reading, &score, self.time(), &mut out);
        out
    }

    /// The lounge's temperature, now.
    fn is(&mut self, value: f64) -> Vec<Alert> {
        self.hear(LOUNGE, "temperature", value, self.now, Score::NONE)
    }

    /// The lounge's temperature `secs` later.
    fn then(&mut self, secs: i64, value: f64) -> Vec<Alert> {
        let mut out = self.wait(secs);
        out.extend(self.is(value));
        out
    }

    /// An odd temperature `secs` later.
    fn scored(&mut self, secs: i64, value: f64, score: f64) -> Vec<Alert> {
        let mut out = self.wait(secs);
        let score = Score { value: score, expected: Some((20.123, 22.444)), oddity: Some(Oddity::Profile) };
        out.extend(self.hear(LOUNGE, "temperature", value, self.now, score));
        out
    }

    fn restart(self) -> Self {
        let bytes = postcard::to_stdvec(&self.alerts).unwrap();
        Self { alerts: postcard::from_bytes(&bytes).unwrap(), now: self.now }
    }
}

fn rule(name: &str, when: Conditions) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        metric: Some("temperature".into()),
        when,
        hold_for: Duration::ZERO,
        clear_by: 0.0,
        severity: Severity::Critical,
        devices: Vec::new(),
        zones: Vec::new(),
    }
}

fn too_hot() -> RuleSpec {
    let when = Conditions { above: Some(40.0), below: Some(5.0), ..Conditions::default() };
    RuleSpec { clear_by: 0.5, ..rule("too-hot", when) }
}

fn silent() -> RuleSpec {
    let when = Conditions { silent_for: Some(Duration::from_secs(900)), ..Conditions::default() };
    RuleSpec { metric: None, ..rule("silent", when) }
}

fn checked(rules: impl IntoIterator<Item = RuleSpec>) -> Vec<Rule> {
    rules.into_iter().map(|spec| Rule::try_from(spec).unwrap()).collect()
}

fn messages(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| &*alert.message).collect()
}

#[test]
fn a_threshold_is_raised_once_and_cleared_behind_its_hysteresis() {
    let mut time = Timeline::new([too_hot()]);
    assert!(time.is(40.0).is_empty());
    let raised = time.then(60, 41.2);
    assert_eq!(messages(&raised), ["temperature 41.2 is above 40"]);
    assert!(time.then(60, 55.0).is_empty());
    assert!(time.then(60, 39.6).is_empty());
    let cleared = time.then(60, 39.5);
    assert_eq!(messages(&cleared), ["temperature 39.5 is no longer above 40"]);

    let (raised, cleared) = (&raised[0], &cleared[0]);
    assert_eq!((raised.kind, raised.state), (AlertKind::Threshold, AlertState::Raised));
    assert_eq!((cleared.kind, cleared.state), (AlertKind::Threshold, AlertState::Cleared));
    assert_eq!((raised.severity, raised.value, raised.score), (Severity::Critical, Some(41.2), None));
    assert_eq!((raised.since, raised.at), (Timestamp::from_millis(START + 60_000), raised.since));
    assert_eq!(cleared.since, raised.since);
    assert_eq!(cleared.at, Timestamp::from_millis(START + 240_000));
    assert!(time.then(60, 39.9).is_empty());
}

#[test]
fn without_hysteresis_the_limit_itself_clears() {
    let mut time = Timeline::new([RuleSpec { clear_by: 0.0, ..too_hot() }]);
    assert_eq!(time.is(40.1).len(), 1);
    assert_eq!(messages(&time.then(1, 40.0)), ["temperature 40 is no longer above 40"]);
}

#[test]
fn below_mirrors_above() {
    let mut time = Timeline::new([too_hot()]);
    assert!(time.is(5.0).is_empty());
    assert_eq!(messages(&time.then(60, 4.9)), ["temperature 4.9 is below 5"]);
    assert!(time.then(60, 5.4).is_empty());
    assert_eq!(messages(&time.then(60, 5.5)), ["temperature 5.5 is no longer below 5"]);
}

#[test]
fn clear_by_is_reached_in_decimals_too() {
    let clears_at = |when, clear_by, values: [f64; 3]| {
        let mut time = Timeline::new([RuleSpec { clear_by, ..rule("edge", when) }]);
        values.map(|value| time.then(1, value).len())
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
    let mut time = Timeline::new([RuleSpec { hold_for: Duration::from_secs(300), ..too_hot() }]);
    assert!(time.is(41.0).is_empty());
    assert!(time.then(240, 41.0).is_empty());
    assert!(time.then(30, 39.8).is_empty(), "nothing was raised that could be cleared");
    assert!(time.then(30, 41.0).is_empty());
    assert!(time.then(299, 41.0).is_empty());
    time.now += 1000;
    let raised = time.is(42.0);
    assert_eq!(messages(&raised), ["temperature 42 is above 40"]);
    assert_eq!(raised[0].since, raised[0].at);
    assert!(time.wait(600).is_empty(), "the clock does not raise it again");
}

#[test]
fn a_straggler_neither_raises_nor_clears() {
    let mut time = Timeline::new([too_hot()]);
    assert!(time.is(20.0).is_empty());
    assert!(time.hear(LOUNGE, "temperature", 50.0, START - 1, Score::NONE).is_empty());
    assert_eq!(time.then(60, 50.0).len(), 1);
    for _ in 0..10 {
        assert!(time.hear(LOUNGE, "temperature", 20.0, START + 1, Score::NONE).is_empty());
    }
    assert_eq!(time.then(60, 20.0).len(), 1);
}

#[test]
fn a_device_whose_clock_ran_ahead_is_believed_again_after_three_readings() {
    let mut time = Timeline::new([too_hot()]);
    assert!(time.hear(LOUNGE, "temperature", 20.0, START + 3_000_000, Score::NONE).is_empty());
    assert!(time.then(1, 50.0).is_empty());
    assert!(time.then(1, 50.0).is_empty());
    assert_eq!(time.then(1, 50.0).len(), 1);
}

#[test]
fn a_rise_is_measured_from_the_lowest_of_the_stretch() {
    let when = Conditions { rises_by: Some(6.0), within: Duration::from_secs(600), ..Conditions::default() };
    let mut time = Timeline::new([RuleSpec { clear_by: 1.0, ..rule("fire", when) }]);
    for value in [21.0, 20.0, 22.0, 24.0] {
        assert!(time.then(120, value).is_empty());
    }
    let raised = time.then(120, 26.1);
    assert_eq!(messages(&raised), ["temperature rose by 6.1 within 10m"]);
    assert_eq!(raised[0].kind, AlertKind::Rate);
    assert!(time.then(30, 25.1).is_empty(), "5.1 is still within the hysteresis");
    assert_eq!(messages(&time.then(30, 25.0)), ["temperature 25 no longer rises by 6 within 10m"]);

    let mut slow = Timeline::new([rule("fire", when)]);
    for minute in 0..600 {
        assert!(slow.then(60, f64::from(minute) * 0.5).is_empty(), "5 in ten minutes");
    }
}

#[test]
fn a_fall_is_measured_from_the_highest() {
    let when = Conditions { falls_by: Some(3.0), within: Duration::from_secs(600), ..Conditions::default() };
    let mut time = Timeline::new([rule("window-open", when)]);
    assert!(time.is(21.0).is_empty());
    assert_eq!(messages(&time.then(300, 17.5)), ["temperature fell by 3.5 within 10m"]);
    assert_eq!(messages(&time.then(400, 17.0)).len(), 1, "the 21 is too long ago");
}

#[test]
fn a_fall_clears_at_its_hysteresis() {
    let when = Conditions { falls_by: Some(3.0), within: Duration::from_secs(600), ..Conditions::default() };
    let mut time = Timeline::new([RuleSpec { clear_by: 1.0, ..rule("window-open", when) }]);
    assert!(time.is(21.0).is_empty());
    assert_eq!(time.then(10, 18.0).len(), 1);
    assert!(time.then(10, 18.9).is_empty());
    assert_eq!(messages(&time.then(10, 19.0)), ["temperature 19 no longer falls by 3 within 10m"]);
}

#[test]
fn a_silent_device_is_raised_by_the_clock_and_cleared_by_its_next_word() {
    let mut time = Timeline::new([silent()]);
    assert!(time.is(20.0).is_empty());
    assert!(time.wait(899).is_empty());
    let raised = time.wait(1);
    assert_eq!(messages(&raised), ["lounge has been silent for 15m"]);
    assert_eq!((raised[0].kind, raised[0].metric, raised[0].value), (AlertKind::Silent, None, None));
    assert!(time.wait(9000).is_empty());
    let cleared = time.is(20.0);
    assert_eq!(messages(&cleared), ["lounge is heard again"]);
    assert_eq!(cleared[0].since, raised[0].since);
    assert_eq!(time.wait(900).len(), 1);
}

#[test]
fn any_metric_breaks_a_devices_silence_but_not_another_metrics() {
    let metric = RuleSpec { metric: Some("temperature".into()), name: "no-temperature".into(), ..silent() };
    let mut time = Timeline::new([silent(), metric]);
    assert!(time.is(20.0).is_empty());
    assert!(time.wait(600).is_empty());
    assert!(time.hear(LOUNGE, "humidity", 50.0, time.now, Score::NONE).is_empty());
    let raised = time.wait(600);
    assert_eq!(messages(&raised), ["lounge's temperature has been silent for 15m"]);
    assert_eq!(raised[0].metric, Some(MetricId(0)));
}

#[test]
fn a_straggler_shows_that_its_device_is_alive() {
    let mut time = Timeline::new([silent()]);
    time.is(20.0);
    assert!(time.wait(800).is_empty());
    time.hear(LOUNGE, "temperature", 20.0, START - 1000, Score::NONE);
    assert!(time.wait(800).is_empty());
}

#[test]
fn nobody_is_called_silent_for_the_time_the_gateway_was_away() {
    let mut time = Timeline::new([silent()]);
    time.is(20.0);
    assert!(time.wait(600).is_empty());
    let mut time = time.restart();
    time.now += 7_200_000;
    assert!(time.wait(299).is_empty(), "600 s were silent before, 299 after");
    assert_eq!(time.wait(1).len(), 1);
}

#[test]
fn a_clock_that_is_set_calls_nobody_silent_and_hides_no_silence() {
    for jump in [56 * 365 * 86_400_000, 3_600_000, -3_600_000, -60_000] {
        let mut time = Timeline::new([silent()]);
        time.is(20.0);
        assert!(time.wait(600).is_empty());
        time.now += jump;
        assert!(time.wait(0).is_empty(), "jump {jump}");
        assert!(time.wait(299).is_empty(), "jump {jump}");
        assert_eq!(time.wait(1).len(), 1, "jump {jump}");
    }
}

#[test]
fn an_anomaly_clears_after_three_ordinary_readings_and_rests_five_minutes() {
    let mut time = Timeline::new([]);
    time.alerts = Alerts::new(vec![Rule::anomaly(0.5).unwrap()]);
    assert!(time.scored(1, 21.0, 0.49).is_empty());
    let raised = time.scored(1, 85.0, 0.97);
    assert_eq!(messages(&raised), ["temperature 85 is far from the usual 20.12 to 22.44"]);
    assert_eq!((&*raised[0].rule, raised[0].kind), ("anomaly", AlertKind::Anomaly));
    assert_eq!((raised[0].severity, raised[0].score), (Severity::Warning, Some(0.97)));

    let ordinary = |time: &mut Timeline| time.scored(1, 21.0, 0.0);
    assert!(ordinary(&mut time).is_empty() && ordinary(&mut time).is_empty());
    assert!(time.scored(1, 85.0, 0.9).is_empty());
    assert!(ordinary(&mut time).is_empty() && ordinary(&mut time).is_empty());
    let cleared = ordinary(&mut time);
    assert_eq!(messages(&cleared), ["temperature 21 is as usual again"]);
    assert_eq!(cleared[0].since, raised[0].since);

    assert!(time.scored(200, 85.0, 0.97).is_empty(), "within five minutes of the last");
    assert_eq!(time.scored(100, 85.0, 0.97).len(), 1);
}

#[test]
fn a_stuck_sensor_is_described_as_such() {
    let mut time = Timeline::new([]);
    time.alerts = Alerts::new(vec![Rule::anomaly(0.5).unwrap()]);
    let stuck = Score { value: 0.6, expected: None, oddity: Some(Oddity::Stuck) };
    let raised = time.hear(LOUNGE, "temperature", 21.3, START, stuck);
    assert_eq!(messages(&raised), ["temperature has been exactly 21.3 for unusually long"]);
}

#[test]
fn a_restart_raises_nothing_twice_and_forgets_nothing() {
    let hold = RuleSpec { name: "long".into(), hold_for: Duration::from_secs(300), ..too_hot() };
    let mut time = Timeline::new([too_hot(), hold]);
    let raised = time.is(50.0);
    assert_eq!(raised.len(), 1);
    assert!(time.then(200, 50.0).is_empty());
    let mut time = time.restart();
    let long = time.then(100, 50.0);
    assert_eq!((long.len(), &*long[0].rule), (1, "long"));
    let cleared = time.then(1, 20.0);
    assert_eq!((cleared.len(), cleared[0].since), (2, raised[0].since));
}

#[test]
fn a_restart_at_any_reading_changes_nothing() {
    let rate = Conditions { rises_by: Some(3.0), within: Duration::from_secs(300), ..Conditions::default() };
    let rules = || [too_hot(), silent(), rule("rate", rate)];
    let values = [20.0, 22.0, 25.5, 41.0, 41.0, 39.7, 39.0, 20.0, 4.0, 6.0];
    let run = |restart_before: Option<usize>| {
        let (mut time, mut out) = (Timeline::new(rules()), Vec::new());
        for (index, value) in values.into_iter().enumerate() {
            if restart_before == Some(index) {
                time = time.restart();
            }
            out.extend(time.then(if index == 5 { 1000 } else { 60 }, value));
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
    let mut time = Timeline::new([other(), too_hot()]);
    let raised = time.is(50.0);
    assert_eq!(raised.len(), 2);

    let hotter = Conditions { above: Some(45.0), ..Conditions::default() };
    time.alerts.reconfigure(checked([rule("new", hotter), too_hot()]));
    let gone = time.wait(1);
    assert_eq!(messages(&gone), ["the rule other no longer applies"]);
    assert_eq!((gone[0].state, gone[0].since), (AlertState::Cleared, raised[0].since));
    let new = time.then(1, 50.0);
    assert_eq!((new.len(), &*new[0].rule), (1, "new"), "too-hot is not raised again");
    assert_eq!(time.then(1, 20.0).len(), 2);
}

#[test]
fn a_rule_that_no_longer_speaks_of_a_device_clears_its_alert() {
    let mut time = Timeline::new([too_hot()]);
    assert_eq!(time.is(50.0).len(), 1);
    time.alerts.reconfigure(checked([RuleSpec { devices: vec!["cellar".into()], ..too_hot() }]));
    assert!(time.is(50.0).is_empty());
    assert_eq!(messages(&time.wait(1)), ["the rule too-hot no longer applies"]);
    assert_eq!(time.alerts.next_deadline(), None);
}

#[test]
fn raised_lists_what_is_out() {
    let mut time = Timeline::new([too_hot(), silent()]);
    time.is(50.0);
    time.wait(1000);
    let raised: Vec<_> =
        time.alerts.raised().map(|(rule, device, metric)| (&**rule, device.0, metric)).collect();
    assert_eq!(raised, [("silent", LOUNGE, None), ("too-hot", LOUNGE, Some(MetricId(0)))]);
}

#[test]
fn devices_zones_and_metrics_choose_the_series() {
    let heard = |spec: RuleSpec| {
        let mut time = Timeline::new([spec]);
        let mut raised = |device, metric| !time.hear(device, metric, 50.0, START, Score::NONE).is_empty();
        [raised(LOUNGE, "temperature"), raised(LOUNGE, "humidity"), raised(CELLAR, "temperature")]
    };
    let globs = |text: &str| vec![text.to_owned()];
    assert_eq!(heard(too_hot()), [true, false, true]);
    assert_eq!(heard(RuleSpec { zones: globs("floor-1/*"), ..too_hot() }), [true, false, false]);
    assert_eq!(heard(RuleSpec { zones: globs("*"), ..too_hot() }), [true, false, true]);
    assert_eq!(heard(RuleSpec { devices: globs("cell*"), ..too_hot() }), [false, false, true]);
    assert_eq!(heard(RuleSpec { devices: globs("lo?nge"), ..too_hot() }), [true, false, false]);
    assert_eq!(
        heard(RuleSpec { devices: globs("cellar"), zones: globs("floor-1/*"), ..too_hot() }),
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
