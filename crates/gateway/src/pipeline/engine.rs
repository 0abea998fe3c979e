//! What the gateway knows and concludes, without IO and without a clock: windows, detectors, rules and the ledger.
//!
//! [`Engine::apply`] is a pure function of state and step. That is what makes a crash harmless: the state is the last
//! checkpoint with the journal's steps applied again, and every aggregate and alert comes out with the same identity.

use std::collections::{BTreeMap, VecDeque};

use aggregator::{Admission, Aggregator};
use alerts::Alerts;
use anomaly::SeriesModel;
use gateway_core::ports::{Detector, Score};
use gateway_core::{Aggregate, Alert, DropReason, MetricId, MetricKind, Now, Reading, Timestamp};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::registry::Registry;
use super::step::{AdapterIndex, Batch, Step};

/// What decides how steps are judged. Part of the checkpoint, so that steps taken under old settings are applied
/// again under the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) windows: aggregator::Settings,
    /// `[aggregate.metrics.*] kind`.
    pub(crate) kinds: BTreeMap<String, MetricKind>,
    /// Device name -> zone.
    pub(crate) zones: BTreeMap<String, String>,
    pub(crate) rules: Vec<alerts::Rule>,
    /// Whether series are judged at all.
    pub(crate) anomaly: bool,
    /// Whether aggregates have somewhere to go.
    pub(crate) upstream: bool,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) alerts: Vec<Alert>,
}

impl Outputs {
    pub(crate) fn is_empty(&self) -> bool {
        self.aggregates.is_empty() && self.alerts.is_empty()
    }
}

/// Most metrics one device may have; a payload with made-up keys must not fill the memory.
pub(crate) const MAX_METRICS_PER_DEVICE: usize = 256;

/// How many keys of acknowledged messages are remembered per adapter: far more than a broker holds in flight.
const REMEMBERED_DELIVERIES: usize = 1024;

/// The whole state. Serialised, it is the checkpoint.
#[derive(Serialize, Deserialize)]
pub(crate) struct Engine {
    settings: Settings,
    registry: Registry,
    windows: Aggregator,
    alerts: Alerts,
    series: Vec<DeviceSeries>,
    ledger: Ledger,
    deliveries: BTreeMap<AdapterIndex, VecDeque<u64>>,
}

/// The series of one device, found by a short linear search: devices have few metrics.
#[derive(Default, Serialize, Deserialize)]
struct DeviceSeries(Vec<Series>);

#[derive(Serialize, Deserialize)]
struct Series {
    metric: MetricId,
    model: Option<SeriesModel>,
}

impl Engine {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            windows: Aggregator::new(settings.windows.clone()),
            alerts: Alerts::new(settings.rules.clone()),
            settings,
            registry: Registry::default(),
            series: Vec::new(),
            ledger: Ledger::default(),
            deliveries: BTreeMap::new(),
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The outbox holds, or held, this many readings from before this state began (its files were lost, or the journal
    /// was off): they count as taken, so that the ledger speaks of the same time on both sides.
    pub(crate) fn begin_after(&mut self, readings: u64) {
        self.ledger.begin_after(readings);
    }

    /// Readings in windows that are not yet closed.
    pub(crate) fn open_readings(&self) -> u64 {
        self.windows.open_readings()
    }

    /// When [`Engine::apply`] should next be called with a tick, by the wall clock.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        [self.windows.next_deadline(), self.alerts.next_deadline()].into_iter().flatten().min()
    }

    /// How many metrics a device has.
    pub(crate) fn metrics_of(&self, device: gateway_core::DeviceId) -> usize {
        self.series.get(device.0 as usize).map_or(0, |series| series.0.len())
    }

    /// Whether the message with this key was taken before.
    pub(crate) fn was_delivered(&self, adapter: AdapterIndex, key: u64) -> bool {
        self.deliveries.get(&adapter).is_some_and(|keys| keys.contains(&key))
    }

    /// New settings; open windows, queue and what was learnt stay.
    fn reconfigure(&mut self, settings: Settings) {
        self.windows.reconfigure(settings.windows.clone());
        self.alerts.reconfigure(settings.rules.clone());
        self.settings = settings;
        for index in 0..self.registry.device_count() {
            self.place(gateway_core::DeviceId(index));
        }
        for index in 0..self.registry.metric_count() {
            self.set_kind(MetricId(index));
        }
    }

    /// Takes one step.
    pub(crate) fn apply(&mut self, step: &Step, out: &mut Outputs) {
        if let Some(from) = step.stepped_from {
            self.windows.clock_stepped(from, step.now.at);
        }
        if let Some(settings) = &step.settings {
            self.reconfigure((**settings).clone());
        }
        if let Some(readings) = step.begins_after {
            self.begin_after(readings);
        }
        self.learn_names(step);
        for batch in &step.batches {
            self.take(batch, step.now, &mut out.alerts);
        }
        let closed = out.aggregates.len();
        self.windows.advance(step.now, &mut out.aggregates);
        self.alerts.advance(step.now, &mut out.alerts);
        if !self.settings.upstream {
            let readings = out.aggregates.iter().skip(closed).map(|a| u64::from(a.readings)).sum();
            self.ledger.publish_to_nobody(readings);
        }
    }

    fn learn_names(&mut self, step: &Step) {
        if step.names.is_empty() {
            return;
        }
        let (devices, metrics) = (self.registry.device_count(), self.registry.metric_count());
        self.registry.learn(&step.names);
        for index in devices..self.registry.device_count() {
            self.place(gateway_core::DeviceId(index));
            self.series.push(DeviceSeries::default());
        }
        for index in metrics..self.registry.metric_count() {
            self.set_kind(MetricId(index));
        }
    }

    fn place(&mut self, device: gateway_core::DeviceId) {
        let zone = self.settings.zones.get(self.registry.device_name(device)).cloned();
        let zone = self.registry.place(device, zone.as_deref());
        self.windows.set_zone(device, zone);
    }

    fn set_kind(&mut self, metric: MetricId) {
        let kind = self.registry.decide_kind(metric, &self.settings.kinds);
        self.windows.set_kind(metric, kind);
    }

    fn take(&mut self, batch: &Batch, now: Now, alerts: &mut Vec<Alert>) {
        let refused: u64 = batch.dropped.iter().map(|(_, count)| u64::from(*count)).sum();
        self.ledger.take(batch.adapter, batch.readings.len() as u64 + refused);
        for (reason, count) in &batch.dropped {
            self.ledger.drop(batch.adapter, *reason, u64::from(*count));
        }
        self.remember(batch);
        for reading in &batch.readings {
            let reading = reading.reading(now);
            if let Err(reason) = self.take_reading(batch.adapter, &reading, now, alerts) {
                self.ledger.drop(batch.adapter, reason, 1);
            }
        }
    }

    fn remember(&mut self, batch: &Batch) {
        if batch.deliveries.is_empty() {
            return;
        }
        let keys = self.deliveries.entry(batch.adapter).or_default();
        keys.extend(&batch.deliveries);
        let surplus = keys.len().saturating_sub(REMEMBERED_DELIVERIES);
        keys.drain(..surplus);
    }

    fn take_reading(
        &mut self,
        adapter: AdapterIndex,
        reading: &Reading,
        now: Now,
        alerts: &mut Vec<Alert>,
    ) -> Result<(), DropReason> {
        let metric = self.registry.metric(reading.metric).ok_or(DropReason::UnknownDevice)?;
        let judged = self.settings.anomaly.then_some(metric.kind);
        let device = self.series.get_mut(reading.device.0 as usize).ok_or(DropReason::UnknownDevice)?;
        let series = device.series(reading.metric).ok_or(DropReason::TooManyMetrics)?;
        match self.windows.push(reading, now) {
            Admission::Admitted => {}
            Admission::Late => return Err(DropReason::Late),
            Admission::Future => return Err(DropReason::Future),
            Admission::NotFinite => return Err(DropReason::NotFinite),
            Admission::TooManyWindows => return Err(DropReason::TooManyWindows),
        }
        let score = series.judge(reading, judged);
        self.registry.heard_by(reading.device, adapter);
        let device = self.registry.device(reading.device);
        let subject = alerts::Subject {
            device: reading.device,
            device_name: self.registry.device_name(reading.device),
            zone: device.and_then(|device| device.zone).and_then(|zone| self.registry.zone_name(zone)),
            metric: reading.metric,
            metric_name: self.registry.metric_name(reading.metric),
        };
        self.alerts.observe(&subject, reading, &score, now, alerts);
        Ok(())
    }
}

impl DeviceSeries {
    fn series(&mut self, metric: MetricId) -> Option<&mut Series> {
        let index = match self.0.iter().position(|series| series.metric == metric) {
            Some(index) => index,
            None if self.0.len() < MAX_METRICS_PER_DEVICE => {
                self.0.push(Series { metric, model: None });
                self.0.len() - 1
            }
            None => return None,
        };
        self.0.get_mut(index)
    }
}

impl Series {
    /// Scores a reading; `judged` is the metric's kind where the model is on.
    fn judge(&mut self, reading: &Reading, judged: Option<MetricKind>) -> Score {
        match judged {
            Some(kind) => {
                self.model.get_or_insert_with(|| SeriesModel::new(kind)).observe(reading.at, reading.value)
            }
            None => Score::NONE,
        }
    }
}
