//! Records as InfluxDB's line protocol, with milliseconds:
//! `measurement,tag=value field=1.5,count=30i 1795132800000`.
//!
//! Escapes are those of the documentation (docs.influxdata.com, "Line protocol": special characters): a backslash before
//! commas and spaces in measurements, before commas, spaces and equals signs in tags and names of fields, before quotes and
//! backslashes in texts. The protocol has no way to write a line break or a final backslash in a tag: they are
//! percent-encoded, as control characters are.

use std::fmt::Write as _;

use gateway_core::{Detail, Summary, percent};
use record::{Aggregate, Alert, Reading, Record};

use super::config::Timestamp;

/// What is written as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) aggregates: String,
    pub(super) alerts: String,
    pub(super) readings: String,
    pub(super) timestamp: Timestamp,
}

impl Format {
    /// The record's line, with a line break at its end. `None` if it has no value that can be written.
    pub(super) fn line(&self, record: &Record) -> Option<String> {
        let mut line = Line::default();
        let time = match record {
            Record::Aggregate(aggregate) => self.aggregate(aggregate, &mut line),
            Record::Alert(alert) => self.alert(alert, &mut line),
            Record::Reading(reading) => self.reading(reading, &mut line),
        };
        line.finish(time)
    }

    fn aggregate(&self, aggregate: &Aggregate, line: &mut Line) -> i64 {
        line.measurement(&self.aggregates);
        line.tag("gateway", Some(&aggregate.gateway));
        line.tag("device", aggregate.subject.device());
        line.tag("zone", aggregate.subject.zone());
        line.tag("protocol", aggregate.subject.protocol());
        for metric in &aggregate.metrics {
            summary(&metric.name, &metric.summary, line);
        }
        match self.timestamp {
            Timestamp::Start => aggregate.window.start.as_millis(),
            Timestamp::End => aggregate.window.end.as_millis(),
        }
    }

    fn alert(&self, alert: &Alert, line: &mut Line) -> i64 {
        line.measurement(&self.alerts);
        line.tag("gateway", Some(&alert.gateway));
        line.tag("device", Some(&alert.device));
        line.tag("zone", alert.zone.as_deref());
        line.tag("protocol", alert.protocol.as_deref());
        line.tag("alert", Some(&alert.rule));
        line.tag("metric", alert.metric.as_deref());
        line.text("state", alert.state.as_str());
        line.text("severity", alert.severity.as_str());
        if let Some(value) = alert.value {
            line.float("value", value);
        }
        line.text("message", &alert.message);
        alert.at.as_millis()
    }

    fn reading(&self, reading: &Reading, line: &mut Line) -> i64 {
        line.measurement(&self.readings);
        line.tag("gateway", Some(&reading.gateway));
        line.tag("device", Some(&reading.device));
        line.tag("zone", reading.zone.as_deref());
        line.tag("protocol", reading.protocol.as_deref());
        reading.metrics.iter().for_each(|(name, value)| line.float(name, *value));
        reading.time.as_millis()
    }
}

/// The fields of one metric of an aggregate.
fn summary(name: &str, summary: &Summary, line: &mut Line) {
    let Summary { avg, min, max, std, count, percentiles, detail } = summary;
    for (part, value) in [("avg", avg), ("min", min), ("max", max), ("std", std)] {
        line.float(&format!("{name}_{part}"), *value);
    }
    line.integer(&format!("{name}_count"), *count);
    for (percent, value) in percentiles {
        line.float(&format!("{name}_p{percent}"), *value);
    }
    match detail {
        Detail::Gauge { first, last } => {
            line.float(&format!("{name}_first"), *first);
            line.float(&format!("{name}_last"), *last);
        }
        Detail::Counter { delta, rate, resets } => {
            line.float(&format!("{name}_delta"), *delta);
            line.float(&format!("{name}_rate"), *rate);
            line.integer(&format!("{name}_resets"), u64::from(*resets));
        }
        Detail::State { last, changes, duration } => {
            line.float(&format!("{name}_last"), *last);
            line.integer(&format!("{name}_changes"), u64::from(*changes));
            for (value, seconds) in duration {
                line.float(&format!("{name}_duration_{value}"), *seconds);
            }
        }
    }
}

/// A line that is being written.
#[derive(Debug, Default)]
struct Line {
    text: String,
    has_fields: bool,
}

impl Line {
    fn measurement(&mut self, name: &str) {
        escape(name, &[',', ' '], &mut self.text);
    }

    /// A tag without a value is left out, as the protocol wants it.
    fn tag(&mut self, name: &str, value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        self.text.push(',');
        self.text.push_str(name);
        self.text.push('=');
        escape(value, &[',', ' ', '='], &mut self.text);
    }

    fn field(&mut self, name: &str) {
        self.text.push(if self.has_fields { ',' } else { ' ' });
        self.has_fields = true;
        escape(name, &[',', ' ', '='], &mut self.text);
        self.text.push('=');
    }

    /// The protocol has no NaN and no infinities: they are left out.
    fn float(&mut self, name: &str, value: f64) {
        if value.is_finite() {
            self.field(name);
            // Writing into a text cannot fail.
            let _ = write!(self.text, "{value:?}");
        }
    }

    fn integer(&mut self, name: &str, value: u64) {
        self.field(name);
        let _ = write!(self.text, "{}i", value.min(i64::MAX.cast_unsigned()));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.field(name);
        self.text.push('"');
        for char in value.chars() {
            if matches!(char, '"' | '\\') {
                self.text.push('\\');
            }
            self.text.push(char);
        }
        self.text.push('"');
    }

    fn finish(mut self, millis: i64) -> Option<String> {
        let _ = writeln!(self.text, " {millis}");
        self.has_fields.then_some(self.text)
    }
}

fn escape(text: &str, special: &[char], into: &mut String) {
    let last = text.len().saturating_sub(1);
    for (at, char) in text.char_indices() {
        if char.is_control() || (char == '\\' && at == last) {
            percent::push(into, char);
            continue;
        }
        if special.contains(&char) {
            into.push('\\');
        }
        into.push(char);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway_core::{AlertKind, AlertState, Severity, TimeQuality, Window};
    use record::{Metric, Subject};

    use super::*;

    fn format() -> Format {
        Format {
            aggregates: "aggregates".to_owned(),
            alerts: "alerts".to_owned(),
            readings: "my readings".to_owned(),
            timestamp: Timestamp::Start,
        }
    }

    fn aggregate(device: &str, metric: &str, avg: f64, detail: Detail) -> Record {
        let start = gateway_core::Timestamp::from_millis(1_795_132_800_000);
        let summary = Summary {
            avg,
            min: 21.0,
            max: 22.0,
            std: 0.5,
            count: 30,
            percentiles: vec![(95.0, 21.9)],
            detail,
        };
        Record::Aggregate(Aggregate {
            gateway: "hq".to_owned(),
            subject: Subject::Device {
                name: device.to_owned(),
                zone: Some("floor 1/lounge".to_owned()),
                protocol: Some("mqtt".to_owned()),
            },
            window: Window { start, end: start + Duration::from_secs(300) },
            metrics: vec![Metric { name: metric.to_owned(), unit: None, summary }],
            revision: 0,
            late: 0,
            time_quality: TimeQuality::Synced,
        })
    }

    #[test]
    fn an_aggregate_has_fields_for_each_part_of_each_metric() {
        let record = aggregate("lounge", "temperature", 21.5, Detail::Gauge { first: 21.0, last: 22.0 });
        assert_eq!(
            format().line(&record).unwrap(),
            "aggregates,gateway=hq,device=lounge,zone=floor\\ 1/lounge,protocol=mqtt temperature_avg=21.5,\
             temperature_min=21.0,temperature_max=22.0,temperature_std=0.5,temperature_count=30i,temperature_p95=21.9,\
             temperature_first=21.0,temperature_last=22.0 1795132800000\n"
        );
        let door = aggregate(
            "door",
            "contact",
            1.0,
            Detail::State { last: 1.0, changes: 3, duration: vec![(0.0, 12.5), (1.0, 47.5)] },
        );
        let line = Format { timestamp: Timestamp::End, ..format() }.line(&door).unwrap();
        assert!(
            line.contains("contact_changes=3i,contact_duration_0=12.5,contact_duration_1=47.5 1795133100000"),
            "{line}"
        );
        let meter = aggregate("meter", "energy", 1.0, Detail::Counter { delta: 3.0, rate: 0.01, resets: 1 });
        let line = format().line(&meter).unwrap();
        assert!(line.contains("energy_delta=3.0,energy_rate=0.01,energy_resets=1i "), "{line}");
    }

    #[test]
    fn special_characters_are_escaped_where_the_protocol_says_so() {
        let record = aggregate("a,b =c\\", "t emp=x,y", 1e300, Detail::Gauge { first: 1.0, last: 1.0 });
        let line = format().line(&record).unwrap();
        assert!(line.starts_with("aggregates,gateway=hq,device=a\\,b\\ \\=c%5C,zone="), "{line}");
        assert!(line.contains(" t\\ emp\\=x\\,y_avg=1e300,"), "{line}");
        let record = aggregate("two\nlines\r", "t", 1.0, Detail::Gauge { first: 1.0, last: 1.0 });
        let line = format().line(&record).unwrap();
        assert!(line.contains("device=two%0Alines%0D,") && line.matches('\n').count() == 1, "{line}");
    }

    #[test]
    fn values_that_are_no_numbers_are_left_out_and_a_line_without_fields_is_none() {
        let reading = |values: &[(&str, f64)]| {
            Record::Reading(Reading {
                gateway: "hq".to_owned(),
                device: "lounge".to_owned(),
                zone: None,
                protocol: Some("ble".to_owned()),
                time: gateway_core::Timestamp::from_millis(5),
                number: 0,
                same_time: false,
                metrics: values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            })
        };
        let line = format().line(&reading(&[("a", f64::NAN), ("b", -0.5), ("c", f64::INFINITY)]));
        assert_eq!(line.unwrap(), "my\\ readings,gateway=hq,device=lounge,protocol=ble b=-0.5 5\n");
        assert_eq!(format().line(&reading(&[("a", f64::NAN)])), None);
    }

    #[test]
    fn an_alert_has_its_text_as_fields() {
        let alert = Record::Alert(Alert {
            gateway: "hq".to_owned(),
            device: "lounge".to_owned(),
            zone: None,
            protocol: Some("mqtt".to_owned()),
            metric: Some("temperature".to_owned()),
            rule: "too-hot".to_owned(),
            kind: AlertKind::Threshold,
            state: AlertState::Raised,
            severity: Severity::Critical,
            value: Some(41.2),
            score: None,
            anomaly_kind: None,
            expected: None,
            since: gateway_core::Timestamp::EPOCH,
            at: gateway_core::Timestamp::from_millis(7),
            message: "say \"hot\" \\ 41.2".to_owned(),
            limit: None,
            notice: None,
        });
        assert_eq!(
            format().line(&alert).unwrap(),
            "alerts,gateway=hq,device=lounge,protocol=mqtt,alert=too-hot,metric=temperature state=\"raised\",\
             severity=\"critical\",value=41.2,message=\"say \\\"hot\\\" \\\\ 41.2\" 7\n"
        );
    }
}
