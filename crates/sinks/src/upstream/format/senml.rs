//! `format = "senml"`: each record is one SenML pack (RFC 8428) as JSON, on the topic that it has as JSON.
//!
//! The base name is `<gateway>/<device>/`, or `<gateway>/zones/<zone>/`; the base time is the window's end or the alert's time.
//! A pack with a secondary unit says the version that allows it.

mod units;

use std::borrow::Cow;
use std::fmt::Write as _;

use gateway_core::Timestamp;
use gateway_core::ports::Clock;
use record::{Record, Subject};
use serde::Serialize;

use super::fields::{Value, fields, time};
use super::{Encoder, Outgoing};
use crate::upstream::topics::topic;

pub(super) struct Senml {
    prefix: String,
}

impl Senml {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }
}

impl Encoder for Senml {
    fn data(&mut self, record: &Record, number: u64, _clock: &dyn Clock) -> Outgoing {
        Outgoing { topic: topic(&self.prefix, record), payload: pack(record, number) }
    }
}

/// A SenML record.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    bver: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bt: Option<f64>,
    n: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    #[serde(flatten)]
    value: RowValue,
}

#[derive(Debug, Serialize)]
enum RowValue {
    #[serde(rename = "v")]
    Float(f64),
    #[serde(rename = "v")]
    Int(i64),
    #[serde(rename = "vs")]
    Text(String),
}

fn pack(record: &Record, number: u64) -> Vec<u8> {
    let (mut base_name, mut base_time) = (Some(base_name(record)), Some(seconds(time(record))));
    let mut rows: Vec<Row> = fields(record, number, encode_name)
        .into_iter()
        .filter_map(|field| {
            let value = match field.value {
                // JSON has neither NaN nor infinity.
                Value::Float(number) if !number.is_finite() => return None,
                Value::Float(number) => RowValue::Float(number),
                Value::Int(number) => RowValue::Int(number),
                Value::Text(text) => RowValue::Text(text),
                Value::Time(time) => RowValue::Float(seconds(time)),
            };
            let (bn, bt) = (base_name.take(), base_time.take());
            Some(Row { bver: None, bn, bt, n: field.name, u: field.unit.map(str::to_owned), value })
        })
        .collect();
    let has_secondary = rows.iter().filter_map(|row| row.u.as_deref()).any(units::is_secondary);
    if let (true, Some(first)) = (has_secondary, rows.first_mut()) {
        first.bver = Some(units::VERSION_WITH_SECONDARY_UNITS);
    }
    // Writing these structs into memory cannot fail: no map has keys that are not text.
    serde_json::to_vec(&rows).unwrap_or_else(|_| b"[]".to_vec())
}

fn seconds(time: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium have 46 bits")]
    let millis = time.as_millis() as f64;
    millis / 1000.0
}

fn base_name(record: &Record) -> String {
    let (zones, name) = match record {
        Record::Aggregate(aggregate) => match &aggregate.subject {
            Subject::Zone { name } => ("zones/", name),
            Subject::Device { name, .. } => ("", name),
        },
        Record::Alert(alert) => ("", &alert.device),
        Record::Reading(reading) => ("", &reading.device),
    };
    format!("{}/{zones}{}/", first_level(record.gateway()), encode_name(name))
}

/// The gateway's id. A name begins with a letter or digit (RFC 8428, section 4.5.1): `-x` becomes `0.2Dx`, which no other id
/// does, because ids have no dot.
fn first_level(gateway: &str) -> Cow<'_, str> {
    let encoded = encode_name(gateway);
    match encoded.split_at_checked(1) {
        Some((first, _)) if first.bytes().all(|byte| byte.is_ascii_alphanumeric()) => encoded,
        Some((first, rest)) if first != "." => {
            let first = first.bytes().next().unwrap_or_default();
            Cow::Owned(format!("0.{first:02X}{rest}"))
        }
        _ => Cow::Owned(format!("0{encoded}")),
    }
}

/// `name` in the characters that SenML allows in names (RFC 8428, section 4.5.1), without `/`, which separates the parts: each
/// other byte, and the dot, is a dot and two hex digits. With `%` in place of each dot it is percent-encoded.
fn encode_name(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'_');
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing into memory cannot fail.
            let _ = write!(out, ".{byte:02X}");
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
