//! Decodes payloads to measurements, with a file per format. A codec has no clock and no state: the same input makes the
//! same output. [`CodecTable`] makes each codec of a configuration once, including those in files.
//!
//! [`Codec::decode`] fills a [`Measurements`] list of the caller. An invalid payload is a [`DecodeError`] with the
//! [`DropReason`](gateway_core::DropReason) it is counted under. Promises for all bytes: no panic, no recursion deeper than
//! [`MAX_DEPTH`], at most [`MAX_READINGS`] from at most [`MAX_PAYLOAD_BYTES`], and all readings of a payload or none.

pub mod ble;
mod cayenne_lpp;
mod cbor;
pub mod check;
mod csv;
pub mod envelope;
mod error;
mod explain;
pub mod file;
mod flatten;
pub mod gatt;
pub mod javascript;
mod json;
mod measurements;
mod names;
mod node;
pub mod script_thread;
mod senml;
mod shelly;
mod struct_codec;
mod table;
mod tasmota;
mod time;
mod units;
mod value;
mod words;
mod zigbee2mqtt;

use std::sync::Arc;

use gateway_core::Timestamp;
use jiff::tz::TimeZone;

pub use error::{CodecError, CsvProblem, DecodeError, LppProblem, SourcePosition};
pub use explain::Explained;
pub use flatten::MAX_DEPTH;
pub use measurements::{MAX_NAME_BYTES, MAX_READINGS, Measurement, Measurements, NodeInfo, Seal};
pub use node::{KeyError, NodeKey};
pub use table::CodecTable;
pub use units::unit_of;
pub use wire::ReplayWindow;

/// The largest payload that is decoded: the embedded broker's largest packet.
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// One payload, with the information from its link.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The bytes.
    pub payload: &'a [u8],
    /// The MQTT topic, or the UUID of a GATT characteristic; may be empty.
    pub topic: &'a str,
    /// The sender, if the link or the topic's `{device}` names it.
    pub device: Option<&'a str>,
    /// The metric, if the topic's `{metric}` names it.
    pub metric: Option<&'a str>,
    /// LoRaWAN FPort.
    pub port: Option<u8>,
    /// The time of arrival; relative times are relative to it.
    pub received_at: Timestamp,
}

impl Input<'_> {
    /// An empty name is the same as none.
    fn without_empty_names(mut self) -> Self {
        self.device = self.device.filter(|device| !device.is_empty());
        self.metric = self.metric.filter(|metric| !metric.is_empty());
        self
    }
}

/// The options of a codec.
#[derive(Debug, Clone)]
pub struct Options {
    /// `csv`: the names of the cells, in order.
    pub columns: Vec<String>,
    /// The time zone of event times without an offset.
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
    CayenneLpp,
    Senml,
    Zigbee2mqtt(TimeZone),
    Tasmota(TimeZone),
    Shelly,
    Csv(csv::Csv),
    /// With the key of the device whose frames are sealed.
    Node(Option<Arc<NodeKey>>),
    Envelope(envelope::Server),
    Struct(Arc<struct_codec::StructCodec>),
    Javascript(Arc<javascript::Script>),
    Ble(Arc<ble::Ble>),
    Gatt,
}

impl Codec {
    /// All formats.
    pub const NAMES: &'static [&'static str] = &[
        "value",
        "json",
        "cbor",
        "cayenne-lpp",
        "senml",
        "zigbee2mqtt",
        "tasmota",
        "shelly",
        "csv",
        "node",
        "ttn",
        "chirpstack",
        "ble",
        "gatt",
    ];

    /// The codec called `name`.
    ///
    /// # Errors
    /// There is no codec of that name, or `options.columns` is invalid for `csv`.
    pub fn by_name(name: &str, options: &Options) -> Result<Self, CodecError> {
        let zone = options.timezone.clone();
        Ok(Self(match name {
            "value" => Format::Value,
            "json" => Format::Json(zone),
            "cbor" => Format::Cbor(zone),
            "cayenne-lpp" => Format::CayenneLpp,
            "senml" => Format::Senml,
            "zigbee2mqtt" => Format::Zigbee2mqtt(zone),
            "tasmota" => Format::Tasmota(zone),
            "shelly" => Format::Shelly,
            "csv" => Format::Csv(csv::Csv::new(&options.columns, zone)?),
            "node" => Format::Node(None),
            "ttn" => Format::Envelope(envelope::Server::Ttn),
            "chirpstack" => Format::Envelope(envelope::Server::Chirpstack),
            "ble" => Format::Ble(Arc::new(ble::Ble::new(ble::Keys::new()))),
            "gatt" => Format::Gatt,
            _ if let Some(kind) = ble::Kind::named(name) => {
                Format::Ble(Arc::new(ble::Ble::new(ble::Keys::new()).only(kind)))
            }
            _ => return Err(CodecError::Unknown { name: name.chars().take(64).collect() }),
        }))
    }

    /// `ble` with keys. It has its own memory of devices: make one for the whole gateway, and clone it.
    #[must_use]
    pub fn ble(ble: ble::Ble) -> Self {
        Self(Format::Ble(Arc::new(ble)))
    }

    /// `node` for a device whose frames are sealed: others are refused.
    #[must_use]
    pub fn sealed_node(key: NodeKey) -> Self {
        Self(Format::Node(Some(Arc::new(key))))
    }

    /// Whether only frames sealed with the device's key are decoded.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        matches!(self.0, Format::Node(Some(_)))
    }

    /// Whether `name` is a format of advertisements: `bthome`, `ruuvi` …
    #[must_use]
    pub fn is_ble_format(name: &str) -> bool {
        ble::Kind::named(name).is_some()
    }

    /// Whether the codec `own` of the device's table replaces this one. An advertisement is only decoded by
    /// a codec for advertisements.
    #[must_use]
    pub fn yields_to(&self, own: &Self) -> bool {
        !matches!(self.0, Format::Ble(_)) || matches!(own.0, Format::Ble(_))
    }

    /// Whether `codec = "…"` names a file rather than a built-in: one that ends in `.js` or `.toml`.
    #[must_use]
    pub fn is_file(name: &str) -> bool {
        kind_of_file(name).is_some()
    }

    /// The codec in a file: JavaScript (`.js`), or a table of fields (`.toml`). `file` is its name, `text` what stands in
    /// it; reading it is the caller's.
    ///
    /// # Errors
    /// Every problem, each a [`CodecError::File`] with its place where that is known.
    pub fn from_file(file: &str, text: &str, engine: &javascript::Engine) -> Result<Self, Vec<CodecError>> {
        let unusable = |place, problem| vec![CodecError::File { file: file.to_owned(), place, problem }];
        match kind_of_file(file) {
            Some(FileKind::Table) => {
                struct_codec::parse(file, text).map(|it| Self(Format::Struct(Arc::new(it))))
            }
            Some(FileKind::Script) => javascript::Script::new(file, text, engine)
                .map(|script| Self(Format::Javascript(Arc::new(script))))
                .map_err(|error| unusable(error.place(), error.to_string())),
            None => {
                Err(unusable(SourcePosition::default(), "a codec's file ends in .js or .toml".to_owned()))
            }
        }
    }

    /// Its name in the configuration; `struct` and `javascript` for those in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.0 {
            Format::Value => "value",
            Format::Json(_) => "json",
            Format::Cbor(_) => "cbor",
            Format::CayenneLpp => "cayenne-lpp",
            Format::Senml => "senml",
            Format::Zigbee2mqtt(_) => "zigbee2mqtt",
            Format::Tasmota(_) => "tasmota",
            Format::Shelly => "shelly",
            Format::Csv(_) => "csv",
            Format::Node(_) => "node",
            Format::Envelope(envelope::Server::Ttn) => "ttn",
            Format::Envelope(envelope::Server::Chirpstack) => "chirpstack",
            Format::Struct(_) => "struct",
            Format::Javascript(_) => "javascript",
            Format::Ble(_) => "ble",
            Format::Gatt => "gatt",
        }
    }

    /// The file of a codec in JavaScript. Asking it may take long: see [`javascript`].
    #[must_use]
    pub fn script_file(&self) -> Option<&str> {
        match &self.0 {
            Format::Javascript(script) => Some(script.file()),
            _ => None,
        }
    }

    /// Restarts a codec in JavaScript: no state of earlier messages is left, also in the language's own
    /// objects.
    pub fn forget(&self) {
        if let Format::Javascript(script) = &self.0 {
            script.forget();
        }
    }

    /// Clears `out` and fills it with the payload's measurements.
    ///
    /// # Errors
    /// The payload does not match the format or exceeds a bound; `out` is then empty.
    pub fn decode(&self, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
        out.clear();
        let input = &input.without_empty_names();
        let decoded = check_size(input.payload).and_then(|()| match &self.0 {
            Format::Value => value::decode(input, out),
            Format::Json(zone) => json::decode(input, zone, out),
            Format::Cbor(zone) => json::decode_cbor(input, zone, out),
            Format::CayenneLpp => cayenne_lpp::decode(input, out),
            Format::Senml => senml::decode(input, out),
            Format::Zigbee2mqtt(zone) => zigbee2mqtt::decode(input, zone, out),
            Format::Tasmota(zone) => tasmota::decode(input, zone, out),
            Format::Shelly => shelly::decode(input, out),
            Format::Csv(csv) => csv.decode(input, out),
            Format::Node(key) => node::decode(input, key.as_deref(), out),
            Format::Envelope(server) => envelope::decode(*server, input, out),
            Format::Struct(codec) => codec.decode(input, out),
            Format::Javascript(script) => javascript::decode(script, input, out),
            Format::Ble(ble) => ble.decode(input, out),
            Format::Gatt => gatt::decode(input, out),
        });
        if decoded.is_err() {
            out.clear();
        }
        decoded
    }

    /// The message of a network server, if this format is one: the sender, and the payload for a codec of
    /// the device's own.
    ///
    /// # Errors
    /// The payload is not a JSON object.
    pub fn open(&self, payload: &[u8]) -> Option<Result<envelope::Envelope, DecodeError>> {
        let Format::Envelope(server) = &self.0 else { return None };
        Some(check_size(payload).and_then(|()| server.open(payload)))
    }

    pub(crate) fn is_envelope(&self) -> bool {
        matches!(self.0, Format::Envelope(_))
    }

    /// The full result for people: [`Self::data`], which a codec in JavaScript may return together with errors, and
    /// [`Self::decode`]. `received` is the time of arrival for a codec in JavaScript.
    pub fn explain(&self, input: &Input<'_>, received: Option<&str>, out: &mut Measurements) -> Explained {
        out.clear();
        if let Format::Javascript(script) = &self.0 {
            return explain::script(script, &input.without_empty_names(), received, out);
        }
        if let Format::Ble(ble) = &self.0 {
            return explain::advertisement(ble, &input.without_empty_names(), out);
        }
        if let Some(opened) = self.open(input.payload) {
            return opened.map_or_else(Explained::failed, |envelope| envelope.explain(input, out));
        }
        let data = self.decode(input, out).and_then(|()| self.data(input));
        data.map_or_else(Explained::failed, |data| Explained { data, ..Explained::default() })
    }

    /// The downlink for a command, if the codec is in JavaScript and has `encodeDownlink`.
    ///
    /// # Errors
    /// The codec has no encoder, or it refuses the command.
    pub fn encode(
        &self,
        command: &serde_json::Value,
        device: &str,
    ) -> Result<javascript::Downlink, DecodeError> {
        match &self.0 {
            Format::Javascript(script) => Ok(script.encode(command, device)?),
            _ => Err(javascript::ScriptFailure::NoEncoder.into()),
        }
    }

    /// The decoded payload for people, before it becomes measurements: the parsed JSON or CBOR, the number, the
    /// lines by column, the resolved SenML records, or the values of a node's sensors.
    ///
    /// # Errors
    /// As [`Self::decode`] if the payload cannot be parsed.
    pub fn data(&self, input: &Input<'_>) -> Result<serde_json::Value, DecodeError> {
        check_size(input.payload)?;
        let input = &input.without_empty_names();
        match &self.0 {
            Format::Value => value::data(input),
            Format::Json(_) => parse_json(input.payload),
            Format::Cbor(_) => cbor::to_json(&cbor::parse(input.payload)?),
            Format::CayenneLpp => cayenne_lpp::data(input),
            Format::Senml => senml::data(input),
            Format::Zigbee2mqtt(_) | Format::Tasmota(_) | Format::Shelly => json_or_text(input.payload),
            Format::Csv(csv) => csv.data(input),
            Format::Node(key) => node::data(input, key.as_deref()),
            Format::Envelope(server) => envelope::data(*server, input),
            Format::Struct(codec) => codec.data(input),
            Format::Javascript(script) => Ok(javascript::run(script, input, None)?.data),
            Format::Ble(ble) => {
                let (notes, read) = ble.explain(input, &mut Measurements::new());
                read.map(|()| notes.into())
            }
            Format::Gatt => gatt::data(input),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum FileKind {
    Script,
    Table,
}

fn kind_of_file(name: &str) -> Option<FileKind> {
    let (stem, ending) = name.rsplit_once('.')?;
    match ending {
        _ if stem.is_empty() => None,
        "js" => Some(FileKind::Script),
        "toml" => Some(FileKind::Table),
        _ => None,
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
