//! What an adapter hands over: bytes from a device, with whom to thank for them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{DeviceAddress, DropReason, MemoryPermit, Timestamp};

/// An adapter's name: its kind and its table's name, `kind.name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdapterId(Arc<str>);

impl AdapterId {
    /// `kind.name`.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self(format!("{kind}.{name}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to keep.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(kind, _)| kind)
    }
}

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which of the gateway's codecs reads a payload: an index into a table that only grows, so that an uplink under way
/// during a reload keeps its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodecId(pub u16);

impl CodecId {
    /// None of them: only a codec in the device's own table reads the payload.
    pub const NONE: Self = Self(u16::MAX);
}

/// What the radio said of the last hop, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkQuality {
    /// dBm.
    pub rssi: Option<f64>,
    /// dB.
    pub snr: Option<f64>,
    /// LoRa spreading factor.
    pub spreading_factor: Option<u8>,
    /// How long it was on the air, in seconds.
    pub airtime: Option<f64>,
    /// How many of the sender's messages before it were not heard, by its counter.
    pub frames_lost: Option<u32>,
    /// The sender's battery in per cent, where the link itself tells (a status of the link itself).
    pub battery: Option<f64>,
}

impl LinkQuality {
    /// What there is of it, as metrics with their SenML units.
    pub fn metrics(&self) -> impl Iterator<Item = (&'static str, f64, Option<&'static str>)> {
        [
            ("rssi", self.rssi, Some("dBm")),
            ("snr", self.snr, Some("dB")),
            ("spreading_factor", self.spreading_factor.map(f64::from), None),
            ("airtime", self.airtime, Some("s")),
            ("frames_lost", self.frames_lost.map(f64::from), None),
            ("battery", self.battery, Some("%EL")),
        ]
        .into_iter()
        .filter_map(|(name, value, unit)| Some((name, value?, unit)))
    }

    /// Whether a metric of that name tells of a radio link rather than of the building. It is never at rest, moves with
    /// whoever walks by, and there are as many as there are devices: it is not judged for anomalies.
    #[must_use]
    pub fn is_of_radio(metric: &str) -> bool {
        matches!(metric, "rssi" | "snr" | "spreading_factor" | "airtime" | "frames_lost" | "power_at_1m")
    }

    /// Whether the radio said anything.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.metrics().next().is_some()
    }
}

/// Whether the sender may hand the same message over twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Never again.
    #[default]
    AtMostOnce,
    /// Until it sees the acknowledgement.
    AtLeastOnce {
        /// The same for the same message of the same session: its packet id, topic and payload, hashed.
        key: u64,
        /// The sender says that it sent this before: a known `key` is then a duplicate.
        again: bool,
    },
}

/// What became of an uplink, told to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its readings are in the journal, or counted: the sender need not keep it.
    Taken,
    /// It was refused for good, and counted; sending it again would not help.
    Refused(DropReason),
}

/// How to tell the sender. Dropped without a word, the sender keeps its message and sends it again.
#[derive(Default)]
pub struct Ack(Tell);

#[derive(Default)]
enum Tell {
    #[default]
    Nobody,
    Outcome(Box<dyn FnOnce(Outcome) + Send>),
    InWords(Box<dyn FnOnce(Outcome, Option<String>) + Send>, Option<String>),
}

impl Ack {
    /// For senders that expect no answer.
    #[must_use]
    pub const fn none() -> Self {
        Self(Tell::Nobody)
    }

    /// Calls `tell` with the outcome, once. `tell` must not block.
    #[must_use]
    pub fn new(tell: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Tell::Outcome(Box::new(tell)))
    }

    /// As [`Self::new`], for a sender that can be told in words why it was refused.
    #[must_use]
    pub fn in_words(tell: impl FnOnce(Outcome, Option<String>) + Send + 'static) -> Self {
        Self(Tell::InWords(Box::new(tell), None))
    }

    /// Keeps why the message was refused, where the sender wants to know.
    pub fn explain(&mut self, why: impl FnOnce() -> String) {
        if let Tell::InWords(_, words) = &mut self.0 {
            *words = Some(why());
        }
    }

    /// Tells the sender.
    pub fn tell(self, outcome: Outcome) {
        match self.0 {
            Tell::Nobody => {}
            Tell::Outcome(tell) => tell(outcome),
            Tell::InWords(tell, why) => tell(outcome, why),
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.0, Tell::Nobody) { "Ack(none)" } else { "Ack(expected)" })
    }
}

/// A value that a link has understood by itself, such as a register's.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Which metric.
    pub metric: Box<str>,
    /// The value; one that is not finite is refused and counted.
    pub value: f64,
    /// Whether it is a state, off or on, 0 or 1.
    pub is_state: bool,
    /// Its unit (SenML's name), where it is known.
    pub unit: Option<&'static str>,
}

/// One message from one device: bytes that a codec reads, or measurements that the link has understood already.
///
/// [`Uplink::new`] makes one with nothing in it; set what there is.
#[derive(Debug)]
pub struct Uplink {
    /// Which adapter heard it.
    pub adapter: AdapterId,
    /// Which device sent it, where the link or the topic tells; else the codec finds it in the payload.
    pub device: Option<DeviceAddress>,
    /// The metric, where the topic names it (`{metric}`).
    pub metric: Option<Box<str>>,
    /// Which codec reads it, unless the device's own table says otherwise.
    pub codec: CodecId,
    /// Where on its link it came from (a topic, a path, a characteristic), for codecs that need it and for the log;
    /// empty on links that have no such names.
    pub topic: Arc<str>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The application port, on links that have ports.
    pub port: Option<u8>,
    /// The radio's word on it.
    pub link: LinkQuality,
    /// The bytes.
    pub payload: Bytes,
    /// What the link has understood already; then `payload` is empty and no codec is asked.
    pub measurements: Vec<Measurement>,
    /// Whether `codec` was chosen for just this value: then the codec in the device's own table does not replace it.
    pub codec_is_fixed: bool,
    /// Whether it may come again.
    pub delivery: Delivery,
    /// How many messages before it the adapter lost for want of memory: to be counted as dropped.
    pub lost_before: u32,
    /// Messages that the adapter itself refused, by reason: to be counted as dropped. Where there are any the uplink
    /// carries nothing else.
    pub refused: Vec<(DropReason, u32)>,
    /// Its part of the memory for what is under way; free again when it is decoded.
    pub permit: MemoryPermit,
    /// Notified of the outcome.
    pub ack: Ack,
}

impl Uplink {
    /// A message of `adapter` with nothing in it: from no device in particular, to be read by no codec, never sent
    /// again, with no one to answer.
    #[must_use]
    pub fn new(adapter: AdapterId, received_at: Timestamp) -> Self {
        Self {
            adapter,
            device: None,
            metric: None,
            codec: CodecId::NONE,
            topic: Arc::from(""),
            received_at,
            port: None,
            link: LinkQuality::default(),
            payload: Bytes::new(),
            measurements: Vec::new(),
            codec_is_fixed: false,
            delivery: Delivery::AtMostOnce,
            lost_before: 0,
            refused: Vec::new(),
            permit: MemoryPermit::unbounded(),
            ack: Ack::none(),
        }
    }
}
