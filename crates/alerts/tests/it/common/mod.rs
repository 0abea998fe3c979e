//! A building under the eyes of some rules: its clock, its readings, and what was said of them.
#![allow(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::time::Duration;

use alerts::{Additions, Alerts, Conditions, DeviceSubject, Policy, Rule, RuleSpec, Subject};
use gateway_core::{
    Alert, AnomalyKind, Detail, DeviceId, MetricId, Now, Reading, Score, Severity, Summary, Timestamp,
};

/// 2026-11-20T00:00:00Z.
pub(crate) const START: i64 = 1_795_132_800_000;
pub(crate) const SECOND: i64 = 1000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// In the zone floor-1/lounge.
pub(crate) const LOUNGE: u32 = 0;
/// In no zone.
pub(crate) const CELLAR: u32 = 1;

const METRICS: [&str; 5] = ["temperature", "humidity", "contact", "co2", "occupancy"];

/// A gateway's clock and its alerts.
pub(crate) struct Fixture {
    pub(crate) alerts: Alerts,
    pub(crate) now: i64,
}

impl Fixture {
    pub(crate) fn new(rules: impl IntoIterator<Item = RuleSpec>) -> Self {
        Self { alerts: Alerts::new(checked(rules)), now: START }
    }

    /// With the anomaly model's own rule alone, at the threshold 0.5.
    pub(crate) fn judged(hold: Duration) -> Self {
        let mut alerts = Alerts::new(vec![Rule::anomaly(0.5).unwrap()]);
        alerts.set_hold(hold);
        Self { alerts, now: START }
    }

    pub(crate) fn time(&self) -> Now {
        Now::at(Timestamp::from_millis(self.now))
    }

    /// Asks what time alone has raised.
    pub(crate) fn advance(&mut self) -> Vec<Alert> {
        let mut out = Vec::new();
        self.alerts.advance(self.time(), &mut out);
        out
    }

    /// Lets the clock run, asking when it is due; what that raised and cleared.
    pub(crate) fn wait(&mut self, millis: i64) -> Vec<Alert> {
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

    /// Nobody listens, and the clock is set by `step` meanwhile; what that raises at once.
    pub(crate) fn away(&mut self, millis: i64, step: i64) -> Vec<Alert> {
        self.now += millis + step;
        self.alerts.was_away(Timestamp::from_millis(self.now - millis), self.time());
        self.wait(0)
    }

    /// One reading, measured at `at`, arriving now.
    pub(crate) fn hear(
        &mut self,
        device: u32,
        metric_name: &str,
        value: f64,
        at: i64,
        score: Score,
    ) -> Vec<Alert> {
        let DeviceSubject { device, device_name, zone } = device_subject(device);
        let metric = metric(metric_name);
        let subject = Subject { device, device_name, zone, metric, metric_name };
        let reading = Reading { device, metric, value, at: Timestamp::from_millis(at) };
        let mut out = Vec::new();
        self.alerts.observe(&subject, &reading, &score, self.time(), &mut out);
        out
    }

    /// The lounge's temperature, now.
    pub(crate) fn is(&mut self, value: f64) -> Vec<Alert> {
        self.hear(LOUNGE, "temperature", value, self.now, Score::NONE)
    }

    /// The lounge's temperature `millis` later.
    pub(crate) fn then(&mut self, millis: i64, value: f64) -> Vec<Alert> {
        let mut out = self.wait(millis);
        out.extend(self.is(value));
        out
    }

    /// The lounge's temperature `millis` later, with its score.
    pub(crate) fn scored(&mut self, millis: i64, value: f64, score: Score) -> Vec<Alert> {
        let mut out = self.wait(millis);
        out.extend(self.hear(LOUNGE, "temperature", value, self.now, score));
        out
    }

    /// A window of the lounge as a whole, `millis` later.
    pub(crate) fn window(&mut self, millis: i64, score: Score, values: &str) -> Vec<Alert> {
        let mut out = self.wait(millis);
        let at = Timestamp::from_millis(self.now - 5 * MINUTE);
        self.alerts.observe_device(&device_subject(LOUNGE), at, &score, values, self.time(), &mut out);
        out
    }

    /// A user acknowledges the lounge's anomalies.
    pub(crate) fn acknowledge(&mut self, metric_name: Option<&str>, hold: Duration) -> Vec<Alert> {
        let mut out = Vec::new();
        let now = self.time();
        self.alerts.acknowledge(DeviceId(LOUNGE), metric_name.map(metric), hold, now, &mut out);
        out
    }

    /// A window of a device has closed with this average of a metric.
    pub(crate) fn closed(&mut self, device: u32, metric_name: &str, avg: f64) -> Vec<Alert> {
        let detail = Detail::Gauge { first: avg, last: avg };
        let summary =
            Summary { avg, min: avg, max: avg, std: 0.0, count: 1, percentiles: Vec::new(), detail };
        let mut out = Vec::new();
        let (at, now) = (Timestamp::from_millis(self.now), self.time());
        let metrics = [(metric(metric_name), metric_name, &summary)];
        self.alerts.observe_window(&device_subject(device), at, metrics, now, &mut out);
        out
    }

    pub(crate) fn restart(self) -> Self {
        let bytes = postcard::to_stdvec(&(&self.alerts, self.alerts.additions())).unwrap();
        let (mut alerts, additions): (Alerts, Additions) = postcard::from_bytes(&bytes).unwrap();
        alerts.restore(additions);
        Self { alerts, now: self.now }
    }

    pub(crate) fn reconfigure(&mut self, rules: impl IntoIterator<Item = RuleSpec>) {
        self.alerts.reconfigure(checked(rules));
    }
}

fn metric(name: &str) -> MetricId {
    let index = METRICS.iter().position(|known| *known == name).unwrap();
    MetricId(u32::try_from(index).unwrap())
}

pub(crate) fn device_subject(device: u32) -> DeviceSubject<'static> {
    let (device_name, zone) =
        if device == LOUNGE { ("lounge", Some("floor-1/lounge")) } else { ("cellar", None) };
    DeviceSubject { device: DeviceId(device), device_name, zone }
}

/// A rule about temperatures.
pub(crate) fn rule(name: &str, when: Conditions) -> RuleSpec {
    RuleSpec {
        name: name.into(),
        metric: Some("temperature".into()),
        when,
        hold_for: Duration::ZERO,
        clear_by: 0.0,
        severity: Severity::Critical,
        devices: Vec::new(),
        zones: Vec::new(),
        expression: None,
        policy: Policy::default(),
    }
}

pub(crate) fn too_hot() -> RuleSpec {
    let when = Conditions { above: Some(40.0), below: Some(5.0), ..Conditions::default() };
    RuleSpec { clear_by: 0.5, ..rule("too-hot", when) }
}

/// The device as a whole, for 15 minutes.
pub(crate) fn silent() -> RuleSpec {
    let when = Conditions { silent_for: Some(Duration::from_secs(900)), ..Conditions::default() };
    RuleSpec { metric: None, ..rule("silent", when) }
}

pub(crate) fn checked(rules: impl IntoIterator<Item = RuleSpec>) -> Vec<Rule> {
    rules.into_iter().map(|spec| Rule::try_from(spec).unwrap()).collect()
}

/// A score where 20.123 to 22.444 was expected.
pub(crate) fn anomalous(value: f64, anomaly_kind: AnomalyKind) -> Score {
    Score { value, expected: Some((20.123, 22.444)), anomaly_kind: Some(anomaly_kind) }
}

pub(crate) fn messages(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| &*alert.message).collect()
}
