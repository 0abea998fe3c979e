//! An uplink: a device's message as an adapter passes it to the pipeline, with its acknowledgement.

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
    /// The longest name of an adapter's table, in bytes.
    pub const MAX_NAME_BYTES: usize = 64;
    /// The longest id, in bytes: kinds have short names.
    pub const MAX_BYTES: usize = 2 * Self::MAX_NAME_BYTES;
    /// The most adapters of a gateway. An aggregate has a share for each adapter that its readings came from.
    pub const MAX_COUNT: usize = 256;

    /// The id `kind.name`.
    #[must_use]
    pub fn new(kind: &str, name: &str) -> Self {
        Self(format!("{kind}.{name}").into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    #[must_use]
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// The part before the dot.
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

/// The codec that reads a payload: an index into a table that only grows, so that the index of an uplink in flight stays
/// valid during a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodecId(pub u16);

impl CodecId {
    /// No codec: only a codec in the device's own table reads the payload.
    pub const NONE: Self = Self(u16::MAX);
}

/// What the radio measured for the last hop. `None` if the radio does not report it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkQuality {
    /// dBm.
    pub rssi: Option<f64>,
    /// dB.
    pub snr: Option<f64>,
    /// LoRa spreading factor.
    pub spreading_factor: Option<u8>,
    /// Time on air, in seconds.
    pub airtime: Option<f64>,
    /// How many of the sender's earlier messages were not received, by its frame counter.
    pub frames_lost: Option<u32>,
    /// The sender's battery in per cent, if the link itself reports it.
    pub battery: Option<f64>,
}

impl LinkQuality {
    /// The known values, as metrics with their SenML units.
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

    /// Whether a metric of that name describes a radio link and not the building. The anomaly model ignores such metrics:
    /// they change all the time, also when people walk by, and every device has them.
    #[must_use]
    pub fn is_of_radio(metric: &str) -> bool {
        matches!(metric, "rssi" | "snr" | "spreading_factor" | "airtime" | "frames_lost" | "power_at_1m")
    }

    /// Whether any value is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.metrics().next().is_some()
    }
}

/// Whether the sender may send the same message twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// The sender sends it once.
    #[default]
    AtMostOnce,
    /// The sender repeats it until it receives the acknowledgement.
    AtLeastOnce {
        /// A hash of packet id, topic and payload: the same for the same message of one session.
        key: u64,
        /// The sender marks the message as a repetition: a known `key` is then a duplicate.
        again: bool,
    },
}

/// What became of an uplink; reported to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its readings are in the journal or counted: the sender may delete it.
    Taken,
    /// It was refused permanently, and counted: the sender should not send it again.
    Refused(DropReason),
}

/// Reports the outcome to the sender. If it is dropped without an outcome, the sender sends the message again.
#[derive(Default)]
pub struct Ack(Callback);

#[derive(Default)]
enum Callback {
    #[default]
    None,
    Outcome(Box<dyn FnOnce(Outcome) + Send>),
    WithReason(Box<dyn FnOnce(Outcome, Option<String>) + Send>, Option<String>),
}

impl Ack {
    /// For senders that expect no answer.
    #[must_use]
    pub const fn none() -> Self {
        Self(Callback::None)
    }

    /// Calls `callback` with the outcome, once. `callback` must not block.
    #[must_use]
    pub fn new(callback: impl FnOnce(Outcome) + Send + 'static) -> Self {
        Self(Callback::Outcome(Box::new(callback)))
    }

    /// As [`Self::new`], for a sender that can receive the reason of a refusal as text.
    #[must_use]
    pub fn with_reason(callback: impl FnOnce(Outcome, Option<String>) + Send + 'static) -> Self {
        Self(Callback::WithReason(Box::new(callback), None))
    }

    /// Sets the reason of a refusal; `why` is called only if the sender can receive it.
    pub fn explain(&mut self, why: impl FnOnce() -> String) {
        if let Callback::WithReason(_, reason) = &mut self.0 {
            *reason = Some(why());
        }
    }

    /// Reports the outcome to the sender.
    pub fn complete(self, outcome: Outcome) {
        match self.0 {
            Callback::None => {}
            Callback::Outcome(callback) => callback(outcome),
            Callback::WithReason(callback, reason) => callback(outcome, reason),
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.0, Callback::None) { "Ack(none)" } else { "Ack(expected)" })
    }
}

/// A value that a link decodes by itself, for example a register.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The metric's name.
    pub metric: Box<str>,
    /// A value that is not finite is refused and counted.
    pub value: f64,
    /// Whether it is a state, off or on, 0 or 1.
    pub is_state: bool,
    /// Its unit (SenML's name), where it is known.
    pub unit: Option<&'static str>,
}

/// One message from one device: bytes for a codec, or measurements that the link has already decoded.
///
/// [`Uplink::new`] makes an empty one; set the fields that apply.
#[derive(Debug)]
pub struct Uplink {
    /// The adapter that received it.
    pub adapter: AdapterId,
    /// The sending device, if the link or the topic names it; otherwise the codec finds it in the payload.
    pub device: Option<DeviceAddress>,
    /// The metric, where the topic names it (`{metric}`).
    pub metric: Option<Box<str>>,
    /// The codec, unless the device's own table names another.
    pub codec: CodecId,
    /// Its source on the link (a topic, a path, a characteristic), for codecs that need it and for the log; empty on links
    /// without such names.
    pub topic: Arc<str>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The application port, on links that have ports.
    pub port: Option<u8>,
    /// What the radio measured.
    pub link: LinkQuality,
    /// The bytes.
    pub payload: Bytes,
    /// The values that the link has decoded; then `payload` is empty and no codec is used.
    pub measurements: Vec<Measurement>,
    /// Whether `codec` was chosen for this value: then the codec in the device's table does not replace it.
    pub codec_is_fixed: bool,
    /// Whether the sender may repeat it.
    pub delivery: Delivery,
    /// How many earlier messages the adapter lost because its queue was full; they are counted as dropped.
    pub lost_before: u32,
    /// Messages that the adapter itself refused, by reason; they are counted as dropped. If there are any, the uplink
    /// contains nothing else.
    pub refused: Vec<(DropReason, u32)>,
    /// Its part of the memory budget; returned when it is decoded.
    pub memory: MemoryPermit,
    /// Reports the outcome to the sender.
    pub ack: Ack,
}

impl Uplink {
    /// An empty message of `adapter`: no device, no codec, not repeated, without an acknowledgement.
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
            memory: MemoryPermit::unbounded(),
            ack: Ack::none(),
        }
    }
}
