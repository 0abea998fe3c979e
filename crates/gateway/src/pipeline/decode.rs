//! Uplinks to readings: which codec, which device, which corrections; and the bounds on what may get a number.
//!
//! Promise: every uplink ends as readings in the step, or as a counted drop with its reason and, now and then, a line
//! in the log; one whose payload cannot be read may be both, where the radio has told of it. Nothing that a device sends stops anything.

use std::collections::HashMap;
use std::sync::Arc;

use codecs::envelope::Envelope;
use codecs::{Codec, DecodeError, Input, Measurement, Measurements};
use gateway_core::{
    Ack, CodecId, Delivery, DeviceAddress, DeviceId, DropReason, MetricId, Now, Outcome, Reading, Timestamp,
    Uplink,
};

use super::directory::{DeviceRules, Directory, canonical};
use super::engine::Engine;
use super::frame_losses::FrameLosses;
use super::sampled_log::SampledLog;
use super::series::MAX_METRICS_PER_DEVICE;
use super::step::{AdapterIndex, Batch, NewMetric, NewNames, Step, StepReading};

/// Largest payload that is decoded, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 256 * 1024;

/// Most metric names in the whole gateway.
const MAX_METRICS: u32 = 10_000;

/// Longest device name in bytes.
const MAX_DEVICE_NAME: usize = DeviceAddress::MAX_BYTES;

/// Decodes with the codecs and devices of the present configuration.
pub(crate) struct Decoder {
    known: Known,
    measurements: Measurements,
    losses: FrameLosses,
    /// Names that devices have brought in this step.
    brought: HashMap<DeviceId, usize>,
    log: SampledLog,
}

/// What the configuration knows.
struct Known {
    codecs: Vec<Arc<Codec>>,
    directory: Directory,
}

/// Someone to tell once the step is stored.
pub(crate) type PendingAck = (Ack, Outcome);

impl Decoder {
    pub(crate) fn new(codecs: Vec<Arc<Codec>>, directory: Directory) -> Self {
        Self {
            known: Known { codecs, directory },
            measurements: Measurements::default(),
            losses: FrameLosses::default(),
            brought: HashMap::new(),
            log: SampledLog::default(),
        }
    }

    /// New devices and codecs; the table of codecs only grows, so that uplinks under way keep their meaning.
    pub(crate) fn reconfigure(&mut self, codecs: Vec<Arc<Codec>>, directory: Directory) {
        self.known = Known { codecs, directory };
    }

    /// Decodes `uplinks` into `step`; who waits for an answer is put into `acks`.
    pub(crate) fn decode(
        &mut self,
        uplinks: impl IntoIterator<Item = Uplink>,
        engine: &Engine,
        step: &mut Step,
        acks: &mut Vec<PendingAck>,
    ) {
        self.brought.clear();
        for mut uplink in uplinks {
            let outcome = self.decode_one(&mut uplink, engine, step);
            acks.push((uplink.ack, outcome));
        }
    }

    fn decode_one(&mut self, uplink: &mut Uplink, engine: &Engine, step: &mut Step) -> Outcome {
        let Step { now, names, batches, .. } = step;
        let registry = engine.registry();
        let adapter = names.adapter(registry, &uplink.adapter);
        let batch = batch_of(adapter, batches);
        if uplink.lost_before > 0 {
            batch.drop(DropReason::NoRoom, uplink.lost_before);
        }
        if !uplink.refused.is_empty() {
            uplink.refused.iter().for_each(|(reason, count)| batch.drop(*reason, *count));
            return Outcome::Taken;
        }
        if let Delivery::AtLeastOnce { key, again } = uplink.delivery {
            if again && (batch.deliveries.contains(&key) || engine.was_delivered(adapter, key)) {
                batch.drop(DropReason::Duplicate, 1);
                return Outcome::Taken;
            }
            batch.deliveries.push(key);
        }
        let mut outcome = Outcome::Taken;
        if let Err(refusal) = self.read_payload(uplink) {
            outcome = self.refuse(uplink, &refusal, batch, *now);
        }
        let refused = u32::try_from(self.measurements.not_finite()).unwrap_or(u32::MAX);
        if refused > 0 {
            batch.drop(DropReason::NotFinite, refused);
        }
        let mut naming =
            Naming { engine, names, directory: &self.known.directory, brought: &mut self.brought };
        if let Err(reason) = naming.readings(&self.measurements, uplink, batch, *now) {
            uplink.ack.explain(|| remedy(reason).to_owned());
            self.log.refused(uplink, reason, &Remedy(remedy(reason)), *now);
            outcome = Outcome::Refused(reason);
        }
        outcome
    }

    /// Counts a payload that could not be read, and tells of it.
    fn refuse(&mut self, uplink: &mut Uplink, refusal: &Refusal, batch: &mut Batch, now: Now) -> Outcome {
        let reason = refusal.reason();
        batch.drop(reason, 1);
        uplink.ack.explain(|| crate::telemetry::chain(refusal));
        self.log.refused(uplink, reason, refusal, now);
        Outcome::Refused(reason)
    }

    /// Fills `self.measurements`; what the radio says is there even where the payload cannot be read.
    fn read_payload(&mut self, uplink: &mut Uplink) -> Result<(), Refusal> {
        self.measurements.clear();
        let decoded = self.decode_payload(uplink);
        let heard = self.measurements.add_link(&uplink.link).map_err(Refusal::Undecodable);
        decoded.and(heard)
    }

    fn decode_payload(&mut self, uplink: &mut Uplink) -> Result<(), Refusal> {
        if uplink.payload.len() > MAX_PAYLOAD {
            return Err(Refusal::TooLarge);
        }
        if uplink.payload.is_empty() && uplink.link.is_known() {
            // A frame without a payload, such as LoRaWAN devices send to be asked something.
            return Ok(());
        }
        let format = self.known.codec(uplink.codec)?;
        let decoded = match format.open(&uplink.payload) {
            None => {
                let codec = self.known.own_codec(uplink)?.unwrap_or(format);
                codec.decode(&input(uplink), &mut self.measurements)
            }
            Some(Err(error)) => Err(error),
            Some(Ok(mut envelope)) => {
                self.known.name_sender(uplink, &envelope);
                self.losses.note(uplink.device.as_ref(), &mut envelope);
                let own = self.known.own_codec(uplink)?;
                envelope.measure(own, &input(uplink), &mut self.measurements)
            }
        };
        decoded.map_err(Refusal::Undecodable)
    }
}

impl Known {
    fn codec(&self, id: CodecId) -> Result<&Codec, Refusal> {
        self.codecs.get(usize::from(id.0)).map(|codec| &**codec).ok_or(Refusal::NoCodec)
    }

    /// A network server tells a device's DevEUI beside the topic's name; either may be the one that the configuration knows.
    fn name_sender(&self, uplink: &mut Uplink, envelope: &Envelope) {
        let is_known = |address: &str| self.directory.find(&canonical(address)).is_some();
        if uplink.device.as_ref().is_some_and(|name| is_known(name.as_str())) {
            return;
        }
        let known = envelope.dev_eui.as_deref().filter(|eui| is_known(eui));
        let sender = known.or_else(|| envelope.sender().filter(|_| uplink.device.is_none()));
        if let Some(sender) = sender.and_then(DeviceAddress::new) {
            uplink.device = Some(sender);
        }
    }

    /// The codec of the device's own table, where it names one.
    fn own_codec(&self, uplink: &Uplink) -> Result<Option<&Codec>, Refusal> {
        let rules = uplink.device.as_ref().and_then(|name| self.directory.find(&canonical(name.as_str())));
        rules.and_then(|rules| rules.codec).map(|id| self.codec(id)).transpose()
    }
}

fn input(uplink: &Uplink) -> Input<'_> {
    Input {
        payload: &uplink.payload,
        topic: &uplink.topic,
        device: uplink.device.as_ref().map(DeviceAddress::as_str),
        metric: uplink.metric.as_deref(),
        port: uplink.port,
        received_at: uplink.received_at,
    }
}

/// Why a payload gave nothing.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the payload is larger than 256 KiB")]
    TooLarge,
    #[error("its codec is not in the table, which is a bug: please report it")]
    NoCodec,
    #[error(transparent)]
    Undecodable(DecodeError),
}

impl Refusal {
    fn reason(&self) -> DropReason {
        match self {
            Self::TooLarge => DropReason::TooLarge,
            Self::NoCodec => DropReason::BadPayload,
            Self::Undecodable(error) => error.reason(),
        }
    }
}

/// [`remedy`] as an error, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Remedy(&'static str);

/// What to do about a message that was refused for what it is, not for how it is written.
fn remedy(reason: DropReason) -> &'static str {
    match reason {
        DropReason::BadDevice => "neither topic nor payload names a device; use {device} in the filter",
        DropReason::UnknownDevice => "no [devices.*] names it and unknown_devices is \"ignore\"",
        DropReason::TooManyDevices => "gateway.max_devices is reached; raise it if these devices are real",
        DropReason::TooManyMetrics => "too many metric names; is a changing value used as a key?",
        DropReason::NotFinite => "NaN and infinities are no measurements",
        _ => "see the reason",
    }
}

fn batch_of(adapter: AdapterIndex, batches: &mut Vec<Batch>) -> &mut Batch {
    let index = batches.iter().position(|batch| batch.adapter == adapter).unwrap_or_else(|| {
        batches.push(Batch::new(adapter));
        batches.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "the index was found or made just above")]
    &mut batches[index]
}

/// Gives numbers to names, the step's new ones included.
struct Naming<'a> {
    engine: &'a Engine,
    names: &'a mut NewNames,
    directory: &'a Directory,
    brought: &'a mut HashMap<DeviceId, usize>,
}

/// A device that has its number, and what is configured for it.
#[derive(Clone, Copy)]
struct Speaker<'a> {
    device: DeviceId,
    rules: Option<&'a DeviceRules>,
}

impl<'a> Naming<'a> {
    /// Makes readings of `measurements`; an error is why one or more of them were counted as dropped.
    fn readings(
        &mut self,
        measurements: &Measurements,
        uplink: &Uplink,
        batch: &mut Batch,
        now: Now,
    ) -> Result<(), DropReason> {
        let sender = uplink.device.as_ref().map(DeviceAddress::as_str);
        // Most payloads are about their sender alone, who is looked up once.
        let mut known_sender = None;
        let mut worst = Ok(());
        for measurement in measurements.iter() {
            let speaker = match measurement.device {
                Some(named) => self.speaker(Some(named)),
                None => *known_sender.get_or_insert_with(|| self.speaker(sender)),
            };
            match speaker.and_then(|speaker| self.reading(&measurement, speaker, uplink.received_at)) {
                Ok(reading) => batch.readings.push(StepReading::new(reading, now)),
                Err(reason) => {
                    batch.drop(reason, 1);
                    worst = Err(reason);
                }
            }
        }
        worst
    }

    /// Who it is that calls itself `said`.
    fn speaker(&mut self, said: Option<&str>) -> Result<Speaker<'a>, DropReason> {
        let said = said.filter(|name| !name.is_empty() && name.len() <= MAX_DEVICE_NAME);
        let address = canonical(said.ok_or(DropReason::BadDevice)?);
        let rules = self.directory.find(&address);
        let device = self.device(rules.map_or(&*address, |rules| &rules.name), rules.is_some())?;
        Ok(Speaker { device, rules })
    }

    fn reading(
        &mut self,
        measurement: &Measurement<'_>,
        Speaker { device, rules }: Speaker<'_>,
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
        // Devices that the configuration names always find room.
        let reserved = if configured { u32::try_from(self.directory.len()).unwrap_or(0) } else { 0 };
        let room = self.directory.max_devices.saturating_add(reserved);
        if self.names.device_total(self.engine.registry()) >= room {
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
            self.names.told_unit(self.engine.registry(), device, id, unit);
        }
        Ok(id)
    }

    fn new_metric(&mut self, device: DeviceId, name: &str, boolean: bool) -> Result<MetricId, DropReason> {
        // One device that makes up names must not use up everybody's.
        let brought = self.brought.entry(device).or_default();
        let full = self.engine.metrics_of(device) + *brought >= MAX_METRICS_PER_DEVICE;
        if full || self.names.metric_total(self.engine.registry()) >= MAX_METRICS {
            return Err(DropReason::TooManyMetrics);
        }
        *brought += 1;
        Ok(self.names.metric(self.engine.registry(), name, || NewMetric {
            name: name.into(),
            unit: codecs::unit_of(name).map(Into::into),
            boolean,
        }))
    }
}

/// A rename may say what the payload says, or the name that its codec made of that.
fn renamed<'a>(measurement: &Measurement<'a>, rules: Option<&'a DeviceRules>) -> &'a str {
    let Some(rules) = rules else { return measurement.metric };
    let said = measurement.said.and_then(|said| rules.rename.get(said));
    said.or_else(|| rules.rename.get(measurement.metric)).map_or(measurement.metric, String::as_str)
}

fn calibrated(value: f64, metric: &str, rules: Option<&DeviceRules>) -> f64 {
    match rules.and_then(|rules| rules.calibrate.get(metric)) {
        Some((scale, offset)) => value * scale + offset,
        None => value,
    }
}
