//! `riser decode`: payloads through codecs, one or many. Each stands alone: no counters, no memory of earlier ones.

use std::collections::HashMap;

use codecs::ble::Ble;
use codecs::javascript::Engine;
use codecs::{Codec, Explained, Input, Measurements, Options};
use gateway_core::Timestamp;
use gateway_core::ports::Clock as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::advertisement::AdvertisementRow;
use super::lines::Lines;
use super::{Exit, Failure, print_line};
use codecs::file;
use codecs::script_thread::ScriptRunner;
use gateway_core::chain;
use pipeline::clock::SystemClock;

/// One line of `--batch`.
#[derive(Debug, Deserialize)]
struct Row {
    codec: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    metric: Option<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default, rename = "fPort")]
    port: Option<u8>,
    #[serde(default, rename = "recvTime")]
    received: Option<String>,
    /// Text, or hexadecimal where it is nothing else.
    #[serde(default)]
    payload: Option<Value>,
    /// Hexadecimal.
    #[serde(default)]
    bytes: Option<String>,
    #[serde(default)]
    advertisement: Option<AdvertisementRow>,
    /// Of the device that sent the advertisement.
    #[serde(default)]
    bindkey: Option<String>,
    /// Of the node that sealed the frame.
    #[serde(default)]
    key: Option<String>,
}

/// One line of the answer.
#[derive(Debug, Serialize)]
struct Decoded {
    data: Value,
    errors: Vec<String>,
    warnings: Vec<String>,
    metrics: Map<String, Value>,
}

impl Decoded {
    fn error(message: String) -> Self {
        Self { data: Value::Null, errors: vec![message], warnings: Vec::new(), metrics: Map::new() }
    }
}

pub(crate) fn single(
    codec: &str,
    port: Option<u8>,
    key: Option<String>,
    time: Option<String>,
    topic: &str,
    hex: &str,
) -> Result<Exit, Failure> {
    let mut codecs = Codecs::default();
    if let Err(why) = codecs.find(codec, &[]) {
        let exit = match Codec::is_file(codec) {
            true if std::path::Path::new(codec).is_file() => Exit::Config,
            true => Exit::NoInput,
            false => Exit::Usage,
        };
        return Err(Failure::new(exit, why));
    }
    let Some(payload) = from_hex(hex) else {
        return Err(Failure::new(
            Exit::Usage,
            "the payload is not hexadecimal: two digits a byte, no separators",
        ));
    };
    let is_time = |time: &String| time.parse::<Timestamp>().is_ok();
    if let Some(time) = time.as_ref().filter(|time| !is_time(time)) {
        return Err(Failure::new(
            Exit::Usage,
            format!("--time {time}: not a time; write it as 2026-11-20T10:00:00Z"),
        ));
    }
    let row = Row {
        codec: codec.to_owned(),
        topic: topic.to_owned(),
        device: None,
        metric: None,
        columns: Vec::new(),
        port,
        received: time,
        payload: None,
        bytes: None,
        advertisement: None,
        bindkey: None,
        key,
    };
    let decoded = decode(&row, payload, &mut codecs);
    print_line(&serde_json::to_string_pretty(&decoded).unwrap_or_default())?;
    Ok(Exit::Fine)
}

pub(crate) fn batch() -> Result<Exit, Failure> {
    let mut codecs = Codecs::default();
    for line in Lines::new(std::io::stdin().lock()) {
        let row = line.map_err(|error| error.to_string()).and_then(|line| {
            serde_json::from_slice::<Row>(&line).map_err(|error| format!("not a row of a batch: {error}"))
        });
        let decoded = match row {
            Ok(row) => match bytes_of(&row) {
                Ok(payload) => decode(&row, payload, &mut codecs),
                Err(message) => Decoded::error(message),
            },
            Err(message) => Decoded::error(message),
        };
        print_line(&serde_json::to_string(&decoded).unwrap_or_default())?;
    }
    Ok(Exit::Fine)
}

/// One row of a batch, as the page asks for it.
#[cfg(feature = "http")]
pub(crate) fn row(row: &Value) -> Value {
    let decoded = match Row::deserialize(row) {
        Ok(row) => match bytes_of(&row) {
            Ok(payload) => decode(&row, payload, &mut Codecs::default()),
            Err(message) => Decoded::error(message),
        },
        Err(error) => Decoded::error(format!("not a row of a batch: {error}")),
    };
    serde_json::to_value(decoded).unwrap_or_default()
}

fn bytes_of(row: &Row) -> Result<Vec<u8>, String> {
    if let Some(advertisement) = &row.advertisement {
        return advertisement.bytes();
    }
    match (&row.payload, &row.bytes) {
        (Some(Value::String(text)), _) => Ok(text_or_hex(&row.codec, text)),
        // A payload that was not put into quotes is meant as the JSON that it is.
        (Some(json), _) => Ok(json.to_string().into_bytes()),
        (None, Some(hex)) => from_hex(hex).ok_or_else(|| "`bytes` is not hexadecimal".to_owned()),
        (None, None) => {
            Err("a row needs `payload` (text or hexadecimal), `bytes` (hexadecimal) or `advertisement`"
                .to_owned())
        }
    }
}

/// SenML in CBOR comes in hexadecimal; JSON and plain text never look like it but for bare numbers, which are values. A
/// node frame is never text.
fn text_or_hex(codec: &str, text: &str) -> Vec<u8> {
    let is_text = matches!(codec, "value" | "csv");
    match from_hex(text) {
        Some(bytes) if codec == "node" || (!is_text && text.len() > 2) => bytes,
        _ => text.as_bytes().to_vec(),
    }
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.trim()).ok()
}

/// The codecs that rows name; a file is read once.
#[derive(Default)]
struct Codecs {
    engine: Engine,
    files: HashMap<String, Result<Codec, String>>,
    scripts: ScriptRunner,
}

impl Codecs {
    /// The codec of a row. That of advertisements is made each time: a row stands alone, and brings its own key.
    fn of(&mut self, row: &Row) -> Result<Codec, String> {
        match &row.advertisement {
            Some(advertisement) if row.codec == "ble" => {
                Ok(Codec::ble(Ble::alone(advertisement.keys(row.bindkey.as_deref())?)))
            }
            _ => match row.key.as_deref().filter(|key| !key.is_empty()) {
                Some(key) if row.codec == "node" => {
                    let key = key.parse().map_err(|error| format!("the key {error}"))?;
                    Ok(Codec::sealed_node(key))
                }
                Some(_) => Err("only the codec `node` takes a key".to_owned()),
                None => self.find(&row.codec, &row.columns),
            },
        }
    }

    fn find(&mut self, name: &str, columns: &[String]) -> Result<Codec, String> {
        if Codec::is_file(name) {
            let Self { engine, files, .. } = self;
            return files.entry(name.to_owned()).or_insert_with(|| read(name, engine)).clone();
        }
        let options = Options { columns: columns.to_vec(), ..Options::default() };
        Codec::by_name(name, &options).map_err(|error| chain(&error))
    }

    /// [`Codec::explain`]; a script is waited for no longer than in the gateway, and remembers no earlier row.
    fn explain(&mut self, codec: Codec, row: &Row, message: Message) -> (Explained, Measurements) {
        if codec.script_file().is_none() {
            return message.explain(&codec);
        }
        let explained = self.scripts.run(move || {
            codec.forget();
            message.explain(&codec)
        });
        explained.unwrap_or_else(|lost| {
            // It is busy still: the next row gets another.
            self.files.remove(&row.codec);
            (Explained { errors: vec![chain(&lost)], ..Explained::default() }, Measurements::default())
        })
    }
}

/// What a codec is asked about, on whichever thread.
struct Message {
    payload: Vec<u8>,
    topic: String,
    device: Option<String>,
    metric: Option<String>,
    port: Option<u8>,
    received: Option<String>,
    received_at: Timestamp,
}

impl Message {
    fn explain(&self, codec: &Codec) -> (Explained, Measurements) {
        let input = Input {
            payload: &self.payload,
            topic: &self.topic,
            device: self.device.as_deref(),
            metric: self.metric.as_deref(),
            port: self.port,
            received_at: self.received_at,
        };
        let mut measurements = Measurements::default();
        let explained = codec.explain(&input, self.received.as_deref(), &mut measurements);
        (explained, measurements)
    }
}

fn read(file: &str, engine: &Engine) -> Result<Codec, String> {
    file::load(file, engine).map_err(|problems| problems.join("\n"))
}

fn decode(row: &Row, payload: Vec<u8>, codecs: &mut Codecs) -> Decoded {
    let codec = match codecs.of(row) {
        Ok(codec) => codec,
        Err(why) => return Decoded::error(why),
    };
    let received_at =
        row.received.as_deref().and_then(|text| text.parse().ok()).unwrap_or_else(|| SystemClock.now());
    let message = Message {
        payload,
        topic: row.topic.clone(),
        device: row.device.clone().or_else(|| row.advertisement.as_ref().and_then(|row| row.address.clone())),
        metric: row.metric.clone(),
        port: row.port,
        received: row.received.clone(),
        received_at,
    };
    let (Explained { data, errors, mut warnings, .. }, measurements) = codecs.explain(codec, row, message);
    if measurements.not_finite() > 0 {
        warnings.push(format!("{} values are NaN or infinite and make no metric", measurements.not_finite()));
    }
    let metrics = measurements.iter().map(|m| (m.metric.to_owned(), number(m.value))).collect();
    Decoded { data, errors, warnings, metrics }
}

/// Whole numbers without a fraction, as people write them.
pub(crate) fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number inside i64")]
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}
