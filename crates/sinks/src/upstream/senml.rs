//! Records as SenML packs in JSON (RFC 8428): a pack for each record, on the topic that its JSON object would have.
//!
//! Guarantees: names have only the characters that SenML allows; there is no number that is not finite; a pack with a secondary
//! unit (RFC 8798) declares that (RFC 9100), as `"bver":26`.

#[cfg(test)]
mod tests;

use gateway_core::{Detail, Summary, Timestamp};
use record::{Aggregate, Alert, Metric, Reading, Record};
use serde::Serialize;

/// The version that a pack declares for secondary units: 10, and bit 4 (RFC 9100 section 6.1).
const VERSION_WITH_SECONDARY_UNITS: u8 = 26;

/// Units of RFC 8798 section 3.
const SECONDARY_UNITS: [&str; 33] = [
    "ms", "min", "h", "MHz", "kW", "kVA", "kvar", "Ah", "Wh", "kWh", "varh", "kvarh", "kVAh", "Wh/km", "KiB",
    "GB", "Mbit/s", "B/s", "MB/s", "mV", "mA", "dBm", "ug/m3", "mm/h", "m/h", "ppm", "/100", "/1000", "hPa",
    "mm", "cm", "km", "km/h",
];

/// One record of a pack; the first one has the base fields.
#[derive(Debug, Default, Serialize)]
struct Entry<'a> {
    #[serde(rename = "bver", skip_serializing_if = "Option::is_none")]
    base_version: Option<u8>,
    #[serde(rename = "bn", skip_serializing_if = "Option::is_none")]
    base_name: Option<String>,
    /// Unix seconds.
    #[serde(rename = "bt", skip_serializing_if = "Option::is_none")]
    base_time: Option<f64>,
    #[serde(rename = "n")]
    name: String,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(rename = "vs", skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// The pack of a record. `seq`: the number that the outbox gave it.
pub(super) fn pack(record: &Record, seq: Option<u64>) -> Vec<u8> {
    let mut pack = Pack::default();
    match record {
        Record::Aggregate(aggregate) => pack.aggregate(aggregate),
        Record::Alert(alert) => pack.alert(alert),
        Record::Reading(reading) => pack.reading(reading),
    }
    pack.text("id", record.id());
    if let Some(seq) = seq {
        pack.integer("seq", seq);
    }
    let (path, time) = match record {
        Record::Aggregate(aggregate) => (aggregate.subject.path(), aggregate.window.start),
        Record::Alert(alert) => (alert.device.as_str().into(), alert.at),
        Record::Reading(reading) => (reading.device.as_str().into(), reading.time),
    };
    pack.finish(format!("{}/{path}/", record.gateway()), time)
}

#[derive(Default)]
struct Pack<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> Pack<'a> {
    fn aggregate(&mut self, aggregate: &'a Aggregate) {
        aggregate.metrics.iter().for_each(|metric| self.metric(metric));
        self.seconds("window", aggregate.window.length().as_secs_f64());
        self.integer("revision", aggregate.revision.into());
        self.integer("late", aggregate.late.into());
        self.text("time_quality", aggregate.time_quality.as_str());
        self.subject(aggregate.subject.device(), aggregate.subject.zone(), aggregate.subject.protocol());
    }

    fn metric(&mut self, metric: &'a Metric) {
        let Summary { avg, min, max, std, count, percentiles, detail } = &metric.summary;
        let unit = metric.unit.as_deref();
        let name = |field: &str| format!("{}/{field}", metric.name);
        for (field, value) in [("avg", avg), ("min", min), ("max", max), ("std", std)] {
            self.number(name(field), unit, *value);
        }
        self.integer(name("count"), *count);
        for (percent, value) in percentiles {
            self.number(name(&format!("p{percent}")), unit, *value);
        }
        match detail {
            Detail::Gauge { first, last } => {
                self.number(name("first"), unit, *first);
                self.number(name("last"), unit, *last);
            }
            Detail::Counter { delta, rate, resets } => {
                self.number(name("delta"), unit, *delta);
                // Of the unit in a second, for which SenML has no name.
                self.number(name("rate"), None, *rate);
                self.integer(name("resets"), (*resets).into());
            }
            Detail::State { last, changes, duration } => {
                self.number(name("last"), unit, *last);
                self.integer(name("changes"), (*changes).into());
                for (state, seconds) in duration {
                    self.seconds(name(&format!("duration/{state}")), *seconds);
                }
            }
        }
    }

    fn alert(&mut self, alert: &'a Alert) {
        self.text("alert", alert.rule.as_str());
        self.text("state", alert.state.as_str());
        self.text("kind", alert.kind.as_str());
        self.text("severity", alert.severity.as_str());
        if let Some(metric) = &alert.metric {
            self.text("metric", metric.as_str());
        }
        if let Some(value) = alert.value {
            self.number("value".to_owned(), None, value);
        }
        self.text("message", alert.message.as_str());
        self.text("since", alert.since.to_string());
        self.subject(Some(&alert.device), alert.zone.as_deref(), alert.protocol.as_deref());
    }

    fn reading(&mut self, reading: &'a Reading) {
        reading.metrics.iter().for_each(|(name, value)| self.number(name.clone(), None, *value));
        self.subject(Some(&reading.device), reading.zone.as_deref(), reading.protocol.as_deref());
    }

    /// Their names as they are: those in `bn` and `n` may be encoded.
    fn subject(&mut self, device: Option<&str>, zone: Option<&str>, protocol: Option<&str>) {
        for (name, value) in [("device", device), ("zone", zone), ("protocol", protocol)] {
            if let Some(value) = value {
                self.text(name, value);
            }
        }
    }

    fn number(&mut self, name: String, unit: Option<&'a str>, value: f64) {
        if value.is_finite() {
            self.entries.push(Entry { name: encoded(&name), unit, value: Some(value), ..Entry::default() });
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "SenML's numbers are doubles; counters stay far below 2^53"
    )]
    fn integer(&mut self, name: impl Into<String>, value: u64) {
        self.number(name.into(), None, value as f64);
    }

    fn seconds(&mut self, name: impl Into<String>, value: f64) {
        self.number(name.into(), Some("s"), value);
    }

    fn text(&mut self, name: &str, text: impl Into<String>) {
        self.entries.push(Entry { name: name.to_owned(), text: Some(text.into()), ..Entry::default() });
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds stay far below 2^53")]
    fn finish(mut self, base_name: String, time: Timestamp) -> Vec<u8> {
        let has_secondary = self.entries.iter().any(|entry| entry.unit.is_some_and(is_secondary));
        if let Some(first) = self.entries.first_mut() {
            first.base_version = has_secondary.then_some(VERSION_WITH_SECONDARY_UNITS);
            first.base_name = Some(encoded(&base_name));
            first.base_time = Some(time.as_millis() as f64 / 1000.0);
        }
        // Structs of numbers and texts can always be written into memory.
        serde_json::to_vec(&self.entries).unwrap_or_default()
    }
}

fn is_secondary(unit: &str) -> bool {
    SECONDARY_UNITS.contains(&unit)
}

/// A name as SenML allows it (RFC 8428 section 4.5.1): what is neither a letter or digit of ASCII nor one of `-:./_` is written
/// as `:` and two hex digits for each byte, and a name that begins with one of these gets a `0` in front.
fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || (b"-:./_".contains(&byte) && !text.is_empty()) {
            text.push(char::from(byte));
        } else if text.is_empty() && b"-:./_".contains(&byte) {
            text.push('0');
            text.push(char::from(byte));
        } else {
            let begin = if text.is_empty() { "0" } else { "" };
            text += &format!("{begin}:{byte:02X}");
        }
    }
    text
}
