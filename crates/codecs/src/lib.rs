//! Bytes to measurements, a file per format. No IO, no clock, no state: the same input makes the same output.
//!
//! [`Codec::decode`] fills a [`Measurements`] list that the caller keeps; what a payload cannot be is a [`DecodeError`]
//! with the [`DropReason`](gateway_core::DropReason) it is counted under. Promises, whatever the bytes: no panic, no
//! recursion deeper than [`MAX_DEPTH`], at most [`MAX_READINGS`] from at most [`MAX_PAYLOAD_BYTES`], all or nothing.

mod cbor;
mod csv;
mod error;
mod flatten;
mod json;
mod measurements;
mod node;
mod senml;
mod shelly;
mod tasmota;
mod time;
mod units;
mod value;
mod words;
mod zigbee2mqtt;

use gateway_core::Timestamp;
use jiff::tz::TimeZone;

pub use error::{CodecError, CsvProblem, DecodeError};
pub use flatten::MAX_DEPTH;
pub use measurements::{MAX_NAME_BYTES, MAX_READINGS, Measurement, Measurements};
pub use units::unit_of;

/// Largest payload that is read: the embedded broker's largest packet.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// One payload and what its link tells of it.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The bytes.
    pub payload: &'a [u8],
    /// The MQTT topic; empty where there is none.
    pub topic: &'a str,
    /// Who sent it, where the link or the topic's `{device}` tells.
    pub device: Option<&'a str>,
    /// What it measures, where the topic's `{metric}` tells.
    pub metric: Option<&'a str>,
    /// LoRaWAN FPort.
    pub port: Option<u8>,
    /// When it arrived: what relative times are relative to.
    pub received_at: Timestamp,
}

impl Input<'_> {
    /// An empty name tells no more than none.
    fn without_empty_names(mut self) -> Self {
        self.device = self.device.filter(|device| !device.is_empty());
        self.metric = self.metric.filter(|metric| !metric.is_empty());
        self
    }
}

/// What a codec needs to know besides its name.
#[derive(Debug, Clone)]
pub struct Options {
    /// `csv`: the names of the cells, in order.
    pub columns: Vec<String>,
    /// Where event times without an offset are local.
    pub timezone: TimeZone,
}

impl Default for Options {
    /// No columns, UTC.
    fn default() -> Self {
        Self { columns: Vec::new(), timezone: TimeZone::UTC }
    }
}

/// A payload format.
#[derive(Debug, Clone)]
pub struct Codec(Format);

#[derive(Debug, Clone)]
enum Format {
    Value,
    Json(TimeZone),
    Cbor(TimeZone),
    Senml,
    Zigbee2mqtt(TimeZone),
    Tasmota(TimeZone),
    Shelly,
    Csv(csv::Csv),
    Node,
}

impl Codec {
    /// The formats there are.
    pub const NAMES: &'static [&'static str] =
        &["value", "json", "cbor", "senml", "zigbee2mqtt", "tasmota", "shelly", "csv", "node"];

    /// The codec called `name`.
    ///
    /// # Errors
    /// Where there is none of that name, or `options.columns` does not do for `csv`.
    pub fn by_name(name: &str, options: &Options) -> Result<Self, CodecError> {
        let zone = options.timezone.clone();
        Ok(Self(match name {
            "value" => Format::Value,
            "json" => Format::Json(zone),
            "cbor" => Format::Cbor(zone),
            "senml" => Format::Senml,
            "zigbee2mqtt" => Format::Zigbee2mqtt(zone),
            "tasmota" => Format::Tasmota(zone),
            "shelly" => Format::Shelly,
            "csv" => Format::Csv(csv::Csv::new(&options.columns, zone)?),
            "node" => Format::Node,
            _ => return Err(CodecError::Unknown { name: name.chars().take(64).collect() }),
        }))
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Format::Value => "value",
            Format::Json(_) => "json",
            Format::Cbor(_) => "cbor",
            Format::Senml => "senml",
            Format::Zigbee2mqtt(_) => "zigbee2mqtt",
            Format::Tasmota(_) => "tasmota",
            Format::Shelly => "shelly",
            Format::Csv(_) => "csv",
            Format::Node => "node",
        }
    }

    /// Clears `out` and fills it with what the payload says.
    ///
    /// # Errors
    /// Where the payload does not fit the format or a bound; `out` is then empty.
    pub fn decode(&self, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
        out.clear();
        let input = &input.without_empty_names();
        let decoded = check_size(input.payload).and_then(|()| match &self.0 {
            Format::Value => value::decode(input, out),
            Format::Json(zone) => json::decode(input, zone, out),
            Format::Cbor(zone) => json::decode_cbor(input, zone, out),
            Format::Senml => senml::decode(input, out),
            Format::Zigbee2mqtt(zone) => zigbee2mqtt::decode(input, zone, out),
            Format::Tasmota(zone) => tasmota::decode(input, zone, out),
            Format::Shelly => shelly::decode(input, out),
            Format::Csv(csv) => csv.decode(input, out),
            Format::Node => node::decode(input, out),
        });
        if decoded.is_err() {
            out.clear();
        }
        decoded
    }

    /// What the payload says before measurements are made of it, for people: the parsed JSON or CBOR, the number, the
    /// lines by column, the resolved SenML records, or what the sensors of a node gave.
    ///
    /// # Errors
    /// As [`Self::decode`] where the payload cannot be parsed.
    pub fn data(&self, input: &Input<'_>) -> Result<serde_json::Value, DecodeError> {
        check_size(input.payload)?;
        let input = &input.without_empty_names();
        match &self.0 {
            Format::Value => value::data(input),
            Format::Json(_) => parse_json(input.payload),
            Format::Cbor(_) => cbor::to_json(&cbor::parse(input.payload)?),
            Format::Senml => senml::data(input),
            Format::Zigbee2mqtt(_) | Format::Tasmota(_) | Format::Shelly => json_or_text(input.payload),
            Format::Csv(csv) => csv.data(input),
            Format::Node => node::data(input),
        }
    }
}

fn check_size(payload: &[u8]) -> Result<(), DecodeError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeError::TooLarge { bytes: payload.len(), most: MAX_PAYLOAD_BYTES });
    }
    Ok(())
}

/// The payload as text.
fn text(payload: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(payload).map_err(|error| DecodeError::NotText { at: error.valid_up_to() })
}

/// The payload as a JSON tree, for formats that must look at all of it before they can name anything.
fn parse_json(payload: &[u8]) -> Result<serde_json::Value, DecodeError> {
    let text = text(payload)?;
    serde_json::from_str(text).map_err(|source| flatten::json_error(text, source))
}

/// Whether the payload is meant as JSON, in formats that also know bare texts.
fn is_object(payload: &[u8]) -> bool {
    payload.trim_ascii_start().first() == Some(&b'{')
}

fn json_or_text(payload: &[u8]) -> Result<serde_json::Value, DecodeError> {
    if is_object(payload) {
        return parse_json(payload);
    }
    let text = text(payload)?;
    Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}
