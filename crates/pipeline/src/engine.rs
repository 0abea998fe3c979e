//! What the gateway knows and concludes, without IO and without a clock: windows, detectors, rules and the ledger.
//!
//! [`Engine::apply`] is a pure function of state and step. That is what makes a crash harmless: the state is the last
//! checkpoint with the journal's steps applied again, and every aggregate and alert comes out with the same identity.

pub mod combinations;
mod deliveries;
pub mod judging;
pub mod ledger;
pub mod messages;
pub mod nodes;
pub(crate) mod origins;
mod peers;
pub mod registry;
pub(crate) mod series;
pub mod step;

use std::collections::BTreeMap;

use aggregator::{Admission, Aggregator};
use alerts::Alerts;
use anomaly::Quantity;
use gateway_core::{
    Aggregate, Alert, DropReason, LinkQuality, MetricId, MetricKind, Now, Reading, Score, Subject, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::engine::combinations::Combinations;
use crate::engine::deliveries::Deliveries;
use crate::engine::judging::{Judging, LocalClock};
use crate::engine::ledger::Ledger;
use crate::engine::messages::{MessageReading, MessageTimes};
use crate::engine::nodes::Nodes;
use crate::engine::origins::{Origins, Shares};
use crate::engine::peers::ZonePeers;
use crate::engine::registry::Registry;
use crate::engine::series::{DeviceSeries, ModelCount};
use crate::engine::step::{Acknowledgement, AdapterIndex, Batch, Step};

/// What decides how steps are judged. Part of the checkpoint, so that steps taken under old settings are applied
/// again under the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub windows: aggregator::Settings,
    /// `[aggregate.metrics.*] kind`.
    pub kinds: BTreeMap<String, MetricKind>,
    /// Device name -> zone.
    pub zones: BTreeMap<String, String>,
    pub rules: Vec<alerts::Rule>,
    /// Whether aggregates have somewhere to go.
    pub upstream: bool,
    /// How the anomaly model judges; none where it is off.
    pub judging: Option<Judging>,
}

/// What came of a step.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    pub aggregates: Vec<Closed>,
    pub alerts: Vec<Alert>,
    /// The readings by messages; empty while neither a sink nor the history takes readings.
    pub readings: Vec<MessageReading>,
}

/// A window that has closed, or has been corrected.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    pub aggregate: Aggregate,
    /// Whose readings it answers for; none for a zone's, whose readings its devices answer for.
    pub shares: Shares,
}

impl Outputs {
    pub fn is_empty(&self) -> bool {
        self.aggregates.is_empty() && self.alerts.is_empty() && self.readings.is_empty()
    }
}

/// The whole state. [`crate::durable::stored`] writes it down as the checkpoint.
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) registry: Registry,
    pub(crate) windows: Aggregator,
    pub(crate) alerts: Alerts,
    /// By [`gateway_core::DeviceId`].
    pub(crate) series: Vec<DeviceSeries>,
    pub(crate) models: ModelCount,
    pub(crate) peers: ZonePeers,
    pub(crate) local_clock: LocalClock,
    pub(crate) ledger: Ledger,
    /// The outbox's number of the sink whose counters the ledger shows.
    pub(crate) ledger_sink: Option<u64>,
    pub(crate) deliveries: BTreeMap<AdapterIndex, Deliveries>,
    pub(crate) origins: Origins,
    pub(crate) combinations: Combinations,
    pub(crate) nodes: Nodes,
    pub(crate) message_times: MessageTimes,
    /// The time of the newest step.
    pub(crate) listened_until: Option<Timestamp>,
}

impl Engine {
    pub fn new(settings: Settings) -> Self {
        Self {
            windows: Aggregator::new(settings.windows.clone()),
            alerts: alerts(&settings),
            local_clock: LocalClock::of(settings.judging.as_ref()),
            settings,
            registry: Registry::default(),
            series: Vec::new(),
            models: ModelCount::default(),
            peers: ZonePeers::default(),
            ledger: Ledger::default(),
            ledger_sink: None,
            deliveries: BTreeMap::new(),
            origins: Origins::default(),
            combinations: Combinations::default(),
            nodes: Nodes::default(),
            message_times: MessageTimes::default(),
            listened_until: None,
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The outbox's number of the sink whose counters the ledger shows.
    pub fn ledger_sink(&self) -> Option<u64> {
        self.ledger_sink
    }

    pub fn combinations(&self) -> &Combinations {
        &self.combinations
    }

    /// The nodes of our own firmware.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Readings in windows that are not yet closed.
    pub fn open_readings(&self) -> u64 {
        self.windows.open_readings()
    }

    /// The same, by the adapter that brought them.
    pub fn open_by_adapter(&self) -> impl Iterator<Item = (AdapterIndex, u64)> {
        self.origins.open()
    }

    /// The time of the newest step; none where there was none.
    pub fn listened_until(&self) -> Option<Timestamp> {
        self.listened_until
    }

    /// When [`Engine::apply`] should next be called with a tick, by the wall clock.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        [self.windows.next_deadline(), self.alerts.next_deadline()].into_iter().flatten().min()
    }

    /// How many metrics a device has.
    pub fn metrics_of(&self, device: gateway_core::DeviceId) -> usize {
        self.series.get(device.0 as usize).map_or(0, DeviceSeries::metric_count)
    }

    /// How many series have a model, and how many should.
    pub fn models(&self) -> ModelCount {
        self.models
    }

    /// The bound on models, where series are not judged because of it.
    pub fn models_are_full(&self) -> Option<u32> {
        let max = self.settings.judging.as_ref()?.max_series;
        (self.models.refused > 0 && self.models.kept >= max).then_some(max)
    }

    /// Whether the message with this key was taken before.
    pub fn was_delivered(&self, adapter: AdapterIndex, key: u64) -> bool {
        self.deliveries.get(&adapter).is_some_and(|keys| keys.knows(key))
    }

    /// New settings; open windows, queue and what was learnt stay.
    fn reconfigure(&mut self, settings: Settings) {
        self.windows.reconfigure(settings.windows.clone());
        self.alerts.reconfigure(settings.rules.clone());
        set_hold(&mut self.alerts, &settings);
        self.local_clock = LocalClock::of(settings.judging.as_ref());
        self.settings = settings;
        for index in 0..self.registry.device_count() {
            self.place(gateway_core::DeviceId(index));
        }
        for index in 0..self.registry.metric_count() {
            self.set_kind(MetricId(index));
        }
        self.peers.follow(&self.registry);
    }

    /// Takes one step.
    pub fn apply(&mut self, step: &Step, out: &mut Outputs) {
        if let Some(from) = step.stepped_from {
            self.windows.clock_stepped(from, step.now.at);
        }
        if let Some(settings) = &step.settings {
            self.reconfigure((**settings).clone());
        }
        if let Some(since) = step.away_since {
            self.alerts.was_away(since, step.now);
        }
        for Acknowledgement { device, metric, hold } in &step.acknowledged {
            self.alerts.acknowledge(*device, *metric, *hold, step.now, &mut out.alerts);
        }
        self.learn_names(step);
        step.models.iter().for_each(|new| self.combinations.learn(new));
        step.corrections.iter().for_each(|correction| self.ledger.correct(correction));
        if let Some(sink) = &step.ledger_sink {
            self.ledger_sink = sink.id;
            sink.elsewhere.iter().for_each(|(adapter, readings)| self.ledger.leave_out(*adapter, *readings));
        }
        step.nodes.iter().for_each(|report| self.nodes.take(report, step.now.at));
        for batch in &step.batches {
            self.take(batch, step.now, &mut out.alerts);
        }
        self.message_times.take(step, self.settings.windows.max_future, &mut out.readings);
        let mut closed = Vec::new();
        self.windows.advance(step.now, &mut closed);
        if self.settings.judging.is_some() {
            closed.iter().for_each(|aggregate| self.judge_whole(aggregate, step.now, &mut out.alerts));
        }
        closed.iter().for_each(|aggregate| self.judge_values(aggregate, step.now, &mut out.alerts));
        out.aggregates.extend(closed.into_iter().map(|aggregate| self.close(aggregate)));
        self.alerts.advance(step.now, &mut out.alerts);
        self.listened_until = Some(step.now.at);
    }

    /// Judges a closed window of a device as a whole.
    fn judge_whole(&mut self, aggregate: &Aggregate, now: Now, alerts: &mut Vec<Alert>) {
        let Some(judged) = self.combinations.judge(aggregate, &self.registry) else { return };
        let zone = self.registry.device(judged.device).and_then(|device| device.zone);
        let subject = alerts::DeviceSubject {
            device: judged.device,
            device_name: self.registry.device_name(judged.device),
            zone: zone.and_then(|zone| self.registry.zone_name(zone)),
        };
        let (at, score) = (aggregate.window.start, &judged.score);
        self.alerts.observe_device(&subject, at, score, &judged.values, now, alerts);
    }

    /// Shows a closed window of a device to the rules with `when`.
    fn judge_values(&mut self, aggregate: &Aggregate, now: Now, alerts: &mut Vec<Alert>) {
        let Subject::Device(device) = aggregate.subject else { return };
        let zone = self.registry.device(device).and_then(|device| device.zone);
        let subject = alerts::DeviceSubject {
            device,
            device_name: self.registry.device_name(device),
            zone: zone.and_then(|zone| self.registry.zone_name(zone)),
        };
        let metrics = aggregate.metrics.iter();
        let named = metrics.map(|(metric, summary)| (*metric, self.registry.metric_name(*metric), summary));
        self.alerts.observe_window(&subject, aggregate.window.start, named, now, alerts);
    }

    /// Settles whose readings an aggregate answers for.
    fn close(&mut self, aggregate: Aggregate) -> Closed {
        let shares = match aggregate.subject {
            Subject::Device(device) => self.origins.close(device, aggregate.readings),
            Subject::Zone(_) => Shares::new(),
        };
        if !self.settings.upstream {
            for (adapter, readings) in &shares {
                self.ledger.drop(*adapter, DropReason::NoUpstream, u64::from(*readings));
            }
        }
        Closed { aggregate, shares }
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
        let account = batch.adapter;
        let refused: u64 = batch.dropped.iter().map(|(_, count)| u64::from(*count)).sum();
        self.ledger.take(account, batch.readings.len() as u64 + refused);
        for (reason, count) in &batch.dropped {
            self.ledger.drop(account, *reason, u64::from(*count));
        }
        self.remember(batch);
        for reading in &batch.readings {
            let reading = reading.reading(now);
            match self.take_reading(account, &reading, now, alerts) {
                Ok(()) => self.origins.admit(reading.device, account),
                Err(reason) => self.ledger.drop(account, reason, 1),
            }
        }
    }

    fn remember(&mut self, batch: &Batch) {
        if batch.deliveries.is_empty() {
            return;
        }
        let keys = self.deliveries.entry(batch.adapter).or_default();
        batch.deliveries.iter().for_each(|key| keys.remember(*key));
    }

    fn take_reading(
        &mut self,
        adapter: AdapterIndex,
        reading: &Reading,
        now: Now,
        alerts: &mut Vec<Alert>,
    ) -> Result<(), DropReason> {
        let metric = self.registry.metric(reading.metric).ok_or(DropReason::UnknownDevice)?;
        let is_judged = !LinkQuality::is_of_radio(self.registry.metric_name(reading.metric));
        let judging = self.settings.judging.as_ref().filter(|_| is_judged);
        let judged = judging.map(|judging| (metric.kind, judging.max_series));
        let device = self.series.get_mut(reading.device.0 as usize).ok_or(DropReason::UnknownDevice)?;
        let series = device.series(reading.metric).ok_or(DropReason::TooManyMetrics)?;
        match self.windows.push(reading, now) {
            Admission::Admitted => {}
            Admission::Late => return Err(DropReason::Late),
            Admission::Future => return Err(DropReason::Future),
            Admission::NotFinite => return Err(DropReason::NotFinite),
            Admission::TooManyWindows => return Err(DropReason::TooManyWindows),
        }
        let moment = self.local_clock.moment(reading.at);
        let mut score = judged.map_or(Score::NONE, |(kind, max)| {
            let quantity = || Quantity::new(kind, self.registry.metric_name(reading.metric));
            series.judge(moment, reading.value, quantity, max, &mut self.models)
        });
        self.registry.received_by(reading.device, adapter);
        let zone = self.registry.device(reading.device).and_then(|device| device.zone);
        if let Some((kind, _)) = judged {
            score = self.peers.judge(zone, kind, reading, score);
        }
        let subject = alerts::Subject {
            device: reading.device,
            device_name: self.registry.device_name(reading.device),
            zone: zone.and_then(|zone| self.registry.zone_name(zone)),
            metric: reading.metric,
            metric_name: self.registry.metric_name(reading.metric),
        };
        self.alerts.observe(&subject, reading, &score, now, alerts);
        Ok(())
    }
}

fn alerts(settings: &Settings) -> Alerts {
    let mut alerts = Alerts::new(settings.rules.clone());
    set_hold(&mut alerts, settings);
    alerts
}

fn set_hold(alerts: &mut Alerts, settings: &Settings) {
    if let Some(judging) = &settings.judging {
        alerts.set_hold(judging.hold);
    }
}
