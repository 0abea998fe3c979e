//! The envelopes of LoRaWAN network servers around a device's payload: `ttn` (The Things Stack, v3) and `chirpstack` (v4).
//!
//! - The measurements of an uplink come from the device's own codec or, without one, from the server's decoder. Names are as
//!   with codecs in JavaScript, because the server's decoders are JavaScript.
//! - Every uplink also measures `rssi` and `snr` of the best receiver (by SNR, then RSSI), `spreading_factor` and, where the
//!   server gives it, `airtime`.
//! - The event time is the server's, unless the device's payload has a time.
//! - Joins, acknowledgements, downlinks, logs and other messages of a server are valid and have no measurements.
//! - The servers leave out zeros, or write null for missing values. Members of an unexpected type count as missing, so that
//!   a new version of a server does not break a building.

mod chirpstack;
mod fields;
mod ttn;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gateway_core::{LinkQuality, Timestamp, chain};
use serde_json::Value;

use crate::javascript::measure_data;
use crate::words::from_bool;
use crate::{Codec, DecodeError, Explained, Input, Measurements};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The network server of the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Ttn,
    Chirpstack,
}

impl Server {
    pub(crate) fn open(self, payload: &[u8]) -> Result<Envelope, DecodeError> {
        let message = crate::parse_json(payload)?;
        if !message.is_object() {
            return Err(DecodeError::Shape { expected: "an object, as the network server publishes it" });
        }
        Ok(match self {
            Self::Ttn => ttn::open(&message),
            Self::Chirpstack => chirpstack::open(&message),
        })
    }
}

/// A network server's message.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// The DevEUI in 16 lower-case hex digits.
    pub dev_eui: Option<String>,
    /// The server's name for the device.
    pub device: Option<String>,
    /// When the server received it.
    pub at: Option<Timestamp>,
    /// The frame counter, if the message is a frame of the device.
    pub counter: Option<u32>,
    /// The event.
    pub event: Event,
}

/// The event that a message reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A device sent a payload.
    Uplink(Uplink),
    /// A device answered a status request.
    Status(Status),
    /// An event without measurements.
    Other,
}

/// The device's payload and its link quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    port: u8,
    /// The payload in base64, and the name of its member; never empty.
    bytes: Option<(&'static str, String)>,
    /// The result of the server's decoder.
    decoded: Option<Value>,
    normalized: Option<Vec<Value>>,
    link: LinkQuality,
}

/// LoRaWAN's DevStatusAns.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Per cent; `None` on external power, or if the device does not know it.
    battery: Option<f64>,
    external_power: Option<bool>,
    /// SNR of the last downlink in dB.
    margin: Option<f64>,
}

impl Envelope {
    /// The sender, if only the message names it: the DevEUI, or the server's name for the device.
    #[must_use]
    pub fn sender(&self) -> Option<&str> {
        self.dev_eui.as_deref().or(self.device.as_deref())
    }

    /// Sets how many frames of the device were lost before this one: the metric `frames_lost`.
    pub fn lost_before(&mut self, frames: u32) {
        if let Event::Uplink(uplink) = &mut self.event {
            uplink.link.frames_lost = Some(frames);
        }
    }

    /// Clears `out` and fills it with the message's measurements; `codec` is the device's own, `input` the message.
    ///
    /// # Errors
    /// The device's payload cannot be decoded. The link quality is in `out` in any case.
    pub fn measure(
        &self,
        codec: Option<&Codec>,
        input: &Input<'_>,
        out: &mut Measurements,
    ) -> Result<(), DecodeError> {
        out.clear();
        let measured = match &self.event {
            Event::Uplink(uplink) => uplink.measure(codec, &self.inner(input), out),
            Event::Status(status) => status.measure(out),
            Event::Other => Ok(()),
        };
        if let Some(at) = self.at {
            out.set_missing_times(at);
        }
        measured
    }

    /// Fills `out` with the link quality of a message whose payload is not decoded.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn measure_radio(&self, out: &mut Measurements) -> Result<(), DecodeError> {
        out.clear();
        let Event::Uplink(uplink) = &self.event else { return Ok(()) };
        let measured = out.add_link(&uplink.link);
        if let Some(at) = self.at {
            out.set_missing_times(at);
        }
        measured
    }

    /// As [`Codec::explain`]. A payload without a codec is only a warning, because the message itself is valid.
    pub(crate) fn explain(&self, input: &Input<'_>, out: &mut Measurements) -> Explained {
        let mut explained = Explained { data: self.decoded(), ..Explained::default() };
        match self.measure(None, input, out) {
            Ok(()) => {}
            Err(error @ DecodeError::NoDeviceCodec) => explained.warnings.push(error.to_string()),
            Err(error) => explained.errors.push(chain(&error)),
        }
        explained
    }

    fn decoded(&self) -> Value {
        match &self.event {
            Event::Uplink(Uplink { decoded: Some(decoded), .. }) => decoded.clone(),
            _ => Value::Null,
        }
    }

    /// The device's payload as input of its codec, without the server's topic.
    fn inner<'a>(&self, input: &Input<'a>) -> Input<'a> {
        Input { topic: "", received_at: self.at.unwrap_or(input.received_at), ..*input }
    }
}

impl Uplink {
    fn measure(
        &self,
        codec: Option<&Codec>,
        input: &Input<'_>,
        out: &mut Measurements,
    ) -> Result<(), DecodeError> {
        let measured = self.payload(codec, input, out).and_then(|()| out.add_link(&self.link));
        if measured.is_err() {
            out.clear();
            out.add_link(&self.link)?;
        }
        measured
    }

    fn payload(
        &self,
        codec: Option<&Codec>,
        input: &Input<'_>,
        out: &mut Measurements,
    ) -> Result<(), DecodeError> {
        // A second envelope is a configuration mistake; only the outer one is decoded.
        let codec = codec.filter(|codec| !codec.is_envelope());
        match (codec, &self.bytes, &self.decoded, &self.normalized) {
            (Some(codec), Some((key, text)), ..) => {
                let payload = BASE64.decode(text).map_err(|_| DecodeError::Base64 { key })?;
                codec.decode(&Input { payload: &payload, port: Some(self.port), ..*input }, out)
            }
            (_, _, Some(decoded), normalized) => measure_data(decoded, normalized.as_deref(), out),
            (_, _, None, normalized @ Some(_)) => {
                let nothing = Value::Object(serde_json::Map::new());
                measure_data(&nothing, normalized.as_deref(), out)
            }
            (None, Some(_), None, None) => Err(DecodeError::NoDeviceCodec),
            (_, None, None, None) => Ok(()),
        }
    }
}

impl Status {
    fn measure(&self, out: &mut Measurements) -> Result<(), DecodeError> {
        out.begin_record();
        if let Some(battery) = self.battery {
            out.push("battery", battery)?;
        }
        if let Some(margin) = self.margin {
            out.push("margin", margin)?;
            out.set_unit("margin", "dB");
        }
        self.external_power.map_or(Ok(()), |on| out.push("external_power_source", from_bool(on)))
    }
}

/// Stands for the codec of a device without its own.
pub(crate) fn decode(server: Server, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    server.open(input.payload)?.measure(None, input, out)
}

/// The result of the server's decoder, or null.
pub(crate) fn data(server: Server, input: &Input<'_>) -> Result<Value, DecodeError> {
    server.open(input.payload).map(|envelope| envelope.decoded())
}
