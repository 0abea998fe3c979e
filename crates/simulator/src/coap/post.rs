//! Encodes a device's readings in one of the formats that CoAP devices use. The format depends on the device, so that a
//! building of five devices uses all of them.

use bytes::Bytes;
use ciborium::Value as Cbor;
use coap_link::{ContentFormat, Method, Request};

use crate::device::{Sample, Value, cut};

/// A request and the number of its readings.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) request: Request,
    pub(super) readings: u32,
}

impl Post {
    /// `device` is the index in the building.
    pub(super) fn new(device: usize, name: &str, sample: &Sample) -> Self {
        let mut path = format!("sensors/{name}");
        let mut readings = sample.readings();
        let (format, payload) = match device % 5 {
            0 => (ContentFormat::JSON, sample.json().into()),
            1 => (ContentFormat::SENML_JSON, senml_json(name, sample).into()),
            2 => (ContentFormat::SENML_CBOR, encode(&senml_cbor(name, sample))),
            3 => (ContentFormat::CBOR, encode(&cbor(sample))),
            _ => {
                let (metric, text) = sample.one();
                path = format!("{path}/{metric}");
                readings = 1;
                (ContentFormat::TEXT, text.into())
            }
        };
        let payload = if sample.cut { cut(&payload) } else { payload };
        let readings = if sample.cut { 1 } else { readings };
        Self { request: Request::new(Method::Post, &path).with_payload(format, payload), readings }
    }
}

/// RFC 8428, 5.
fn senml_json(name: &str, sample: &Sample) -> String {
    let mut base = format!("\"bn\":\"{name}/\",");
    if let Some(clock) = sample.clock {
        base = format!("{base}\"bt\":{},", clock.as_millis() / 1000);
    }
    let records = sample.values.iter().enumerate().map(|(index, (metric, value))| {
        let base = if index == 0 { &*base } else { "" };
        let unit = unit(metric).map(|unit| format!("\"u\":\"{unit}\",")).unwrap_or_default();
        let label = if matches!(value, Value::Boolean(_)) { "vb" } else { "v" };
        format!("{{{base}\"n\":\"{metric}\",{unit}\"{label}\":{value}}}")
    });
    format!("[{}]", records.collect::<Vec<_>>().join(","))
}

/// RFC 8428, 6: labels are numbers.
fn senml_cbor(name: &str, sample: &Sample) -> Cbor {
    const BASE_NAME: i8 = -2;
    const BASE_TIME: i8 = -3;
    const NAME: i8 = 0;
    const UNIT: i8 = 1;
    const VALUE: i8 = 2;
    const BOOLEAN: i8 = 4;
    let records = sample.values.iter().enumerate().map(|(index, (metric, value))| {
        let mut fields = Vec::new();
        let mut field = |label: i8, value: Cbor| fields.push((Cbor::from(label), value));
        if index == 0 {
            field(BASE_NAME, format!("{name}/").into());
            if let Some(clock) = sample.clock {
                field(BASE_TIME, (clock.as_millis() / 1000).into());
            }
        }
        field(NAME, (*metric).into());
        if let Some(unit) = unit(metric) {
            field(UNIT, unit.into());
        }
        field(if matches!(value, Value::Boolean(_)) { BOOLEAN } else { VALUE }, number(*value));
        Cbor::Map(fields)
    });
    Cbor::Array(records.collect())
}

/// The JSON object's twin.
fn cbor(sample: &Sample) -> Cbor {
    let time = sample.clock.map(|clock| ("time".into(), clock.to_string().into()));
    let metrics = sample.values.iter().map(|(metric, value)| ((*metric).into(), number(*value)));
    Cbor::Map(time.into_iter().chain(metrics).collect())
}

fn number(value: Value) -> Cbor {
    match value {
        Value::Boolean(boolean) => boolean.into(),
        // As many digits as the other formats carry.
        Value::Number(number, _) => value.to_string().parse().unwrap_or(number).into(),
    }
}

fn encode(item: &Cbor) -> Bytes {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = ciborium::into_writer(item, &mut bytes);
    bytes.into()
}

/// SenML's units (RFC 8428, 12.1; RFC 8798), of what has one.
fn unit(metric: &str) -> Option<&'static str> {
    Some(match metric {
        "temperature" => "Cel",
        "humidity" => "%RH",
        "co2" => "ppm",
        "power" => "W",
        "energy" => "kWh",
        "illuminance" => "lx",
        "battery" => "%EL",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "post_tests.rs"]
mod tests;
