//! Measurements to readings: which device and metric they are of, with their numbers; and the bounds on what may get one.

use std::collections::HashMap;
use std::sync::Arc;

use codecs::{Codec, Measurement, Measurements, NodeInfo};
use gateway_core::{DeviceAddress, DeviceId, DropReason, MetricId, Now, Reading, Timestamp, Uplink};

use super::directory::{DeviceRules, Directory, canonical};
use crate::engine::Engine;
use crate::engine::nodes::NodeReport;
use crate::engine::series::MAX_METRICS_PER_DEVICE;
use crate::engine::step::{Batch, Message, NewMetric, NewNames, StepReading};

/// Most metric names in the whole gateway.
const MAX_METRICS: u32 = 10_000;

/// Longest device name in bytes.
const MAX_DEVICE_NAME: usize = DeviceAddress::MAX_BYTES;

/// Gives numbers to names, the step's new ones included.
pub(crate) struct Naming<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) names: &'a mut NewNames,
    pub(crate) directory: &'a Directory,
    pub(crate) codecs: &'a [Arc<Codec>],
    /// How many new metrics each device has in this step.
    pub(crate) new_metrics: &'a mut HashMap<DeviceId, usize>,
}

/// A device that has its number, and what is configured for it.
#[derive(Clone, Copy)]
struct Sender<'a> {
    device: DeviceId,
    rules: Option<&'a DeviceRules>,
}

impl<'a> Naming<'a> {
    /// Makes readings of `measurements`; an error is why one or more of them were counted as dropped. `messages` gets
    /// their number, apart for those with a time of their own.
    pub(crate) fn readings(
        &mut self,
        measurements: &Measurements,
        uplink: &Uplink,
        batch: &mut Batch,
        messages: &mut Vec<Message>,
        now: Now,
    ) -> Result<(), DropReason> {
        let first = messages.len();
        let sender = uplink.device.as_ref().map(DeviceAddress::as_str);
        // Most payloads are about their sender alone, who is looked up once.
        let mut known_sender = None;
        let mut worst = Ok(());
        for measurement in measurements.iter() {
            let speaker = match measurement.device {
                Some(named) => self.sender(Some(named)),
                None => *known_sender.get_or_insert_with(|| self.sender(sender)),
            };
            let believed = speaker.and_then(|speaker| self.believed(speaker, measurements.node()));
            match believed.and_then(|speaker| self.reading(&measurement, speaker, uplink.received_at)) {
                Ok(reading) => {
                    batch.readings.push(StepReading::new(reading, now));
                    let has_own_time = measurement.at.is_some();
                    match messages.get_mut(first..).and_then(<[Message]>::last_mut) {
                        Some(message) if message.has_own_time == has_own_time => message.readings += 1,
                        _ => messages.push(Message { adapter: batch.adapter, has_own_time, readings: 1 }),
                    }
                }
                Err(reason) => {
                    batch.drop(reason, 1);
                    worst = Err(reason);
                }
            }
        }
        worst
    }

    /// What a frame of our own firmware says of its node, if it says something and the node may be known.
    pub(crate) fn node(&mut self, measurements: &Measurements, uplink: &Uplink) -> Option<NodeReport> {
        let info = measurements.node();
        if *info == NodeInfo::default() {
            return None;
        }
        let sender = self.sender(uplink.device.as_ref().map(DeviceAddress::as_str)).ok()?;
        let NodeInfo { sequence, seal, firmware, lost } = info.clone();
        // A frame without readings must not use up a number: those that have it would count as duplicates.
        let sequence = sequence.filter(|_| !measurements.is_empty());
        Some(NodeReport { device: sender.device, sequence, seal, firmware, lost })
    }

    /// A device with a key is believed only in frames that were sealed with it, whatever path or format a message takes.
    fn believed(&self, speaker: Sender<'a>, info: &NodeInfo) -> Result<Sender<'a>, DropReason> {
        let codec = speaker.rules.and_then(|rules| rules.codec);
        let has_key =
            codec.and_then(|id| self.codecs.get(usize::from(id.0))).is_some_and(|codec| codec.is_sealed());
        if has_key && info.seal.is_none() { Err(DropReason::BadMic) } else { Ok(speaker) }
    }

    /// The device whose address is `name`.
    fn sender(&mut self, name: Option<&str>) -> Result<Sender<'a>, DropReason> {
        let name = name.filter(|name| !name.is_empty() && name.len() <= MAX_DEVICE_NAME);
        let address = canonical(name.ok_or(DropReason::BadDevice)?);
        let rules = self.directory.find(&address);
        let device = self.device(rules.map_or(&*address, |rules| &rules.name), rules.is_some())?;
        Ok(Sender { device, rules })
    }

    fn reading(
        &mut self,
        measurement: &Measurement<'_>,
        Sender { device, rules }: Sender<'_>,
        received_at: Timestamp,
    ) -> Result<Reading, DropReason> {
        let name = renamed(measurement, rules);
        let value = calibrated(measurement.value, name, rules);
        if !value.is_finite() {
            return Err(DropReason::NotFinite);
        }
        let metric = self.metric(device, name, measurement)?;
        Ok(Reading { device, metric, value, at: measurement.at.unwrap_or(received_at) })
    }

    fn device(&mut self, name: &str, configured: bool) -> Result<DeviceId, DropReason> {
        if !configured && !self.directory.accept_unknown {
            return Err(DropReason::UnknownDevice);
        }
        if let Some(id) = self.names.known_device(self.engine.registry(), name) {
            return Ok(id);
        }
        // Configured devices are always accepted.
        let reserved = if configured { u32::try_from(self.directory.len()).unwrap_or(0) } else { 0 };
        let limit = self.directory.max_devices.saturating_add(reserved);
        if self.names.device_total(self.engine.registry()) >= limit {
            return Err(DropReason::TooManyDevices);
        }
        Ok(self.names.device(self.engine.registry(), name))
    }

    fn metric(
        &mut self,
        device: DeviceId,
        name: &str,
        measurement: &Measurement<'_>,
    ) -> Result<MetricId, DropReason> {
        let id = match self.names.known_metric(self.engine.registry(), name) {
            Some(id) => id,
            None => self.new_metric(device, name, measurement.boolean)?,
        };
        if let Some(unit) = measurement.unit {
            self.names.set_unit(self.engine.registry(), device, id, unit);
        }
        Ok(id)
    }

    fn new_metric(&mut self, device: DeviceId, name: &str, boolean: bool) -> Result<MetricId, DropReason> {
        // One device that makes up names must not use up everybody's.
        let new_metrics = self.new_metrics.entry(device).or_default();
        let full = self.engine.metrics_of(device) + *new_metrics >= MAX_METRICS_PER_DEVICE;
        if full || self.names.metric_total(self.engine.registry()) >= MAX_METRICS {
            return Err(DropReason::TooManyMetrics);
        }
        *new_metrics += 1;
        Ok(self.names.metric(self.engine.registry(), name, || NewMetric {
            name: name.into(),
            unit: codecs::unit_of(name).map(Into::into),
            boolean,
        }))
    }
}

/// A rename may use the payload's own name, or the name that the codec made of it.
fn renamed<'a>(measurement: &Measurement<'a>, rules: Option<&'a DeviceRules>) -> &'a str {
    let Some(rules) = rules else { return measurement.metric };
    let own = measurement.said.and_then(|said| rules.rename.get(said));
    own.or_else(|| rules.rename.get(measurement.metric)).map_or(measurement.metric, String::as_str)
}

fn calibrated(value: f64, metric: &str, rules: Option<&DeviceRules>) -> f64 {
    match rules.and_then(|rules| rules.calibrate.get(metric)) {
        Some((scale, offset)) => value * scale + offset,
        None => value,
    }
}
