//! What a LoRaWAN network server says around a device's payload: `ttn` (The Things Stack, v3) and `chirpstack` (v4).
//!
//! - An uplink measures what the device's own codec reads in the bytes; where the device has none, what the server's
//!   decoder read. Names are as with codecs in JavaScript: the server's decoders are those.
//! - Every uplink also measures `rssi` and `snr` of the best receiver (by SNR, then RSSI), `spreading_factor` and, where the
//!   server gives it, `airtime`.
//! - All is of the time that the server says, unless the device's own payload has a time.
//! - Joins, acknowledgements, downlinks, logs and whatever else a server publishes are no error and measure nothing.
//! - The servers leave out what is zero, or write null for what is not there. Members of an unexpected type count as not
//!   there: a server's next version must not silence a building.

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

/// Whose envelope it is.
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
    /// What the server's user calls the device.
    pub device: Option<String>,
    /// When the server received it.
    pub at: Option<Timestamp>,
    /// The counter of the device's frame, where this is one that was on the air.
    pub counter: Option<u32>,
    /// What happened.
    pub event: Event,
}

/// The event that a message reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A device sent a payload.
    Uplink(Uplink),
    /// A device answered the server's question how it is.
    Status(Status),
    /// Nothing that can be measured.
    Other,
}

/// What a device sent, and how it was heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    port: u8,
    /// The payload in base64, and the member that it stands in; never empty.
    bytes: Option<(&'static str, String)>,
    /// What the server's decoder read in it.
    decoded: Option<Value>,
    normalized: Option<Vec<Value>>,
    link: LinkQuality,
}

/// LoRaWAN's DevStatusAns.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Percent; none on external power, or where the device cannot tell.
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

    /// Clears `out` and fills it with what the message measures; `codec` is the device's own, and `input` the message's.
    ///
    /// # Errors
    /// Where the device's payload cannot be read. What the radio says of it is in `out` all the same.
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

    /// Fills `out` with what the radio says of a message whose payload is not read.
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

    /// As [`Codec::explain`]. Bytes that no codec can read are only a warning here: the message itself is valid.
    pub(crate) fn explain(&self, input: &Input<'_>, out: &mut Measurements) -> Explained {
        let mut told = Explained { data: self.decoded(), ..Explained::default() };
        match self.measure(None, input, out) {
            Ok(()) => {}
            Err(error @ DecodeError::NoDeviceCodec) => told.warnings.push(error.to_string()),
            Err(error) => told.errors.push(chain(&error)),
        }
        told
    }

    fn decoded(&self) -> Value {
        match &self.event {
            Event::Uplink(Uplink { decoded: Some(decoded), .. }) => decoded.clone(),
            _ => Value::Null,
        }
    }

    /// The device's own payload as its codec is to see it: it does not know the server's topic.
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
        // An envelope in an envelope is a mistake, and the outer one what is meant.
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

/// The codec of a device that has none of its own.
pub(crate) fn decode(server: Server, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    server.open(input.payload)?.measure(None, input, out)
}

/// What the server's decoder read; null where it did not.
pub(crate) fn data(server: Server, input: &Input<'_>) -> Result<Value, DecodeError> {
    server.open(input.payload).map(|envelope| envelope.decoded())
}
