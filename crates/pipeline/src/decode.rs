//! Uplinks to readings: which codec reads a payload, and what becomes of its measurements.
//!
//! Promise: every uplink ends as readings in the step, or as a counted drop with its reason and, now and then, a line
//! in the log; one whose payload cannot be read may be both, where the radio has measured something. Nothing that a device sends
//! stops anything: what a script reads enters a later step, and no other message waits for it ([`crate::scripts`]).

pub mod directory;
mod frame_losses;
mod naming;
mod sampled_log;
mod shown;

use std::collections::HashMap;
use std::sync::Arc;

use codecs::envelope::Envelope;
use codecs::{Codec, Measurements};
use gateway_core::{Ack, CodecId, Delivery, DeviceAddress, DeviceId, DropReason, Now, Outcome, Uplink};

use crate::decode::directory::{Directory, canonical};
use crate::decode::frame_losses::FrameLosses;
use crate::decode::naming::Naming;
use crate::decode::sampled_log::SampledLog;
use crate::decode::shown::show_message;
use crate::engine::Engine;
use crate::engine::step::{AdapterIndex, Batch, Step};
use crate::scripts::reader::{Reader, input};
use crate::scripts::refusal::{Refusal, Remedy, remedy};
use crate::scripts::{Answered, Scripts};
use read_model::ReadModel;

/// Largest payload that is decoded, in bytes.
pub const MAX_PAYLOAD: usize = 256 * 1024;

/// Decodes with the codecs and devices of the present configuration.
pub struct Decoder {
    known: Configured,
    scripts: Scripts,
    measurements: Measurements,
    losses: FrameLosses,
    /// How many new metrics each device has in this step.
    new_metrics: HashMap<DeviceId, usize>,
    log: SampledLog,
    /// Whether steps have the division of readings into messages.
    keeps_messages: bool,
    /// Where people look at what devices send.
    shown: Option<ReadModel>,
}

/// What the configuration knows.
struct Configured {
    codecs: Vec<Arc<Codec>>,
    directory: Directory,
}

/// A sender to notify once the step is stored.
pub(crate) type PendingAck = (Ack, Outcome);

impl Decoder {
    pub fn new(codecs: Vec<Arc<Codec>>, directory: Directory) -> Self {
        Self {
            known: Configured { codecs, directory },
            scripts: Scripts::default(),
            measurements: Measurements::default(),
            losses: FrameLosses::default(),
            new_metrics: HashMap::new(),
            log: SampledLog::default(),
            keeps_messages: false,
            shown: None,
        }
    }

    /// Whether a sink or the history takes readings, so that steps say which of them came together.
    #[must_use]
    pub fn keeping_messages(self, keeps_messages: bool) -> Self {
        Self { keeps_messages, ..self }
    }

    /// Shows each message in the read model, while somebody wants to see them.
    #[must_use]
    pub fn showing(self, read_model: ReadModel) -> Self {
        Self { shown: Some(read_model), ..self }
    }

    /// New devices and codecs; the table of codecs only grows, so that uplinks under way keep their meaning.
    pub(crate) fn reconfigure(&mut self, codecs: Vec<Arc<Codec>>, directory: Directory) {
        self.known = Configured { codecs, directory };
    }

    /// Puts what scripts have answered, and then `uplinks`, into `step`; who waits for an answer is put into `acks`. An
    /// uplink that a script reads is kept, and is among what is answered later.
    pub(crate) fn decode(
        &mut self,
        answered: Vec<Answered>,
        uplinks: Vec<Uplink>,
        engine: &Engine,
        step: &mut Step,
        acks: &mut Vec<PendingAck>,
    ) {
        self.new_metrics.clear();
        for Answered { mut uplink, mut measurements, result } in answered {
            // It may have been sent again, and read, while its script was at it.
            let outcome = match is_duplicate(&uplink, engine, step) {
                true => Outcome::Taken,
                false => self.put(&mut uplink, &mut measurements, result, engine, step),
            };
            acks.push((uplink.ack, outcome));
        }
        for uplink in uplinks {
            acks.extend(self.arrive(uplink, engine, step));
        }
    }

    /// What scripts have answered, once there is something.
    pub(crate) async fn answered(&mut self) -> Vec<Answered> {
        self.scripts.answered().await
    }

    /// [`Self::answered`] without a runtime; no script is given up.
    #[cfg(test)]
    pub(crate) fn answered_blocking(&mut self) -> Vec<Answered> {
        self.scripts.answered_blocking()
    }

    /// Whether more may be taken: scripts have less waiting for them than they may.
    pub(crate) fn has_capacity(&self) -> bool {
        self.scripts.has_capacity()
    }

    /// Which scripts have not come back, while there are any.
    pub(crate) fn problem(&self) -> Option<String> {
        let files: Vec<_> = self.scripts.stuck().collect();
        (!files.is_empty())
            .then(|| format!("codecs: {} did not return and cannot be stopped", files.join(", ")))
    }

    /// Whether no script has anything to read.
    pub(crate) fn is_idle(&self) -> bool {
        self.scripts.is_idle()
    }

    /// The gateway ends: what came of the messages that no script has read.
    pub(crate) fn close(&mut self) -> Vec<Answered> {
        self.scripts.close()
    }

    /// The uplinks that scripts are to read.
    pub(crate) fn waiting(&mut self) -> impl Iterator<Item = &mut Uplink> {
        self.scripts.uplinks_mut()
    }

    /// Reads an uplink, unless a script is to.
    fn arrive(&mut self, mut uplink: Uplink, engine: &Engine, step: &mut Step) -> Option<PendingAck> {
        if uplink.lost_before > 0 {
            batch_of(&uplink, engine, step).drop(DropReason::NoRoom, uplink.lost_before);
        }
        if !uplink.refused.is_empty() {
            let batch = batch_of(&uplink, engine, step);
            uplink.refused.iter().for_each(|(reason, count)| batch.drop(*reason, *count));
            return Some((uplink.ack, Outcome::Taken));
        }
        if is_duplicate(&uplink, engine, step) {
            return Some((uplink.ack, Outcome::Taken));
        }
        let result = match self.known.reader(&mut uplink, &mut self.losses) {
            Err(refusal) => {
                self.measurements.clear();
                Err(refusal)
            }
            Ok(reader) => match self.scripts.queue_of(&uplink, &reader) {
                Some(queue) => {
                    self.scripts.take(queue, uplink, reader);
                    return None;
                }
                None => reader.read(&input(&uplink), &mut self.measurements).map_err(Refusal::Undecodable),
            },
        };
        let mut measurements = std::mem::take(&mut self.measurements);
        let outcome = self.put(&mut uplink, &mut measurements, result, engine, step);
        self.measurements = measurements;
        Some((uplink.ack, outcome))
    }

    /// Makes readings of what was read in an uplink.
    fn put(
        &mut self,
        uplink: &mut Uplink,
        measurements: &mut Measurements,
        result: Result<(), Refusal>,
        engine: &Engine,
        step: &mut Step,
    ) -> Outcome {
        let adapter = step.names.adapter(engine.registry(), &uplink.adapter);
        let Step { now, names, batches, nodes, messages, .. } = step;
        let batch = batch_at(adapter, batches);
        if let Delivery::AtLeastOnce { key, .. } = uplink.delivery {
            batch.deliveries.push(key);
        }
        // The link's own measurements are there even where the payload cannot be read.
        let link = measurements.add_link(&uplink.link).map_err(Refusal::Undecodable);
        let link = link.and(measurements.add_all(&uplink.measurements).map_err(Refusal::Undecodable));
        let mut outcome = Outcome::Taken;
        let read = result.and(link);
        if let Some(shown) = self.shown.as_ref().filter(|shown| shown.messages().are_kept()) {
            show_message(shown.messages(), &self.known, uplink, measurements, read.as_ref().err(), *now);
        }
        if let Err(refusal) = read {
            outcome = self.refuse(uplink, &refusal, batch, *now);
        }
        let mut naming = Naming {
            engine,
            names,
            directory: &self.known.directory,
            codecs: &self.known.codecs,
            new_metrics: &mut self.new_metrics,
        };
        if outcome == Outcome::Taken
            && let Some(report) = naming.node(measurements, uplink)
        {
            let judged = engine.nodes().judge(&report, nodes);
            nodes.extend(report.after(judged));
            if let Err(reason) = judged {
                // The sender may believe that it was lost the first time: it is acknowledged again.
                batch.drop(reason, u32::try_from(measurements.len()).unwrap_or(u32::MAX).max(1));
                return Outcome::Taken;
            }
        }
        let refused = u32::try_from(measurements.not_finite()).unwrap_or(u32::MAX);
        if refused > 0 {
            batch.drop(DropReason::NotFinite, refused);
        }
        let named = naming.readings(measurements, uplink, batch, messages, *now);
        if !self.keeps_messages {
            messages.clear();
        }
        if let Err(reason) = named {
            uplink.ack.explain(|| remedy(reason).to_owned());
            self.log.refused(uplink, reason, &Remedy(remedy(reason)), *now);
            outcome = Outcome::Refused(reason);
        }
        outcome
    }

    /// Counts a payload that could not be read, and logs it.
    fn refuse(&mut self, uplink: &mut Uplink, refusal: &Refusal, batch: &mut Batch, now: Now) -> Outcome {
        let reason = refusal.reason();
        batch.drop(reason, 1);
        uplink.ack.explain(|| gateway_core::chain(refusal));
        self.log.refused(uplink, reason, refusal, now);
        Outcome::Refused(reason)
    }
}

impl Configured {
    /// The codec of an uplink, and its device.
    fn reader(&self, uplink: &mut Uplink, losses: &mut FrameLosses) -> Result<Reader, Refusal> {
        if uplink.payload.len() > MAX_PAYLOAD {
            return Err(Refusal::TooLarge);
        }
        let is_read = !uplink.measurements.is_empty() || uplink.link.is_known();
        if uplink.payload.is_empty() && is_read {
            return Ok(Reader::Nothing);
        }
        if uplink.codec == CodecId::NONE {
            return self.own_codec(uplink)?.map(Reader::Payload).ok_or_else(|| self.no_codec(uplink));
        }
        let format = self.codec(uplink.codec)?;
        match format.open(&uplink.payload) {
            None => {
                let own = self.own_codec(uplink)?.filter(|own| format.yields_to(own));
                // A device that seals its frames is not believed in any other form.
                let own = own.filter(|own| !uplink.codec_is_fixed || own.is_sealed());
                Ok(Reader::Payload(own.unwrap_or(format)))
            }
            Some(Err(error)) => Err(Refusal::Undecodable(error)),
            Some(Ok(mut envelope)) => {
                self.name_sender(uplink, &envelope);
                losses.note(uplink.device.as_ref(), &mut envelope);
                let own = self.own_codec(uplink)?;
                Ok(Reader::Envelope(Box::new(envelope), own))
            }
        }
    }

    fn codec(&self, id: CodecId) -> Result<Arc<Codec>, Refusal> {
        self.codecs.get(usize::from(id.0)).cloned().ok_or(Refusal::NotInTable)
    }

    fn no_codec(&self, uplink: &Uplink) -> Refusal {
        let address = uplink.device.as_ref().map_or("?", DeviceAddress::as_str);
        let name = self.directory.find(&canonical(address)).map_or(address, |rules| &rules.name);
        Refusal::NoCodec { device: name.to_owned() }
    }

    /// A network server sends a device's DevEUI beside the topic's name; either may be the one that the configuration knows.
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
    fn own_codec(&self, uplink: &Uplink) -> Result<Option<Arc<Codec>>, Refusal> {
        let rules = uplink.device.as_ref().and_then(|name| self.directory.find(&canonical(name.as_str())));
        rules.and_then(|rules| rules.codec).map(|id| self.codec(id)).transpose()
    }
}

/// Whether the same message was taken before; then it is counted as sent again.
fn is_duplicate(uplink: &Uplink, engine: &Engine, step: &mut Step) -> bool {
    let Delivery::AtLeastOnce { key, again: true } = uplink.delivery else { return false };
    let adapter = step.names.adapter(engine.registry(), &uplink.adapter);
    let batch = batch_at(adapter, &mut step.batches);
    let is_known = batch.deliveries.contains(&key) || engine.was_delivered(adapter, key);
    if is_known {
        batch.drop(DropReason::Duplicate, 1);
    }
    is_known
}

fn batch_of<'s>(uplink: &Uplink, engine: &Engine, step: &'s mut Step) -> &'s mut Batch {
    let adapter = step.names.adapter(engine.registry(), &uplink.adapter);
    batch_at(adapter, &mut step.batches)
}

fn batch_at(adapter: AdapterIndex, batches: &mut Vec<Batch>) -> &mut Batch {
    let index = batches.iter().position(|batch| batch.adapter == adapter).unwrap_or_else(|| {
        batches.push(Batch::new(adapter));
        batches.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "the index was found or made just above")]
    &mut batches[index]
}
