//! Devices and the newest value of each of their series, by the numbers that the pipeline's registry gives them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use foldhash::fast::FixedState;
use gateway_core::{Alert, AlertState, DeviceId, MetricId, MetricKind, Severity, Timestamp};
use tokio::sync::Notify;

use crate::alerts::{Alerts, OpenAlert};
use crate::lock;

/// A device, as it is known now.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    pub name: Arc<str>,
    pub zone: Option<Arc<str>>,
    /// The kind of the adapter that received it last.
    pub protocol: Option<Arc<str>>,
    /// When it was last received, by the gateway's clock; none since the process started.
    pub last_heard: Option<Timestamp>,
    /// By name; empty until a value is received.
    series: Vec<Series>,
}

/// The newest value of a metric of a device, and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    metric: MetricId,
    pub name: Arc<str>,
    /// Unit (SenML), where it is known.
    pub unit: Option<Arc<str>>,
    pub kind: MetricKind,
    /// Finite.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
    /// The worst alert that is raised for it; none while all is well.
    pub raised: Option<Severity>,
}

impl Device {
    /// The series that have a value, by name.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series of this metric.
    #[must_use]
    pub fn get(&self, metric: &str) -> Option<&Series> {
        self.series.iter().find(|series| &*series.name == metric)
    }
}

/// What does not change with a reading. Asked for when a device is new, and when the configuration has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub name: Arc<str>,
    pub zone: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
}

/// What does not change with a reading. Asked for when a series is new, and when it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesDescription {
    pub name: Arc<str>,
    pub unit: Option<Arc<str>>,
    pub kind: MetricKind,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By [`DeviceId`].
    devices: Vec<Arc<Device>>,
    numbers: HashMap<Arc<str>, DeviceId, FixedState>,
    alerts: Alerts,
    followers: Vec<Weak<Changes>>,
}

impl Table {
    pub(crate) fn devices(&self) -> Vec<Arc<Device>> {
        self.devices.clone()
    }

    pub(crate) fn device(&self, name: &str) -> Option<Arc<Device>> {
        self.devices.get(self.numbers.get(name)?.0 as usize).cloned()
    }

    pub(crate) fn number(&self, name: &str) -> Option<DeviceId> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn alerts(&self) -> Vec<Arc<OpenAlert>> {
        self.alerts.all()
    }

    pub(crate) fn follow(&mut self) -> Follower {
        let changes = Arc::new(Changes::default());
        self.followers.retain(|follower| follower.strong_count() > 0);
        self.followers.push(Arc::downgrade(&changes));
        Follower(changes)
    }

    fn device_mut(&mut self, device: DeviceId) -> Option<&mut Device> {
        self.devices.get_mut(device.0 as usize).map(Arc::make_mut)
    }
}

/// Writes the changes of one batch. The table is locked until it is dropped: make it late and drop it soon.
#[derive(Debug)]
pub struct Writer<'a> {
    table: MutexGuard<'a, Table>,
    /// Devices with new values; kept only where somebody follows.
    changed: HashSet<Arc<str>, FixedState>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(table: MutexGuard<'a, Table>) -> Self {
        Self { table, changed: HashSet::default() }
    }

    /// How many devices there are: the number of the next one.
    #[must_use]
    pub fn device_count(&self) -> u32 {
        u32::try_from(self.table.devices.len()).unwrap_or(u32::MAX)
    }

    /// Adds the device with the next number.
    pub fn add_device(&mut self, description: Description) {
        let Description { name, zone, protocol } = description;
        let id = DeviceId(self.device_count());
        self.table.numbers.insert(Arc::clone(&name), id);
        let device = Device { name, zone, protocol, last_heard: None, series: Vec::new() };
        self.table.devices.push(Arc::new(device));
    }

    /// The configuration has changed: takes over zones and kinds, without touching a value.
    pub fn describe_again(
        &mut self,
        device_of: impl Fn(DeviceId) -> Description,
        series_of: impl Fn(DeviceId, MetricId) -> SeriesDescription,
    ) {
        for index in 0..self.device_count() {
            let id = DeviceId(index);
            let Some(device) = self.table.device_mut(id) else { return };
            let Description { name, zone, protocol } = device_of(id);
            (device.name, device.zone, device.protocol) = (name, zone, protocol);
            for series in &mut device.series {
                let SeriesDescription { name, unit, kind } = series_of(id, series.metric);
                (series.name, series.unit, series.kind) = (name, unit, kind);
            }
        }
    }

    /// The device was received at `now`, over `protocol`.
    pub fn device_seen(&mut self, device: DeviceId, now: Timestamp, protocol: Option<&Arc<str>>) {
        let Some(device) = self.table.device_mut(device) else { return };
        device.last_heard = device.last_heard.max(Some(now));
        if device.protocol.as_ref() != protocol {
            device.protocol = protocol.cloned();
        }
    }

    /// A value, unless a later one is known. `describe` is asked once for each series.
    pub fn value(
        &mut self,
        device: DeviceId,
        metric: MetricId,
        value: f64,
        at: Timestamp,
        describe: impl FnOnce() -> SeriesDescription,
    ) {
        let Table { devices, alerts, followers, .. } = &mut *self.table;
        let Some(entry) = devices.get_mut(device.0 as usize).map(Arc::make_mut) else { return };
        match entry.series.iter_mut().find(|series| series.metric == metric) {
            Some(series) if series.at > at => return,
            Some(series) => (series.value, series.at) = (value, at),
            None => {
                let SeriesDescription { name, unit, kind } = describe();
                let place = entry.series.partition_point(|series| series.name < name);
                let raised = alerts.worst(device, metric);
                entry.series.insert(place, Series { metric, name, unit, kind, value, at, raised });
            }
        }
        if !followers.is_empty() && !self.changed.contains(&entry.name) {
            self.changed.insert(Arc::clone(&entry.name));
        }
    }

    /// The unit of a series has changed.
    pub fn unit(&mut self, device: DeviceId, metric: MetricId, unit: Option<Arc<str>>) {
        let Some(device) = self.table.device_mut(device) else { return };
        if let Some(series) = device.series.iter_mut().find(|series| series.metric == metric) {
            series.unit = unit;
        }
    }

    /// An alert was raised, told again, acknowledged or cleared.
    pub fn alert(&mut self, alert: &Alert, metric: Option<Arc<str>>) {
        match alert.state {
            AlertState::Raised if alert.is_new() => {
                let Some(device) = self.table.devices.get(alert.device.0 as usize) else { return };
                let open = OpenAlert {
                    rule: Arc::clone(&alert.rule),
                    device: Arc::clone(&device.name),
                    metric,
                    kind: alert.kind,
                    severity: alert.severity,
                    since: alert.since,
                    value: alert.value,
                    expected: alert.expected,
                    message: Some(alert.message.as_str().into()),
                    limit: alert.limit,
                    is_acknowledged: false,
                };
                self.raise(alert.device, alert.metric, open);
            }
            AlertState::Raised | AlertState::Acknowledged => {
                self.table.alerts.update(alert);
                self.note_state(alert.device, alert.metric);
            }
            AlertState::Cleared => {
                self.table.alerts.clear(alert.device, alert.metric, &alert.rule);
                self.note_state(alert.device, alert.metric);
            }
        }
    }

    /// An alert that is raised, also since before the process started.
    pub fn raise(&mut self, device: DeviceId, metric: Option<MetricId>, alert: OpenAlert) {
        self.table.alerts.raise(device, metric, alert);
        self.note_state(device, metric);
    }

    fn note_state(&mut self, device: DeviceId, metric: Option<MetricId>) {
        let Table { devices, alerts, .. } = &mut *self.table;
        let (Some(metric), Some(entry)) = (metric, devices.get_mut(device.0 as usize)) else { return };
        let raised = alerts.worst(device, metric);
        if let Some(series) = Arc::make_mut(entry).series.iter_mut().find(|series| series.metric == metric) {
            series.raised = raised;
        }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let changed = &self.changed;
        self.table.followers.retain(|follower| {
            let Some(changes) = follower.upgrade() else { return false };
            lock(&changes.devices).extend(changed.iter().map(Arc::clone));
            changes.woken.notify_one();
            true
        });
    }
}

#[derive(Debug, Default)]
struct Changes {
    /// No more than there are devices.
    devices: Mutex<HashSet<Arc<str>>>,
    woken: Notify,
}

/// Learns which devices have new values. A slow one finds each device once, with its newest values.
#[derive(Debug)]
pub struct Follower(Arc<Changes>);

impl Follower {
    /// The devices that have new values since the last call, without waiting.
    #[must_use]
    pub fn take(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut *lock(&self.0.devices)).into_iter().collect()
    }

    /// Waits until devices have new values, and returns their names. Cancelling it loses nothing.
    pub async fn changed(&self) -> Vec<Arc<str>> {
        loop {
            let devices = std::mem::take(&mut *lock(&self.0.devices));
            if !devices.is_empty() {
                return devices.into_iter().collect();
            }
            self.0.woken.notified().await;
        }
    }
}
