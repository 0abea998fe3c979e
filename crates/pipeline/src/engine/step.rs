//! A step: everything that one batch of the pipeline takes in, as it stands in the journal.
//!
//! The state of the gateway is the sum of its steps: applying the same steps to the same state gives the same state
//! and the same aggregates and alerts. So a step carries all that decides the outcome, the time included.

use std::time::Duration;

use gateway_core::{AdapterId, DeviceId, DropReason, MetricId, Now, Reading, Timestamp};
use serde::{Deserialize, Serialize};

use super::combinations::NewModel;
use super::nodes::NodeReport;
use super::registry::Registry;
use crate::engine::Settings;

/// Which adapter, as an index into the registry's adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdapterIndex(pub u16);

/// One batch of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The time at which it was taken.
    pub now: Now,
    /// What the clock would have shown, had it not been set since the step before.
    pub stepped_from: Option<Timestamp>,
    /// New settings, in force from this step on. The first step of a store has them, so that no step is ever judged by
    /// other settings than when it was taken.
    pub settings: Option<Box<Settings>>,
    /// Names seen for the first time; their numbers follow on from those before.
    pub names: NewNames,
    /// What came in, by adapter.
    pub batches: Vec<Batch>,
    /// From then until now the gateway received nothing: the machine slept, or the gateway did not run.
    pub away_since: Option<Timestamp>,
    /// What damage to the store has made the ledger forget.
    pub corrections: Vec<Correction>,
    /// Anomalies that somebody took note of.
    pub acknowledged: Vec<Acknowledgement>,
    /// Models of devices as a whole, in force from this step on.
    pub models: Vec<NewModel>,
    /// What frames of our own firmware said of their nodes.
    pub nodes: Vec<NodeReport>,
    /// How the readings of the batches are divided into messages; empty while neither a sink nor the history takes readings.
    pub messages: Vec<Message>,
    /// The ledger shows the counters of another sink from now on.
    pub ledger_sink: Option<LedgerSink>,
}

/// The sink whose counters the ledger shows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerSink {
    /// The outbox's number of it; `None` if there is none.
    pub id: Option<u64>,
    /// Readings that only the sink before has counted, by adapter: they leave the ledger.
    pub elsewhere: Vec<(AdapterIndex, u64)>,
}

/// Readings of one message, which follow each other in the adapter's batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub adapter: AdapterIndex,
    /// Whether the message has their time; otherwise it is that of the arrival.
    pub has_own_time: bool,
    pub readings: u32,
}

/// Anomalies that somebody took note of, as a step has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub device: DeviceId,
    /// None for everything of the device.
    pub metric: Option<MetricId>,
    /// How long the same thing is not raised again.
    pub hold: Duration,
}

/// What is to be set right in one adapter's row of the ledger, in readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    pub adapter: AdapterIndex,
    /// Accounted for, but no longer known to have come in.
    pub forgotten: u64,
    /// Known to have come in, and found nowhere.
    pub lost: u64,
}

/// The version of a step as the journal's records hold it, kept with each segment. Raised whenever the form changes;
/// then [`Step::read`] learns to read the one before.
pub const STEP_VERSION: u16 = 4;

impl Step {
    /// A step in which nothing but time has gone by.
    pub fn tick(now: Now, stepped_from: Option<Timestamp>, first: FirstNumbers) -> Self {
        let names = NewNames { first, ..NewNames::default() };
        Self {
            now,
            stepped_from,
            settings: None,
            names,
            batches: Vec::new(),
            away_since: None,
            corrections: Vec::new(),
            acknowledged: Vec::new(),
            models: Vec::new(),
            nodes: Vec::new(),
            messages: Vec::new(),
            ledger_sink: None,
        }
    }

    /// Reads a record of the journal. One of version 1 ends before the list of nodes, one of version 2 before that of
    /// messages, one of version 3 before the ledger's sink: an empty list or option is one byte more.
    pub fn read(version: u16, record: &[u8]) -> Result<Self, postcard::Error> {
        match version {
            ..2 => postcard::from_bytes(&[record, &[0, 0, 0]].concat()),
            2 => postcard::from_bytes(&[record, &[0, 0]].concat()),
            3 => postcard::from_bytes(&[record, &[0]].concat()),
            _ => postcard::from_bytes(record),
        }
    }
}

/// Names that the registry numbers in this order, from the given numbers on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NewNames {
    /// Told so that a step lost to a damaged disk shifts no number of the steps after it.
    pub first: FirstNumbers,
    pub adapters: Vec<AdapterId>,
    pub devices: Vec<Box<str>>,
    pub metrics: Vec<NewMetric>,
    /// Units from payloads, where they are not those of the metric's name.
    pub units: Vec<NewUnit>,
}

impl NewNames {
    pub fn is_empty(&self) -> bool {
        self.adapters.is_empty()
            && self.devices.is_empty()
            && self.metrics.is_empty()
            && self.units.is_empty()
    }

    /// The number of an adapter, which gets one where it has none.
    pub fn adapter(&mut self, registry: &Registry, id: &AdapterId) -> AdapterIndex {
        registry.adapter_index(id).unwrap_or_else(|| {
            let new = self.adapters.iter().position(|known| known == id).unwrap_or_else(|| {
                self.adapters.push(id.clone());
                self.adapters.len() - 1
            });
            AdapterIndex(registry.adapter_count().saturating_add(u16::try_from(new).unwrap_or(u16::MAX)))
        })
    }

    /// The number of a device that has one, be it since this step.
    pub fn known_device(&self, registry: &Registry, name: &str) -> Option<DeviceId> {
        registry.device_id(name).or_else(|| {
            let new = self.devices.iter().position(|known| &**known == name)?;
            Some(DeviceId(following(registry.device_count(), new)))
        })
    }

    /// The number of a device, which gets one where it has none.
    pub fn device(&mut self, registry: &Registry, name: &str) -> DeviceId {
        self.known_device(registry, name).unwrap_or_else(|| {
            self.devices.push(name.into());
            DeviceId(following(registry.device_count(), self.devices.len() - 1))
        })
    }

    /// The number of a metric that has one, be it since this step.
    pub fn known_metric(&self, registry: &Registry, name: &str) -> Option<MetricId> {
        registry.metric_id(name).or_else(|| {
            let new = self.metrics.iter().position(|known| &*known.name == name)?;
            Some(MetricId(following(registry.metric_count(), new)))
        })
    }

    /// The number of a metric, which gets one where it has none.
    pub fn metric(&mut self, registry: &Registry, name: &str, new: impl FnOnce() -> NewMetric) -> MetricId {
        self.known_metric(registry, name).unwrap_or_else(|| {
            self.metrics.push(new());
            MetricId(following(registry.metric_count(), self.metrics.len() - 1))
        })
    }

    /// Notes the unit of a series from a payload.
    pub fn set_unit(&mut self, registry: &Registry, device: DeviceId, metric: MetricId, unit: &str) {
        let is_it = |new: &&NewUnit| new.device == device && new.metric == metric;
        let known = self.units.iter().rev().find(is_it).map(|new| &*new.unit);
        let known = known.or_else(|| registry.unit(device, metric)).or_else(|| {
            let new = metric.0.checked_sub(registry.metric_count())?;
            self.metrics.get(new as usize)?.unit.as_deref()
        });
        if known != Some(unit) {
            self.units.push(NewUnit { device, metric, unit: unit.into() });
        }
    }

    /// Devices there are with the new ones.
    pub fn device_total(&self, registry: &Registry) -> u32 {
        following(registry.device_count(), self.devices.len())
    }

    /// Metrics there are with the new ones.
    pub fn metric_total(&self, registry: &Registry) -> u32 {
        following(registry.metric_count(), self.metrics.len())
    }
}

/// How many names of each sort there were before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FirstNumbers {
    pub adapter: u16,
    pub device: u32,
    pub metric: u32,
}

fn following(count: u32, index: usize) -> u32 {
    count.saturating_add(u32::try_from(index).unwrap_or(u32::MAX))
}

/// A metric's name with what its first reading shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMetric {
    pub name: Box<str>,
    /// SenML unit (RFC 8428 section 12.1, RFC 8798) of this name, where there is one.
    pub unit: Option<Box<str>>,
    /// Its first value was a boolean: a state, unless configured otherwise.
    pub boolean: bool,
}

/// The unit of one device's metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewUnit {
    pub device: DeviceId,
    pub metric: MetricId,
    pub unit: Box<str>,
}

/// What one adapter handed over in one batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub adapter: AdapterIndex,
    pub readings: Vec<StepReading>,
    /// Refused before the windows saw it.
    pub dropped: Vec<(DropReason, u32)>,
    /// Keys of messages that their sender may send again.
    pub deliveries: Vec<u64>,
}

impl Batch {
    pub fn new(adapter: AdapterIndex) -> Self {
        Self { adapter, readings: Vec::new(), dropped: Vec::new(), deliveries: Vec::new() }
    }

    /// Counts `count` readings that were refused.
    pub fn drop(&mut self, reason: DropReason, count: u32) {
        match self.dropped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, total)) => *total = total.saturating_add(count),
            None => self.dropped.push((reason, count)),
        }
    }
}

/// A reading, with its time as the distance from the step's: most are a few milliseconds old, one byte in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepReading {
    pub device: DeviceId,
    pub metric: MetricId,
    pub value: f64,
    /// Milliseconds before the step's `now`; negative where the device is ahead.
    pub age_millis: i64,
}

impl StepReading {
    pub fn new(reading: Reading, now: Now) -> Self {
        Self {
            device: reading.device,
            metric: reading.metric,
            value: reading.value,
            age_millis: now.at.millis_after(reading.at),
        }
    }

    pub fn reading(&self, now: Now) -> Reading {
        Reading {
            device: self.device,
            metric: self.metric,
            value: self.value,
            at: Timestamp::from_millis(now.at.as_millis().saturating_sub(self.age_millis)),
        }
    }
}
