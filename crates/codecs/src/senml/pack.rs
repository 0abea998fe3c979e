//! A SenML pack as it was written: labels and their types, nothing resolved. JSON (RFC 8428 §5) and CBOR (§6) alike.

use ciborium::Value as Cbor;
use serde_json::Value as Json;

use super::Value;
use crate::{DecodeError, MAX_READINGS, cbor};

/// A record's fields, named as in RFC 8428 §4.1 and §4.2.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) base_name: Option<String>,
    pub(super) base_time: Option<f64>,
    pub(super) base_unit: Option<String>,
    pub(super) base_value: Option<f64>,
    pub(super) base_sum: Option<f64>,
    pub(super) base_version: Option<f64>,
    pub(super) name: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) value: Option<Value>,
    pub(super) sum: Option<f64>,
    pub(super) time: Option<f64>,
    pub(super) update_time: Option<f64>,
}

/// A record, or the rule that it breaks.
pub(super) type Parsed = Result<Record, &'static str>;

const MUST_BE_ARRAY: DecodeError = DecodeError::Shape { expected: "an array of SenML records" };

/// The records of a pack; a bad one does not hide its number.
pub(super) fn parse(payload: &[u8]) -> Result<Vec<Parsed>, DecodeError> {
    let first = payload.trim_ascii_start().first().copied();
    if matches!(first, Some(b'[' | b'{')) {
        let Json::Array(records) = crate::parse_json(payload)? else { return Err(MUST_BE_ARRAY) };
        check_count(records.len())?;
        Ok(records.into_iter().map(json_record).collect())
    } else {
        let Cbor::Array(records) = cbor::parse(payload)? else { return Err(MUST_BE_ARRAY) };
        check_count(records.len())?;
        Ok(records.into_iter().map(cbor_record).collect())
    }
}

fn check_count(records: usize) -> Result<(), DecodeError> {
    if records > MAX_READINGS { Err(DecodeError::TooManyReadings { most: MAX_READINGS }) } else { Ok(()) }
}

fn json_record(record: Json) -> Parsed {
    let Json::Object(fields) = record else { return Err("is not an object") };
    let mut record = Record::default();
    for (label, item) in fields {
        let item = match item {
            Json::Number(number) => number.as_f64().map_or(Item::Other, Item::Number),
            Json::String(text) => Item::Text(text),
            Json::Bool(boolean) => Item::Boolean(boolean),
            Json::Null | Json::Array(_) | Json::Object(_) => Item::Other,
        };
        record.set(&label, item, Form::Json)?;
    }
    Ok(record)
}

fn cbor_record(record: Cbor) -> Parsed {
    let Cbor::Map(fields) = record else { return Err("is not a map") };
    let mut record = Record::default();
    for (label, item) in fields {
        let label = match &label {
            Cbor::Integer(number) => label_of(i128::from(*number)),
            Cbor::Text(text) => Some(text.as_str()),
            _ => return Err("has a label that is neither text nor integer"),
        };
        let item = match item {
            Cbor::Text(text) => Item::Text(text),
            Cbor::Bool(boolean) => Item::Boolean(boolean),
            Cbor::Bytes(bytes) => Item::Bytes(bytes),
            other => cbor::number(&other).map_or(Item::Other, Item::Number),
        };
        if let Some(label) = label {
            record.set(label, item, Form::Cbor)?;
        }
    }
    Ok(record)
}

/// RFC 8428 §6, table 4.
fn label_of(number: i128) -> Option<&'static str> {
    Some(match number {
        -6 => "bs",
        -5 => "bv",
        -4 => "bu",
        -3 => "bt",
        -2 => "bn",
        -1 => "bver",
        0 => "n",
        1 => "u",
        2 => "v",
        3 => "vs",
        4 => "vb",
        5 => "s",
        6 => "t",
        7 => "ut",
        8 => "vd",
        _ => return None,
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Json,
    Cbor,
}

enum Item {
    Number(f64),
    Text(String),
    Boolean(bool),
    Bytes(Vec<u8>),
    Other,
}

impl Item {
    fn number(self) -> Result<f64, &'static str> {
        if let Self::Number(number) = self { Ok(number) } else { Err("a label needs a number and has none") }
    }

    fn text(self) -> Result<String, &'static str> {
        if let Self::Text(text) = self { Ok(text) } else { Err("a label needs a text and has none") }
    }
}

impl Record {
    fn set(&mut self, label: &str, item: Item, form: Form) -> Result<(), &'static str> {
        match label {
            "bn" => self.base_name = Some(item.text()?),
            "bt" => self.base_time = Some(item.number()?),
            "bu" => self.base_unit = Some(item.text()?),
            "bv" => self.base_value = Some(item.number()?),
            "bs" => self.base_sum = Some(item.number()?),
            "bver" => self.base_version = Some(item.number()?),
            "n" => self.name = Some(item.text()?),
            "u" => self.unit = Some(item.text()?),
            "v" => return self.set_value(Value::Number(item.number()?)),
            "vs" => return self.set_value(Value::Text(item.text()?)),
            "vb" => return self.set_value(boolean(&item)?),
            "vd" => return self.set_value(Value::Data(data(item, form)?)),
            "s" => self.sum = Some(item.number()?),
            "t" => self.time = Some(item.number()?),
            "ut" => self.update_time = Some(item.number()?),
            unknown if unknown.ends_with('_') => {
                return Err("has a label that must be understood (it ends in `_`) and is not known");
            }
            _ => {}
        }
        Ok(())
    }

    fn set_value(&mut self, value: Value) -> Result<(), &'static str> {
        if self.value.replace(value).is_some() { Err("has more than one value") } else { Ok(()) }
    }
}

fn boolean(item: &Item) -> Result<Value, &'static str> {
    if let Item::Boolean(boolean) = item {
        Ok(Value::Boolean(*boolean))
    } else {
        Err("`vb` needs true or false")
    }
}

fn data(item: Item, form: Form) -> Result<String, &'static str> {
    match (item, form) {
        (Item::Text(text), Form::Json) if text.bytes().all(is_base64url) => Ok(text),
        (Item::Bytes(bytes), Form::Cbor) => Ok(base64url(&bytes)),
        _ => Err("`vd` needs base64url text in JSON, bytes in CBOR"),
    }
}

/// RFC 4648 §5; SenML writes it without padding, some senders with.
fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')
}

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().chain([&0; 2]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for digit in 0..=chunk.len() {
            let index = group >> (18 - 6 * digit) & 63;
            out.push(DIGITS.get(index).map_or('A', |digit| char::from(*digit)));
        }
    }
    out
}
