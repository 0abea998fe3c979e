//! The devices that a Sparkplug host is told of, with the last value of each metric: what their births say.
//!
//! At most [`MAX_METRICS`] metrics are known. The devices that were silent the longest are forgotten first; a forgotten device
//! is born anew with its next record, so that nothing of it is lost but the values in its birth.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use gateway_core::Timestamp;

use super::payload::{DataType, Metric};
use crate::upstream::format::fields::{Field, Value};

/// Of all devices together. About 25 MB.
pub(super) const MAX_METRICS: usize = 200_000;

/// What is known of one device.
#[derive(Debug, Default)]
pub(super) struct Device {
    metrics: BTreeMap<String, KnownMetric>,
    /// A DBIRTH with all of `metrics` was sent on this connection.
    pub(super) is_born: bool,
    /// The rules by which it is silent now, and since when.
    silences: BTreeMap<String, Timestamp>,
    /// Its key in [`Devices::by_age`].
    age: u64,
}

#[derive(Debug)]
struct KnownMetric {
    datatype: DataType,
    unit: Option<String>,
    /// The newest value that was sent, and its time.
    last: Option<(Value, Timestamp)>,
}

impl Device {
    pub(super) fn is_silent(&self) -> bool {
        !self.silences.is_empty()
    }

    pub(super) fn fell_silent(&mut self, rule: &str, at: Timestamp) {
        self.silences.insert(rule.to_owned(), at);
    }

    pub(super) fn is_heard_again(&mut self, rule: &str) {
        self.silences.remove(rule);
    }

    /// Readings that came at `at` or later end the silences before.
    pub(super) fn was_heard(&mut self, at: Timestamp) {
        self.silences.retain(|_, since| *since > at);
    }

    /// Whether a newer value was sent than one of time `at`.
    pub(super) fn has_newer(&self, name: &str, at: Timestamp) -> bool {
        let last = self.metrics.get(name).and_then(|metric| metric.last.as_ref());
        last.is_some_and(|(_, newest)| *newest > at)
    }

    /// Notes values that were sent.
    pub(super) fn sent(&mut self, values: Vec<(String, Value)>, at: Timestamp) {
        for (name, value) in values {
            if let Some(metric) = self.metrics.get_mut(&name)
                && metric.last.as_ref().is_none_or(|(_, newest)| *newest <= at)
            {
                metric.last = Some((value, at));
            }
        }
    }

    /// The metrics of a DBIRTH: each with the value that was sent last, or null.
    pub(super) fn birth(&self, now: Timestamp) -> Vec<Metric> {
        let metric = |(name, known): (&String, &KnownMetric)| {
            let (value, at) = known.last.as_ref().map_or((None, now), |(value, at)| (Some(value), *at));
            Metric::new(name, known.datatype, value, at).with_unit(known.unit.as_deref())
        };
        self.metrics.iter().map(metric).collect()
    }
}

#[derive(Debug)]
pub(super) struct Devices {
    by_name: HashMap<Arc<str>, Device>,
    /// Names, the one that had no record for the longest time first.
    by_age: BTreeMap<u64, Arc<str>>,
    next_age: u64,
    /// Metrics of all devices.
    metrics: usize,
    max_metrics: usize,
}

impl Devices {
    pub(super) fn new(max_metrics: usize) -> Self {
        Self { by_name: HashMap::new(), by_age: BTreeMap::new(), next_age: 0, metrics: 0, max_metrics }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Device> {
        self.by_name.get(name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Device> {
        self.by_name.get_mut(name)
    }

    /// The names of all devices that are not silent, and from now on none is born.
    pub(super) fn forget_births(&mut self) -> Vec<Arc<str>> {
        for device in self.by_name.values_mut() {
            device.is_born = false;
        }
        let is_alive = |name: &&Arc<str>| self.get(name).is_some_and(|device| !device.is_silent());
        self.by_age.values().filter(is_alive).cloned().collect()
    }

    /// Makes the device the newest one and adds metrics of a record that it does not have. With a new metric it is not born
    /// any more.
    pub(super) fn add(&mut self, name: &str, fields: &[Field<'_>]) {
        let key = match self.by_name.get_key_value(name) {
            Some((key, device)) => {
                self.by_age.remove(&device.age);
                Arc::clone(key)
            }
            None => Arc::from(name),
        };
        let device = self.by_name.entry(Arc::clone(&key)).or_default();
        device.age = self.next_age;
        self.by_age.insert(self.next_age, Arc::clone(&key));
        self.next_age += 1;
        let is_new = |field: &&Field<'_>| !device.metrics.contains_key(&field.name);
        let new: Vec<&Field<'_>> = fields.iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        device.is_born = false;
        if device.metrics.len() + new.len() > self.max_metrics {
            self.metrics -= device.metrics.len();
            device.metrics.clear();
        }
        let before = device.metrics.len();
        for field in fields {
            device.metrics.entry(field.name.clone()).or_insert_with(|| KnownMetric {
                datatype: DataType::of(&field.value),
                unit: field.unit.map(str::to_owned),
                last: None,
            });
        }
        self.metrics += device.metrics.len() - before;
        self.forget_oldest(&key);
    }

    /// Forgets devices until the bound is kept, but not `newest`.
    fn forget_oldest(&mut self, newest: &Arc<str>) {
        while self.metrics > self.max_metrics {
            match self.by_age.first_key_value() {
                Some((_, oldest)) if oldest != newest => {}
                _ => return,
            }
            let Some((_, oldest)) = self.by_age.pop_first() else { return };
            if let Some(device) = self.by_name.remove(&oldest) {
                self.metrics -= device.metrics.len();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn metrics(&self) -> usize {
        self.metrics
    }
}
