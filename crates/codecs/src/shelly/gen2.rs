//! Shelly's later generations: objects of components, `{"switch:0":{"output":true,"apower":61.5}}`, as notifications, as
//! statuses by topic, and as answers.

use gateway_core::Timestamp;
use serde_json::{Map, Value};

use super::push_channel;
use crate::{DecodeError, Input, Measurements, words};

type Object = Map<String, Value>;

const WH: f64 = 0.001;

/// Fields of components, our name, the factor to our unit. `aenergy.total` is `total` inside `aenergy`.
const FIELDS: [(&str, &str, f64); 65] = [
    ("output", "state", 1.0),
    ("apower", "power", 1.0),
    ("aprtpower", "power_apparent", 1.0),
    ("voltage", "voltage", 1.0),
    ("current", "current", 1.0),
    ("freq", "ac_frequency", 1.0),
    ("pf", "power_factor", 1.0),
    ("aenergy.total", "energy", WH),
    ("ret_aenergy.total", "produced_energy", WH),
    ("temperature.tC", "device_temperature", 1.0),
    ("tC", "temperature", 1.0),
    ("rh", "humidity", 1.0),
    ("lux", "illuminance", 1.0),
    ("battery.percent", "battery", 1.0),
    ("battery.V", "voltage", 1.0),
    ("battery", "battery", 1.0),
    ("external.present", "external_power", 1.0),
    ("rssi", "rssi", 1.0),
    ("brightness", "brightness", 1.0),
    ("ct", "color_temp", 1.0),
    ("white", "white", 1.0),
    ("current_pos", "position", 1.0),
    ("slat_pos", "slat_position", 1.0),
    ("pos", "position", 1.0),
    ("target_C", "current_heating_setpoint", 1.0),
    ("current_C", "local_temperature", 1.0),
    ("target_humidity", "target_humidity", 1.0),
    ("current_humidity", "humidity", 1.0),
    ("percent", "percent", 1.0),
    ("xpercent", "xpercent", 1.0),
    ("xvoltage", "xvoltage", 1.0),
    ("counts.total", "count", 1.0),
    ("num_objects", "presence_count", 1.0),
    // One phase of a meter with one channel a phase (em1), then all three of em.
    ("act_power", "power", 1.0),
    ("aprt_power", "power_apparent", 1.0),
    ("total_act_power", "power", 1.0),
    ("total_aprt_power", "power_apparent", 1.0),
    ("total_current", "current", 1.0),
    ("n_current", "current_n", 1.0),
    ("a_act_power", "power_a", 1.0),
    ("b_act_power", "power_b", 1.0),
    ("c_act_power", "power_c", 1.0),
    ("a_aprt_power", "power_apparent_a", 1.0),
    ("b_aprt_power", "power_apparent_b", 1.0),
    ("c_aprt_power", "power_apparent_c", 1.0),
    ("a_voltage", "voltage_a", 1.0),
    ("b_voltage", "voltage_b", 1.0),
    ("c_voltage", "voltage_c", 1.0),
    ("a_current", "current_a", 1.0),
    ("b_current", "current_b", 1.0),
    ("c_current", "current_c", 1.0),
    ("a_pf", "power_factor_a", 1.0),
    ("b_pf", "power_factor_b", 1.0),
    ("c_pf", "power_factor_c", 1.0),
    // emdata and em1data.
    ("total_act", "energy", WH),
    ("total_act_ret", "produced_energy", WH),
    ("total_act_energy", "energy", WH),
    ("total_act_ret_energy", "produced_energy", WH),
    ("a_total_act_energy", "energy_a", WH),
    ("b_total_act_energy", "energy_b", WH),
    ("c_total_act_energy", "energy_c", WH),
    ("a_total_act_ret_energy", "produced_energy_a", WH),
    ("b_total_act_ret_energy", "produced_energy_b", WH),
    ("c_total_act_ret_energy", "produced_energy_c", WH),
    ("a_freq", "ac_frequency", 1.0),
];

/// Of the device itself, from components without a channel.
const DEVICE_FIELDS: [(&str, &str, &str); 4] = [
    ("sys", "uptime", "uptime"),
    ("sys", "ram_free", "ram_free"),
    ("sys", "fs_free", "fs_free"),
    ("wifi", "rssi", "rssi"),
];

pub(super) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let Value::Object(payload) = crate::parse_json(input.payload)? else {
        return Err(DecodeError::Shape { expected: "an object" });
    };
    if let Some(key) = component_of_topic(input.topic) {
        return component(key, &payload, out);
    }
    if let Some(method) = payload.get("method").and_then(Value::as_str) {
        return notification(method, &payload, out);
    }
    let status = payload.get("result").and_then(Value::as_object).unwrap_or(&payload);
    if let Some(components) = status.get("components").and_then(Value::as_array) {
        return listed(components, out);
    }
    if status.get("id").is_some_and(Value::is_number) && !status.contains_key("src") {
        return component("", status, out);
    }
    full_status(status, out)
}

/// `switch:0` in `<id>/status/switch:0`.
fn component_of_topic(topic: &str) -> Option<&str> {
    let (before, key) = topic.rsplit_once('/')?;
    (before.rsplit('/').next() == Some("status")).then_some(key)
}

fn notification(method: &str, payload: &Object, out: &mut Measurements) -> Result<(), DecodeError> {
    if !matches!(method, "NotifyStatus" | "NotifyFullStatus") {
        return Ok(());
    }
    let params = payload.get("params").and_then(Value::as_object);
    let params = params.ok_or(DecodeError::Shape { expected: "an object `params` in a notification" })?;
    full_status(params, out)?;
    // Null or missing where the device's clock is not set.
    if let Some(ts) = params.get("ts").and_then(Value::as_f64) {
        let at = Timestamp::from_epoch_number(ts).ok_or(DecodeError::BadTime { record: 1 })?;
        out.set_time(at);
    }
    Ok(())
}

/// `Shelly.GetComponents`.
fn listed(components: &[Value], out: &mut Measurements) -> Result<(), DecodeError> {
    for item in components {
        let key = item.get("key").and_then(Value::as_str);
        let status = item.get("status").and_then(Value::as_object);
        if let (Some(key), Some(status)) = (key, status) {
            component(key, status, out)?;
        }
    }
    Ok(())
}

fn full_status(components: &Object, out: &mut Measurements) -> Result<(), DecodeError> {
    for (key, status) in components {
        if let Value::Object(status) = status {
            component(key, status, out)?;
        }
    }
    Ok(())
}

fn component(key: &str, status: &Object, out: &mut Measurements) -> Result<(), DecodeError> {
    let Some((kind, channel)) = key.split_once(':').or_else(|| key.is_empty().then_some(("", ""))) else {
        return device(key, status, out);
    };
    let id = status.get("id").and_then(Value::as_u64).map(|id| id.to_string());
    let channel = if key.is_empty() { id.as_deref().unwrap_or("") } else { channel };
    let mut name = out.take_scratch();
    let read = fields(kind, channel, status, &mut name, out);
    out.return_scratch(name);
    read
}

fn device(kind: &str, status: &Object, out: &mut Measurements) -> Result<(), DecodeError> {
    for (_, field, metric) in DEVICE_FIELDS.iter().filter(|(of, _, _)| *of == kind) {
        if let Some(value) = status.get(*field).and_then(Value::as_f64) {
            out.push(metric, value)?;
        }
    }
    Ok(())
}

fn fields(
    kind: &str,
    channel: &str,
    status: &Object,
    name: &mut String,
    out: &mut Measurements,
) -> Result<(), DecodeError> {
    for (path, metric, factor) in FIELDS {
        if let Some(value) = find(status, path).and_then(number) {
            push_channel(name, metric, channel);
            out.push(name, value.scaled(factor))?;
        }
    }
    for (field, metric) in by_kind(kind) {
        if let Some(value) = status.get(field).and_then(number) {
            push_channel(name, metric, channel);
            out.push(name, value)?;
        }
    }
    Ok(())
}

/// Fields whose meaning depends on the kind of the component.
fn by_kind(kind: &str) -> [(&'static str, &str); 3] {
    let alarm = match kind {
        "flood" => "water_leak",
        "smoke" => "smoke",
        _ => "alarm",
    };
    let value = match kind {
        "presence" | "presencezone" => "occupancy",
        "" => "value",
        kind => kind,
    };
    let state = match kind {
        "" => "state",
        "presencezone" => "occupancy",
        kind => kind,
    };
    [("alarm", alarm), ("value", value), ("state", state)]
}

fn find<'v>(status: &'v Object, path: &str) -> Option<&'v Value> {
    match path.split_once('.') {
        Some((outer, inner)) => status.get(outer)?.get(inner),
        None => status.get(path),
    }
}

fn number(value: &Value) -> Option<words::Quantity> {
    match value {
        Value::Number(number) => number.as_f64().map(Into::into),
        Value::Bool(boolean) => Some(words::from_bool(*boolean)),
        _ => None,
    }
}
