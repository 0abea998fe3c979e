//! `riser decode`: payloads through codecs, one or many. Each stands alone: no counters, no memory of earlier ones.

use std::io::BufRead as _;

use codecs::{Codec, Input, Measurements, Options};
use gateway_core::ports::Clock as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Exit, Failure, print_line};
use crate::clock::SystemClock;

/// One line of `--batch`. What later codecs need (fPort, advertisement) is read and passed on, or refused by them.
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

pub(crate) fn single(codec: &str, port: Option<u8>, topic: &str, hex: &str) -> Result<Exit, Failure> {
    if !Codec::NAMES.contains(&codec) {
        let known = Codec::NAMES.join(", ");
        return Err(Failure::new(Exit::Usage, format!("there is no codec `{codec}`; there are: {known}")));
    }
    let Some(payload) = from_hex(hex) else {
        return Err(Failure::new(
            Exit::Usage,
            "the payload is not hexadecimal: two digits a byte, no separators",
        ));
    };
    let row = Row {
        codec: codec.to_owned(),
        topic: topic.to_owned(),
        device: None,
        metric: None,
        columns: Vec::new(),
        port,
        received: None,
        payload: None,
        bytes: None,
    };
    let decoded = decode(&row, &payload);
    print_line(&serde_json::to_string_pretty(&decoded).unwrap_or_default())?;
    Ok(Exit::Fine)
}

pub(crate) fn batch() -> Result<Exit, Failure> {
    for line in std::io::stdin().lock().split(b'\n') {
        let line =
            line.map_err(|error| Failure::new(Exit::NoInput, format!("cannot read stdin: {error}")))?;
        let decoded = match serde_json::from_slice::<Row>(&line) {
            Ok(row) => match bytes_of(&row) {
                Ok(payload) => decode(&row, &payload),
                Err(message) => Decoded::error(message),
            },
            Err(error) => Decoded::error(format!("not a row of a batch: {error}")),
        };
        print_line(&serde_json::to_string(&decoded).unwrap_or_default())?;
    }
    Ok(Exit::Fine)
}

fn bytes_of(row: &Row) -> Result<Vec<u8>, String> {
    match (&row.payload, &row.bytes) {
        (Some(Value::String(text)), _) => Ok(text_or_hex(&row.codec, text)),
        // A payload that was not put into quotes is meant as the JSON that it is.
        (Some(json), _) => Ok(json.to_string().into_bytes()),
        (None, Some(hex)) => from_hex(hex).ok_or_else(|| "`bytes` is not hexadecimal".to_owned()),
        (None, None) => {
            Err("a row needs `payload` (text or hexadecimal) or `bytes` (hexadecimal)".to_owned())
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

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.trim().chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

fn decode(row: &Row, payload: &[u8]) -> Decoded {
    let options = Options { columns: row.columns.clone(), ..Options::default() };
    let codec = match Codec::by_name(&row.codec, &options) {
        Ok(codec) => codec,
        Err(error) => return Decoded::error(crate::telemetry::chain(&error)),
    };
    let received_at =
        row.received.as_deref().and_then(|text| text.parse().ok()).unwrap_or_else(|| SystemClock.now());
    let input = Input {
        payload,
        topic: &row.topic,
        device: row.device.as_deref(),
        metric: row.metric.as_deref(),
        port: row.port,
        received_at,
    };
    let mut measurements = Measurements::default();
    if let Err(error) = codec.decode(&input, &mut measurements) {
        return Decoded::error(crate::telemetry::chain(&error));
    }
    let mut warnings = Vec::new();
    if measurements.not_finite() > 0 {
        warnings.push(format!("{} values are NaN or infinite and make no metric", measurements.not_finite()));
    }
    let metrics = measurements.iter().map(|m| (m.metric.to_owned(), number(m.value))).collect();
    match codec.data(&input) {
        Ok(data) => Decoded { data, errors: Vec::new(), warnings, metrics },
        Err(error) => Decoded::error(crate::telemetry::chain(&error)),
    }
}

/// Whole numbers without a fraction, as people write them.
pub(crate) fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number inside i64")]
    if value.fract() == 0.0 && value.abs() < 9e15 { Value::from(value as i64) } else { Value::from(value) }
}
