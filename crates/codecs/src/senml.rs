//! `senml`: Sensor Measurement Lists (RFC 8428) in JSON and CBOR, with the secondary units of RFC 8798.
//!
//! - A payload whose first byte that is no space is `[` is JSON, else it is CBOR. (`0x5b` begins no CBOR array.)
//! - `v` and `vb` make a measurement (true 1, false 0); `vs` and `vd` make none; a sum `s` makes one called
//!   `<name>.sum`, without a unit, because a sum's unit is the record's times seconds.
//! - Where the topic or path names the device, the base name is dropped and the record's `n` is the metric, `value` where
//!   it is empty. Otherwise the name contains both; see [`split`].
//! - Without a time, or with one below 2^28, a record is relative to the arrival.
//! - What breaks a rule of the RFC refuses the whole pack: a name with other characters, an unknown label that ends in
//!   `_`, a version above 10, two values or none, a value of the wrong type.

mod pack;
mod resolve;

use gateway_core::Timestamp;
use serde_json::{Map, Value as Json};

use self::resolve::{Resolved, Resolver};
use crate::{DecodeError, Input, Measurements};

/// A record's value.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
    Boolean(bool),
    /// Base64url without padding, as JSON has it.
    Data(String),
}

pub(crate) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let mut name = out.take_scratch();
    let read = each_record(input, |record| measure(&record, input, &mut name, out));
    out.return_scratch(name);
    read
}

/// The resolved records of RFC 8428 §4.6, in chronological order.
pub(crate) fn data(input: &Input<'_>) -> Result<Json, DecodeError> {
    let mut records = Vec::new();
    each_record(input, |record| {
        records.push((record.time, to_json(&record)?));
        Ok(())
    })?;
    records.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(records.into_iter().map(|(_, record)| record).collect())
}

fn each_record(
    input: &Input<'_>,
    mut take: impl FnMut(Resolved) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut resolver = Resolver::new(input.received_at, input.device.is_some());
    for (index, record) in pack::parse(input.payload)?.into_iter().enumerate() {
        let resolved = record
            .and_then(|record| resolver.resolve(record))
            .map_err(|problem| DecodeError::Senml { record: index + 1, problem })?;
        if let Some(resolved) = resolved {
            take(resolved)?;
        }
    }
    Ok(())
}

fn measure(
    record: &Resolved,
    input: &Input<'_>,
    name: &mut String,
    out: &mut Measurements,
) -> Result<(), DecodeError> {
    let (device, metric) = if input.device.is_some() {
        (None, record.own_name.as_str())
    } else {
        split(&record.base_name, &record.own_name)
    };
    let metric = if metric.is_empty() { input.metric.unwrap_or("value") } else { metric };
    out.begin_record();
    match record.value {
        Some(Value::Number(value)) => out.push(metric, value)?,
        Some(Value::Boolean(value)) => out.push(metric, crate::words::from_bool(value))?,
        Some(Value::Text(_) | Value::Data(_)) | None => {}
    }
    if let Some(unit) = &record.unit {
        out.set_unit(metric, unit);
    }
    if let Some(sum) = record.sum {
        name.clear();
        name.push_str(metric);
        name.push_str(".sum");
        out.push(name, sum)?;
    }
    if let Some(device) = device {
        out.set_device(device)?;
    }
    if record.has_time {
        // Seconds; the resolver has refused what lies outside the range.
        if let Some(at) = Timestamp::from_epoch_number(record.time) {
            out.set_time(at);
        }
    }
    Ok(())
}

/// Device and metric in a name (RFC 8428 does not say which part is which):
///
/// - a base name and a name: the base name without the separator at its end, and the name;
/// - only one of them, a device URN (RFC 9039): `urn:dev:<type>:<id>`, and what follows the next separator;
/// - else what stands before and after the last `/` or `:`; without either there is no device.
fn split<'a>(base: &'a str, own: &'a str) -> (Option<&'a str>, &'a str) {
    const SEPARATORS: [char; 5] = [':', '/', '_', '-', '.'];
    let base = base.trim_end_matches(SEPARATORS);
    match (base, own) {
        ("", name) | (name, "") => split_one(name),
        (device, metric) => (Some(device), metric),
    }
}

fn split_one(name: &str) -> (Option<&str>, &str) {
    let id = name.strip_prefix("urn:dev:").and_then(|rest| rest.split_once(':')).map(|(_, id)| id);
    if let Some(id) = id {
        let metric = id.find([':', '/', '_', ';']).and_then(|at| id.get(at + 1..)).unwrap_or("");
        let device = name.get(..name.len() - metric.len()).unwrap_or(name);
        return (Some(device.trim_end_matches([':', '/', '_', ';'])), metric);
    }
    name.rfind(['/', ':']).map_or((None, name), |at| {
        let device = name.get(..at).filter(|device| !device.is_empty());
        (device, name.get(at + 1..).unwrap_or(""))
    })
}

fn to_json(record: &Resolved) -> Result<Json, DecodeError> {
    let mut json = Map::new();
    if let Some(version) = record.version {
        json.insert("bver".into(), number(version)?);
    }
    json.insert("n".into(), format!("{}{}", record.base_name, record.own_name).into());
    if let Some(unit) = &record.unit {
        json.insert("u".into(), unit.as_str().into());
    }
    match &record.value {
        Some(Value::Number(value)) => json.insert("v".into(), number(*value)?),
        Some(Value::Text(text)) => json.insert("vs".into(), text.as_str().into()),
        Some(Value::Boolean(boolean)) => json.insert("vb".into(), (*boolean).into()),
        Some(Value::Data(data)) => json.insert("vd".into(), data.as_str().into()),
        None => None,
    };
    if let Some(sum) = record.sum {
        json.insert("s".into(), number(sum)?);
    }
    json.insert("t".into(), number(record.time)?);
    if let Some(update_time) = record.update_time {
        json.insert("ut".into(), number(update_time)?);
    }
    Ok(Json::Object(json))
}

/// Whole numbers without `.0`, as people write them.
fn number(number: f64) -> Result<Json, DecodeError> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if !number.is_finite() {
        return Err(DecodeError::NotFinite);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    let json =
        if number.fract() == 0.0 && number.abs() < EXACT { (number as i64).into() } else { number.into() };
    Ok(json)
}

#[cfg(test)]
mod tests;
