//! Commands for LoRaWAN devices, Riser's own and those of a network server: `device`, `port`, `confirmed` and `payload` of an
//! action.
//!
//! A payload is bytes in hexadecimal, or a JSON object that the device's codec (`encodeDownlink`) encodes. If the codec has
//! no encoder, a network server gets the object and uses its own.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use codecs::javascript::{Engine, ScriptFailure};
use codecs::script_thread::{ScriptRunner, ScriptThreadError};
use codecs::{Codec, CodecTable, DecodeError};
use gateway_core::findings::{KeyPath, Report, one_line};
use gateway_core::ports::{Message, Prepare, Target};
use gateway_core::settings::{BuildError, Device};
use serde_json::{Map, Value};

/// The longest payload at the fastest data rate of any region (RP002).
const LONGEST_PAYLOAD: usize = 242;

/// A device and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownlinkTarget {
    /// The name in the adapter: with a network server the name in its topics or the DevEUI; otherwise the name of its table
    /// or the DevEUI.
    pub device: String,
    /// LoRaWAN FPort, 1 to 223.
    pub port: u8,
    /// Whether the device must confirm it.
    pub confirmed: bool,
    /// What the payload is.
    pub content: DownlinkContent,
}

impl fmt::Display for DownlinkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, port {}", self.device, self.port)
    }
}

/// What the payload of a downlink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownlinkContent {
    /// The device's own bytes.
    Bytes,
    /// A JSON object, of which a network server is to make the bytes.
    Object,
}

/// What an action says of a downlink.
#[derive(Debug, Clone)]
pub(crate) struct DownlinkKeys<'a> {
    /// As the adapter knows the device.
    pub(crate) device: &'a str,
    pub(crate) port: Option<u8>,
    pub(crate) confirmed: bool,
    pub(crate) payload: &'a str,
    /// A network server encodes where the codec does not.
    pub(crate) by_server: bool,
}

/// What a device is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Its own bytes.
    Bytes(Vec<u8>),
    /// For an encoder.
    Object(Map<String, Value>),
}

/// `None` where the payload is neither bytes in hex digits nor an object.
fn content(payload: &str) -> Option<Content> {
    match payload.trim().strip_prefix("hex:") {
        Some(digits) => hex::decode(digits.trim()).ok().map(Content::Bytes),
        None => serde_json::from_str(payload).ok().map(Content::Object),
    }
}

/// The message of an action; `None` if [`check`] refuses it. `wrap` makes the adapter's own target.
pub(crate) fn message(
    keys: &DownlinkKeys<'_>,
    device: Option<&Device>,
    wrap: fn(DownlinkTarget) -> Target,
    (codecs, timezone): (&mut CodecTable, Option<&str>),
) -> Result<Option<Message>, BuildError> {
    let DownlinkKeys { device: name, port, confirmed, payload, by_server } = keys.clone();
    let object = match (content(payload), port) {
        (Some(Content::Object(object)), _) => object.into(),
        (Some(Content::Bytes(bytes)), Some(port)) => {
            let target =
                DownlinkTarget { device: name.to_owned(), port, confirmed, content: DownlinkContent::Bytes };
            return Ok(Some(Message::Ready { target: wrap(target), payload: bytes.into() }));
        }
        (Some(Content::Bytes(_)), None) | (None, _) => return Ok(None),
    };
    let codec = device.and_then(|device| device.codec.as_deref());
    let codec = codec.map(|codec| codecs.of_device(codec, timezone)).transpose()?;
    let codec = codec.and_then(|id| codecs.get(id));
    let downlink = Downlink { device: name.to_owned(), port, confirmed, object, codec, by_server, wrap };
    Ok(Some(Message::Prepared(Arc::new(downlink))))
}

/// Reports a payload that cannot be sent to `device`, whose `table` names it.
pub(crate) fn check(report: &mut Report, table: &KeyPath, keys: &DownlinkKeys<'_>, device: Option<&Device>) {
    let payload = table.key("payload");
    match content(keys.payload) {
        Some(Content::Bytes(bytes)) => {
            check_length(report, &payload, bytes.len());
            if keys.port.is_none() {
                no_port(report, table);
            }
        }
        Some(Content::Object(object)) => {
            let Some(codec) = codec_of(device.and_then(|device| device.codec.as_deref())) else { return };
            let downlink = Downlink {
                device: keys.device.to_owned(),
                port: keys.port,
                confirmed: keys.confirmed,
                object: object.into(),
                codec,
                by_server: keys.by_server,
                wrap: Target::new,
            };
            match downlink.try_out() {
                Ok((_, bytes)) => check_length(report, &payload, bytes.len()),
                Err(EncodeError::NoPort) => no_port(report, table),
                Err(error) => report.error(&payload, one_line(&gateway_core::chain(&error))),
            }
        }
        None => report.error(
            &payload,
            "write hex: and an even number of hex digits, or a JSON object for the device's encoder",
        ),
    }
}

/// The codec if it is a file; the outer `None` if the file is broken, which is reported elsewhere.
fn codec_of(name: Option<&str>) -> Option<Option<Arc<Codec>>> {
    match name.filter(|name| Codec::is_file(name)) {
        Some(file) => codecs::file::load(file, &Engine::default()).ok().map(|codec| Some(codec.into())),
        None => Some(None),
    }
}

fn no_port(report: &mut Report, table: &KeyPath) {
    if report.is_whole(&table.key("port")) {
        report.missing(table, "port", "missing; write the device's port for commands, 1 to 223");
    }
}

fn check_length(report: &mut Report, key: &KeyPath, bytes: usize) {
    if bytes > LONGEST_PAYLOAD {
        let text =
            format!("is {bytes} bytes for the device; a LoRaWAN frame carries at most {LONGEST_PAYLOAD}");
        report.error(key, text);
    }
}

/// A command that an encoder must encode.
#[derive(Clone)]
struct Downlink {
    device: String,
    /// The user's port; it overrides the codec's.
    port: Option<u8>,
    confirmed: bool,
    /// A JSON object.
    object: Value,
    /// The device's codec.
    codec: Option<Arc<Codec>>,
    by_server: bool,
    wrap: fn(DownlinkTarget) -> Target,
}

/// The command cannot be encoded.
#[derive(Debug, thiserror::Error)]
enum EncodeError {
    #[error(transparent)]
    Codec(#[from] DecodeError),
    #[error("the codec says no fPort; write `port`")]
    NoPort,
    #[error("the codec says fPort {port}; allowed are 1 to 223")]
    Port { port: u8 },
    #[error(transparent)]
    Lost(#[from] ScriptThreadError),
}

impl Prepare for Downlink {
    fn prepare(&self) -> Result<(Target, Bytes), String> {
        self.encode().map_err(|error| gateway_core::chain(&error))
    }
}

impl Downlink {
    /// May run as long as the script engine allows.
    fn encode(&self) -> Result<(Target, Bytes), EncodeError> {
        // Its own name, so that a codec that loops here is not disabled for the device's uplinks.
        let asker = format!("commands to {}", self.device);
        let encoded = match &self.codec {
            Some(codec) => codec.encode(&self.object, &asker),
            None => Err(ScriptFailure::NoEncoder.into()),
        };
        match encoded {
            Ok(downlink) => {
                let port = self.port.or(downlink.port).ok_or(EncodeError::NoPort)?;
                if !(1..=223).contains(&port) {
                    return Err(EncodeError::Port { port });
                }
                Ok((self.target(port, DownlinkContent::Bytes), downlink.bytes.into()))
            }
            Err(DecodeError::Script(ScriptFailure::NoEncoder)) if self.by_server => {
                let port = self.port.ok_or(EncodeError::NoPort)?;
                Ok((self.target(port, DownlinkContent::Object), self.object.to_string().into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// [`Self::encode`] with a time limit for the codec.
    fn try_out(self) -> Result<(Target, Bytes), EncodeError> {
        ScriptRunner::default().run(move || self.encode())?
    }

    fn target(&self, port: u8, content: DownlinkContent) -> Target {
        (self.wrap)(DownlinkTarget { device: self.device.clone(), port, confirmed: self.confirmed, content })
    }
}

#[cfg(test)]
mod tests;
