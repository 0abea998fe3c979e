//! Devices and alerts as the API shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{AlertKind, MetricKind, Severity, Timestamp};
use history::StoredAlert;
use read_model::{ActionOutcome, Device, OpenAlert, ReadModel, Series};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::site::Site;

/// A device, and the newest value of each of its metrics.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    /// The kind of the adapter that received it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<String>,
    /// Whether a `[devices.*]` table names it.
    pub(crate) named: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// By the gateway's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_heard: Option<String>,
    pub(crate) state: DeviceState,
    /// Of the worst open alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) severity: Option<&'static str>,
    /// In percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) battery: Option<f64>,
    #[serde(skip_serializing_if = "Link::is_empty")]
    pub(crate) link: Link,
    pub(crate) metrics: BTreeMap<String, MetricView>,
}

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeviceState {
    Ok,
    /// It has an open alert.
    Alert,
    /// Not heard since the gateway was started.
    Unheard,
}

/// How well a device is received.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Link {
    /// In dBm.
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi: Option<f64>,
    /// In dB.
    #[serde(skip_serializing_if = "Option::is_none")]
    snr: Option<f64>,
    /// Zigbee's, 0 to 255.
    #[serde(skip_serializing_if = "Option::is_none")]
    linkquality: Option<f64>,
}

impl Link {
    const fn is_empty(&self) -> bool {
        self.rssi.is_none() && self.snr.is_none() && self.linkquality.is_none()
    }
}

/// The newest value of a metric.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct MetricView {
    pub(crate) value: f64,
    /// SenML's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    pub(crate) time: String,
    /// `gauge`, `counter` or `state`.
    pub(crate) kind: &'static str,
    /// The severity of the worst alert that is open for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) raised: Option<&'static str>,
}

impl MetricView {
    fn of(series: &Series) -> Self {
        Self {
            value: series.value,
            unit: series.unit.as_deref().map(str::to_owned),
            time: series.at.to_string(),
            kind: kind(series.kind),
            raised: series.raised.map(Severity::as_str),
        }
    }
}

pub(crate) const fn kind(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Counter => "counter",
        MetricKind::State => "state",
    }
}

/// The worst open alert of each device.
pub(crate) type Worst = BTreeMap<Arc<str>, Severity>;

pub(crate) fn worst(alerts: &[Arc<OpenAlert>]) -> Worst {
    let mut worst = Worst::new();
    for alert in alerts {
        let entry = worst.entry(Arc::clone(&alert.device)).or_insert(alert.severity);
        *entry = (*entry).max(alert.severity);
    }
    worst
}

/// How the device is, and its worst alert.
pub(crate) fn state(device: &Device, worst: &Worst) -> (DeviceState, Option<Severity>) {
    match (worst.get(&device.name), device.last_heard) {
        (Some(severity), _) => (DeviceState::Alert, Some(*severity)),
        (None, Some(_)) => (DeviceState::Ok, None),
        (None, None) => (DeviceState::Unheard, None),
    }
}

impl DeviceView {
    pub(crate) fn of(device: &Device, site: &Site, worst: &Worst) -> Self {
        let (state, severity) = state(device, worst);
        let address = site.named.get(&*device.name);
        let value = |metric| device.get(metric).map(|series| series.value);
        Self {
            name: device.name.to_string(),
            zone: device.zone.as_deref().map(str::to_owned),
            protocol: device.protocol.as_deref().map(str::to_owned),
            named: address.is_some(),
            address: address.cloned(),
            last_heard: device.last_heard.map(|at| at.to_string()),
            state,
            severity: severity.map(Severity::as_str),
            battery: value("battery"),
            link: Link { rssi: value("rssi"), snr: value("snr"), linkquality: value("linkquality") },
            metrics: device.series().iter().map(|one| (one.name.to_string(), MetricView::of(one))).collect(),
        }
    }
}

/// An alert, open or past.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct AlertView {
    /// The same while it is raised and when it is cleared.
    pub(crate) id: String,
    /// The rule's name.
    pub(crate) alert: String,
    pub(crate) device: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metric: Option<String>,
    pub(crate) kind: String,
    pub(crate) severity: String,
    /// `raised`, `acknowledged` or `cleared`.
    pub(crate) state: String,
    /// When it was raised, in event time.
    pub(crate) time: String,
    /// When it was cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cleared: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<f64>,
    /// The lowest and highest normal value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<(f64, f64)>,
    /// The limit that the value passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<f64>,
    /// One line for people.
    pub(crate) message: String,
    /// Whether `POST /api/v1/alerts/acknowledge` clears it: only anomalies are.
    pub(crate) can_acknowledge: bool,
    /// Who acknowledges an anomaly clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<Acknowledgement>,
    /// What it did, as far as it is known since the start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) actions: Vec<ActionView>,
}

/// An anomaly was acknowledged.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Acknowledgement {
    /// The same anomaly is not raised again before, unless it gets clearly worse.
    pub(crate) until: String,
}

/// One action of an alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ActionView {
    time: String,
    adapter: String,
    target: String,
    /// `done` or `failed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<&ActionOutcome> for ActionView {
    fn from(action: &ActionOutcome) -> Self {
        Self {
            time: action.at.to_string(),
            adapter: action.adapter.clone(),
            target: action.target.clone(),
            outcome: if action.error.is_none() { "done" } else { "failed" },
            error: action.error.clone(),
        }
    }
}

impl AlertView {
    pub(crate) fn open(alert: &OpenAlert, zone: Option<&str>, site: &Site) -> Self {
        let metric = alert.metric.as_deref();
        let since = alert.since.as_millis();
        let id = format!(
            "{}/alerts/{}/{}/{}/{since}",
            site.gateway,
            alert.rule,
            alert.device,
            metric.unwrap_or("-")
        );
        let rule = || site.rules.iter().find(|rule| *rule.name == *alert.rule).map(|rule| rule.text.clone());
        let message = alert.message.as_deref().map(str::to_owned).or_else(rule);
        Self {
            id,
            alert: alert.rule.to_string(),
            device: alert.device.to_string(),
            zone: zone.map(str::to_owned),
            metric: metric.map(str::to_owned),
            kind: alert.kind.as_str().to_owned(),
            severity: alert.severity.as_str().to_owned(),
            state: if alert.is_acknowledged { "acknowledged" } else { "raised" }.to_owned(),
            time: alert.since.to_string(),
            cleared: None,
            value: alert.value,
            expected: alert.expected.filter(|(low, high)| low.is_finite() && high.is_finite()),
            limit: alert.limit,
            message: message.unwrap_or_else(|| alert.kind.as_str().to_owned()),
            can_acknowledge: alert.kind == AlertKind::Anomaly,
            acknowledged: None,
            actions: Vec::new(),
        }
    }

    /// With what it did, of the newest actions.
    pub(crate) fn acted(mut self, model: &ReadModel, newest: &[Arc<ActionOutcome>]) -> Self {
        let number = model.number(&self.device);
        let since = self.time.parse::<Timestamp>().ok();
        let own = newest.iter().filter(|action| {
            Some(action.device) == number && Some(action.since) == since && *action.rule == *self.alert
        });
        self.actions = own.map(|action| ActionView::from(&**action)).collect();
        self
    }

    /// From the history: with how it was raised, and when it was cleared.
    pub(crate) fn stored(stored: &StoredAlert, site: &Site) -> Option<Self> {
        let text = stored.raised.as_deref().or(stored.cleared.as_deref())?;
        let mut view = Self::of_record(&serde_json::from_str(text).ok()?, site)?;
        if let Some(cleared) = stored.cleared_at {
            "cleared".clone_into(&mut view.state);
            view.cleared = Some(cleared.to_string());
        }
        view.can_acknowledge = false;
        Some(view)
    }

    /// From an alert's record as the cloud gets it; none where it is something else.
    pub(crate) fn of_record(record: &Value, site: &Site) -> Option<Self> {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let owned = |key: &str| text(key).map(str::to_owned);
        let state = owned("state")?;
        let id = text("id")?;
        let notice = match record.get("reminder").and_then(Value::as_u64) {
            Some(number) => format!("/reminder/{number}"),
            None if record.get("escalated").is_some() => "/escalated".to_owned(),
            None => String::new(),
        };
        let id = id.strip_suffix(&format!("/{state}{notice}")).unwrap_or(id).to_owned();
        let kind = owned("kind")?;
        let is_cleared = state == "cleared";
        let bounds = record.get("expected").and_then(Value::as_array);
        let expected = bounds.and_then(|bounds| Some((bounds.first()?.as_f64()?, bounds.get(1)?.as_f64()?)));
        let (alert, value) = (owned("alert")?, record.get("value").and_then(Value::as_f64));
        let of_threshold = value.filter(|_| kind == AlertKind::Threshold.as_str());
        let of_rule = || of_threshold.and_then(|value| limit_of(site, &alert, value, is_cleared));
        let limit = record.get("limit").and_then(Value::as_f64).or_else(of_rule);
        Some(Self {
            id,
            limit,
            alert,
            device: owned("device")?,
            zone: owned("zone"),
            metric: owned("metric"),
            can_acknowledge: !is_cleared && kind == AlertKind::Anomaly.as_str(),
            kind,
            severity: owned("severity")?,
            time: owned("since").or_else(|| owned("time"))?,
            cleared: is_cleared.then(|| owned("time")).flatten(),
            value,
            expected,
            message: owned("message").unwrap_or_default(),
            state,
            acknowledged: None,
            actions: Vec::new(),
        })
    }
}

/// The limit of a rule that a value has passed, for alerts of versions that did not tell it. A value that cleared the alert lies on the other side of it: then the rule's limit if
/// it has only one.
fn limit_of(site: &Site, rule: &str, value: f64, is_cleared: bool) -> Option<f64> {
    let when = site.rules.iter().find(|known| known.name == rule)?.rule.spec().when;
    if is_cleared {
        return when.above.xor(when.below);
    }
    when.above.filter(|limit| value > *limit).or_else(|| when.below.filter(|limit| value < *limit))
}
