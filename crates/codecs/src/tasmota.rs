//! `tasmota`: telemetry and state of Tasmota firmware (https://tasmota.github.io/docs/MQTT/).
//!
//! - `SENSOR`: `Temperature` of any sensor is `temperature`, and so on ([`WORDS`]). Where two sensors of one payload
//!   would give the same name, each keeps its own in front: `ds18b20_1.temperature`, `bme280.temperature`. What has no
//!   word here always keeps it: `counter.c1`. Values of several phases are numbered: `power_1`.
//! - The chip's own temperature (`ESP32`) is `device_temperature`.
//! - Units are made ours: °F (`TempUnit`) to Cel; mmHg and inHg (`PressureUnit`) to hPa.
//! - `POWER` is `state`, `POWER1` `state_1`; `Switch1` is `switch_1`; `Wifi.Signal` is `rssi` (dBm), `Wifi.RSSI`
//!   `wifi.quality` (percent).
//! - Bare payloads: `LWT` is `availability`; `stat/…/POWER` is `state`; a number is the topic's last level.
//! - Event time is `Epoch`, else `Time`, which is local where it has no offset. A clock that has not been set (Tasmota
//!   starts in 1970) counts as none.
//! - `StatusSNS` and `StatusSTS` (answers to `Status 8`, `Status 11`) hold the same.

use std::collections::BTreeSet;

use gateway_core::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::words::Quantity;
use crate::{DecodeError, Input, MAX_NAME_BYTES, Measurements, time, words};

/// Tasmota's words and ours.
const WORDS: [(&str, &str); 29] = [
    ("Temperature", "temperature"),
    ("Humidity", "humidity"),
    ("DewPoint", "dew_point"),
    ("Pressure", "pressure"),
    ("SeaPressure", "sea_pressure"),
    ("Illuminance", "illuminance"),
    ("CarbonDioxide", "co2"),
    ("eCO2", "eco2"),
    ("TVOC", "voc"),
    ("PM1", "pm1"),
    ("PM2.5", "pm25"),
    ("PM10", "pm10"),
    ("Moisture", "soil_moisture"),
    ("Power", "power"),
    ("ApparentPower", "power_apparent"),
    ("ReactivePower", "power_reactive"),
    ("Factor", "power_factor"),
    ("Voltage", "voltage"),
    ("Current", "current"),
    ("Frequency", "ac_frequency"),
    ("Total", "energy"),
    ("Today", "energy_today"),
    ("Yesterday", "energy_yesterday"),
    ("ExportActive", "produced_energy"),
    ("Distance", "distance"),
    ("Occupancy", "occupancy"),
    ("Noise", "noise"),
    ("Vcc", "vcc"),
    ("UptimeSec", "uptime"),
];

/// The year 2001: before it a clock has not been set.
const CLOCK_IS_SET_FROM: Timestamp = Timestamp::from_millis(978_307_200_000);

pub(crate) fn decode(input: &Input<'_>, zone: &TimeZone, out: &mut Measurements) -> Result<(), DecodeError> {
    out.begin_record();
    if !crate::is_object(input.payload) {
        return bare(input, out);
    }
    let Value::Object(payload) = crate::parse_json(input.payload)? else {
        return Err(DecodeError::Shape { expected: "an object" });
    };
    let inner = ["StatusSNS", "StatusSTS"].iter().find_map(|key| payload.get(*key)?.as_object());
    let payload = inner.unwrap_or(&payload);
    let mut name = out.take_scratch();
    let read =
        Payload { payload, units: Units::of(payload), shared: shared_words(payload) }.read(&mut name, out);
    out.return_scratch(name);
    read?;
    if let Some(at) = event_time(payload, zone, out)? {
        out.set_time(at);
    }
    Ok(())
}

fn bare(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let text = crate::text(input.payload)?.trim();
    let expected = "an object, a number, or a word such as ON";
    let value = words::number_or_word(text).ok_or(DecodeError::Shape { expected })?.finite()?;
    let mut name = String::new();
    match input.metric.or_else(|| input.topic.rsplit('/').next()).unwrap_or_default() {
        "LWT" => name.push_str("availability"),
        "" => name.push_str("value"),
        level => push_top_name(level, &mut name),
    }
    out.push(&name, value)
}

fn event_time(
    payload: &Map<String, Value>,
    zone: &TimeZone,
    out: &Measurements,
) -> Result<Option<Timestamp>, DecodeError> {
    let at = match (payload.get("Epoch").and_then(Value::as_f64), payload.get("Time")) {
        (Some(epoch), _) => Timestamp::from_epoch_number(epoch),
        (None, Some(Value::Number(epoch))) => epoch.as_f64().and_then(Timestamp::from_epoch_number),
        (None, Some(Value::String(text))) => time::from_text(text, zone),
        _ => return Ok(None),
    };
    let at = at.ok_or_else(|| DecodeError::BadTime { record: out.record() })?;
    Ok((at >= CLOCK_IS_SET_FROM).then_some(at))
}

struct Units {
    fahrenheit: bool,
    hectopascals: f64,
}

impl Units {
    fn of(payload: &Map<String, Value>) -> Self {
        let unit = |key: &str| payload.get(key).and_then(Value::as_str);
        let hectopascals = match unit("PressureUnit") {
            Some("mmHg") => 1.333_223_874_15,
            Some("inHg") => 33.863_886_67,
            _ => 1.0,
        };
        Self { fahrenheit: unit("TempUnit") == Some("F"), hectopascals }
    }

    fn apply(&self, metric: &str, value: f64) -> f64 {
        match crate::unit_of(metric) {
            Some("Cel") if self.fahrenheit => (value - 32.0) / 1.8,
            Some("hPa") => value * self.hectopascals,
            _ => value,
        }
    }
}

struct Payload<'p> {
    payload: &'p Map<String, Value>,
    units: Units,
    /// Words that more than one sensor would use.
    shared: BTreeSet<&'static str>,
}

/// A field counts even while it is null: a name must not change when a sensor falls silent.
fn shared_words(payload: &Map<String, Value>) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    let sensors = payload.iter().filter(|(sensor, _)| *sensor != "ESP32");
    sensors
        .filter_map(|(_, fields)| fields.as_object())
        .flat_map(|fields| fields.keys().filter_map(|field| word(field)))
        .filter(|word| !seen.insert(*word))
        .collect()
}

impl Payload<'_> {
    fn read(&self, name: &mut String, out: &mut Measurements) -> Result<(), DecodeError> {
        for (key, value) in self.payload {
            match value {
                Value::Object(fields) => self.sensor(key, fields, name, out)?,
                _ if matches!(key.as_str(), "Time" | "Epoch") => {}
                value => {
                    name.clear();
                    push_top_name(key, name);
                    self.push(name, value, out)?;
                }
            }
        }
        Ok(())
    }

    fn sensor(
        &self,
        sensor: &str,
        fields: &Map<String, Value>,
        name: &mut String,
        out: &mut Measurements,
    ) -> Result<(), DecodeError> {
        if sensor.len() > MAX_NAME_BYTES {
            return Err(DecodeError::NameTooLong { record: 1, most: MAX_NAME_BYTES });
        }
        for (field, value) in fields {
            name.clear();
            self.push_name(sensor, field, name);
            match value {
                Value::Array(phases) => self.phases(phases, name, out)?,
                Value::Object(inner) => self.inner(inner, name, out)?,
                value => self.push(name, value, out)?,
            }
        }
        Ok(())
    }

    /// `ENERGY` of a meter with several phases.
    fn phases(&self, phases: &[Value], name: &mut String, out: &mut Measurements) -> Result<(), DecodeError> {
        let mark = name.len();
        for (index, value) in phases.iter().enumerate() {
            name.push('_');
            name.push_str(&(index + 1).to_string());
            self.push(name, value, out)?;
            name.truncate(mark);
        }
        Ok(())
    }

    /// One level more, as sensors behind a hub have it; deeper there is nothing.
    fn inner(
        &self,
        inner: &Map<String, Value>,
        name: &mut String,
        out: &mut Measurements,
    ) -> Result<(), DecodeError> {
        let mark = name.len();
        for (field, value) in inner {
            name.push('.');
            push_snake(field, name);
            self.push(name, value, out)?;
            name.truncate(mark);
        }
        Ok(())
    }

    fn push_name(&self, sensor: &str, field: &str, name: &mut String) {
        match (sensor, field) {
            ("ESP32", "Temperature") => return name.push_str("device_temperature"),
            ("Wifi", "Signal") => return name.push_str("rssi"),
            ("Wifi", "RSSI") => return name.push_str("wifi.quality"),
            _ => {}
        }
        let word = word(field);
        if word.is_none_or(|word| self.shared.contains(word)) {
            push_snake(sensor, name);
            name.push('.');
        }
        match word {
            Some(word) => name.push_str(word),
            None => push_snake(field, name),
        }
    }

    fn push(&self, metric: &str, value: &Value, out: &mut Measurements) -> Result<(), DecodeError> {
        let value = match value {
            Value::Number(number) => number.as_f64().map(Into::into),
            Value::Bool(boolean) => Some(words::from_bool(*boolean)),
            Value::String(text) => words::two_valued(text),
            _ => None,
        };
        match value {
            Some(value) => {
                out.push(metric, Quantity { value: self.units.apply(metric, value.value), ..value })
            }
            None => Ok(()),
        }
    }
}

fn word(field: &str) -> Option<&'static str> {
    WORDS.iter().find(|(theirs, _)| *theirs == field).map(|(_, ours)| *ours)
}

/// `POWER2` is `state_2`, `Switch1` `switch_1`, `Vcc` `vcc`.
fn push_top_name(key: &str, name: &mut String) {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = key.get(stem.len()..).unwrap_or_default();
    match stem {
        "POWER" => name.push_str("state"),
        _ => match word(key) {
            Some(word) => return name.push_str(word),
            None => push_snake(stem, name),
        },
    }
    if !number.is_empty() {
        name.push('_');
        name.push_str(number);
    }
}

/// `MqttCount` as `mqtt_count`, `DS18B20-1` as `ds18b20_1`.
fn push_snake(key: &str, name: &mut String) {
    let mut before_was_small = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && before_was_small {
            name.push('_');
        }
        before_was_small = c.is_ascii_lowercase();
        name.push(if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    }
}
