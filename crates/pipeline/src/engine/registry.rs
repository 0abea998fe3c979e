//! Numbers for names: devices, metrics, zones and adapters, in the order in which they were first seen.
//!
//! Part of the engine's state: names are journaled with the step that brought them, so numbers mean the same after a
//! restart. Who may have a number is decided in [`crate::decode`]; there the bounds are kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;
use gateway_core::{AdapterId, DeviceId, MetricId, MetricKind, ZoneId};
use serde::{Deserialize, Serialize};

use super::step::{AdapterIndex, FirstNumbers, NewMetric, NewNames, NewUnit};

/// Names and their numbers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Registry {
    adapters: Vec<AdapterId>,
    devices: Vec<Device>,
    metrics: Vec<Metric>,
    zones: Vec<Arc<str>>,
    device_ids: HashMap<Arc<str>, DeviceId, FixedState>,
    metric_ids: HashMap<Arc<str>, MetricId, FixedState>,
}

/// A device that has been seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Device {
    pub name: Arc<str>,
    pub zone: Option<ZoneId>,
    /// Whose adapter brought its newest reading; it is `protocol` in the payload.
    pub adapter: AdapterIndex,
    /// Units from its payloads, where they are not those of the metric's name.
    pub units: Vec<(MetricId, Box<str>)>,
}

/// A metric that has been seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Metric {
    pub name: Arc<str>,
    pub unit: Option<Box<str>>,
    pub boolean: bool,
    /// How its values are understood.
    pub kind: MetricKind,
}

/// As it stands in the checkpoint: the maps are made again.
#[derive(Serialize, Deserialize)]
struct Stored {
    adapters: Vec<AdapterId>,
    devices: Vec<Device>,
    metrics: Vec<Metric>,
    zones: Vec<Arc<str>>,
}

impl From<Stored> for Registry {
    fn from(stored: Stored) -> Self {
        let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        let device_ids = stored
            .devices
            .iter()
            .enumerate()
            .map(|(i, d)| (Arc::clone(&d.name), DeviceId(number(i))))
            .collect();
        let metric_ids = stored
            .metrics
            .iter()
            .enumerate()
            .map(|(i, m)| (Arc::clone(&m.name), MetricId(number(i))))
            .collect();
        let Stored { adapters, devices, metrics, zones } = stored;
        Self { adapters, devices, metrics, zones, device_ids, metric_ids }
    }
}

impl From<Registry> for Stored {
    fn from(registry: Registry) -> Self {
        let Registry { adapters, devices, metrics, zones, .. } = registry;
        Self { adapters, devices, metrics, zones }
    }
}

impl Registry {
    /// Gives numbers to new names, in their order. A gap before them is what a damaged disk took: it is filled.
    pub fn learn(&mut self, names: &NewNames) {
        while self.adapter_count() < names.first.adapter {
            self.adapters.push(AdapterId::new("lost", &self.adapters.len().to_string()));
        }
        while self.device_count() < names.first.device {
            self.learn_device(&format!("lost-{}", self.devices.len()));
        }
        while self.metric_count() < names.first.metric {
            let name = format!("lost-{}", self.metrics.len()).into();
            self.learn_metric(&NewMetric { name, unit: None, boolean: false });
        }
        self.adapters.extend(names.adapters.iter().cloned());
        names.devices.iter().for_each(|name| self.learn_device(name));
        names.metrics.iter().for_each(|metric| self.learn_metric(metric));
        names.units.iter().for_each(|unit| self.learn_unit(unit));
    }

    fn learn_device(&mut self, name: &str) {
        let name: Arc<str> = name.into();
        self.device_ids.insert(Arc::clone(&name), DeviceId(self.device_count()));
        self.devices.push(Device { name, zone: None, adapter: AdapterIndex(0), units: Vec::new() });
    }

    fn learn_metric(&mut self, NewMetric { name, unit, boolean }: &NewMetric) {
        let name: Arc<str> = (**name).into();
        self.metric_ids.insert(Arc::clone(&name), MetricId(self.metric_count()));
        self.metrics.push(Metric { name, unit: unit.clone(), boolean: *boolean, kind: MetricKind::Gauge });
    }

    fn learn_unit(&mut self, NewUnit { device, metric, unit }: &NewUnit) {
        let Some(device) = self.devices.get_mut(device.0 as usize) else { return };
        match device.units.iter_mut().find(|(known, _)| known == metric) {
            Some((_, known)) => known.clone_from(unit),
            None => device.units.push((*metric, unit.clone())),
        }
    }

    /// The unit of a device's metric: as in its payloads, else that of the metric's name.
    pub fn unit(&self, device: DeviceId, metric: MetricId) -> Option<&str> {
        let reported = self.device(device).and_then(|d| d.units.iter().find(|(known, _)| *known == metric));
        reported.map(|(_, unit)| &**unit).or_else(|| self.unit_of_name(metric))
    }

    /// The unit of a metric's name.
    pub fn unit_of_name(&self, metric: MetricId) -> Option<&str> {
        self.metric(metric).and_then(|metric| metric.unit.as_deref())
    }

    /// The numbers that the next new names get.
    pub fn next_numbers(&self) -> FirstNumbers {
        FirstNumbers {
            adapter: self.adapter_count(),
            device: self.device_count(),
            metric: self.metric_count(),
        }
    }

    pub fn device_count(&self) -> u32 {
        u32::try_from(self.devices.len()).unwrap_or(u32::MAX)
    }

    pub fn metric_count(&self) -> u32 {
        u32::try_from(self.metrics.len()).unwrap_or(u32::MAX)
    }

    pub fn adapter_count(&self) -> u16 {
        u16::try_from(self.adapters.len()).unwrap_or(u16::MAX)
    }

    pub fn device_id(&self, name: &str) -> Option<DeviceId> {
        self.device_ids.get(name).copied()
    }

    pub fn metric_id(&self, name: &str) -> Option<MetricId> {
        self.metric_ids.get(name).copied()
    }

    pub fn adapter_index(&self, id: &AdapterId) -> Option<AdapterIndex> {
        let index = self.adapters.iter().position(|known| known == id)?;
        Some(AdapterIndex(u16::try_from(index).ok()?))
    }

    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(id.0 as usize)
    }

    pub fn metric(&self, id: MetricId) -> Option<&Metric> {
        self.metrics.get(id.0 as usize)
    }

    pub fn zone(&self, id: ZoneId) -> Option<&Arc<str>> {
        self.zones.get(id.0 as usize)
    }

    pub fn zone_name(&self, id: ZoneId) -> Option<&str> {
        self.zone(id).map(|name| &**name)
    }

    pub fn adapter(&self, index: AdapterIndex) -> Option<&AdapterId> {
        self.adapters.get(usize::from(index.0))
    }

    pub fn device_name(&self, id: DeviceId) -> &str {
        self.device(id).map_or("?", |device| &device.name)
    }

    pub fn metric_name(&self, id: MetricId) -> &str {
        self.metric(id).map_or("?", |metric| &metric.name)
    }

    pub fn received_by(&mut self, id: DeviceId, adapter: AdapterIndex) {
        if let Some(device) = self.devices.get_mut(id.0 as usize) {
            device.adapter = adapter;
        }
    }

    /// Puts a device into a zone, which gets a number at its first mention.
    pub fn place(&mut self, id: DeviceId, zone: Option<&str>) -> Option<ZoneId> {
        let zone = zone.map(|name| self.zone_id(name));
        if let Some(device) = self.devices.get_mut(id.0 as usize) {
            device.zone = zone;
        }
        zone
    }

    fn zone_id(&mut self, name: &str) -> ZoneId {
        let index = self.zones.iter().position(|known| &**known == name).unwrap_or_else(|| {
            self.zones.push(name.into());
            self.zones.len() - 1
        });
        ZoneId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// Decides a metric's kind: as configured, else a state where its values are booleans, else a gauge.
    pub fn decide_kind(&mut self, id: MetricId, configured: &BTreeMap<String, MetricKind>) -> MetricKind {
        let Some(metric) = self.metrics.get_mut(id.0 as usize) else { return MetricKind::Gauge };
        let by_values = if metric.boolean { MetricKind::State } else { MetricKind::Gauge };
        metric.kind = configured.get(&*metric.name).copied().unwrap_or(by_values);
        metric.kind
    }
}
