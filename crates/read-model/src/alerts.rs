//! The alerts that are raised and not cleared.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::{Alert, AlertKind, AlertState, DeviceId, MetricId, Severity, Timestamp};

/// An alert that is raised.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAlert {
    /// The name of its `[alerts.*]` table, or `anomaly`.
    pub rule: Arc<str>,
    pub device: Arc<str>,
    /// None where it is about the device as a whole.
    pub metric: Option<Arc<str>>,
    pub kind: AlertKind,
    pub severity: Severity,
    /// When it was raised, in event time.
    pub since: Timestamp,
    /// The value that raised it. None for silence, and for an alert that was raised before the process started.
    pub value: Option<f64>,
    /// The lowest and highest normal value, if the detector knows them.
    pub expected: Option<(f64, f64)>,
    /// One line for people. None for an alert that was raised before the process started.
    pub message: Option<Arc<str>>,
    /// The limit that the value passed; none where the kind of condition has none.
    pub limit: Option<f64>,
    /// Whether somebody took note of it.
    pub is_acknowledged: bool,
}

type Key = (DeviceId, Option<MetricId>, Arc<str>);

/// One for each rule and series, or device.
#[derive(Debug, Default)]
pub(crate) struct Alerts(BTreeMap<Key, Arc<OpenAlert>>);

impl Alerts {
    pub(crate) fn raise(&mut self, device: DeviceId, metric: Option<MetricId>, alert: OpenAlert) {
        self.0.insert((device, metric, Arc::clone(&alert.rule)), Arc::new(alert));
    }

    /// It was told again, with this severity, or somebody took note of it.
    pub(crate) fn update(&mut self, alert: &Alert) {
        let key = (alert.device, alert.metric, Arc::clone(&alert.rule));
        let Some(open) = self.0.get_mut(&key).map(Arc::make_mut) else { return };
        open.severity = alert.severity;
        open.is_acknowledged |= alert.state == AlertState::Acknowledged;
    }

    pub(crate) fn clear(&mut self, device: DeviceId, metric: Option<MetricId>, rule: &Arc<str>) {
        self.0.remove(&(device, metric, Arc::clone(rule)));
    }

    pub(crate) fn all(&self) -> Vec<Arc<OpenAlert>> {
        self.0.values().map(Arc::clone).collect()
    }

    /// The worst that is raised for a series.
    pub(crate) fn worst(&self, device: DeviceId, metric: MetricId) -> Option<Severity> {
        let first = (device, Some(metric), Arc::from(""));
        let of_series = self.0.range(first..).take_while(|((d, m, _), _)| *d == device && *m == Some(metric));
        of_series.map(|(_, alert)| alert.severity).max()
    }
}
