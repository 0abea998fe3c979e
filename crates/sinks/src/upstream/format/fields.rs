//! A record as a flat list of named values, for formats that have no objects: `temperature/avg`, `aggregate/id`,
//! `alerts/too-hot/state`.

use std::borrow::Cow;

use gateway_core::{AlertKind, AnomalyKind, Detail, Timestamp};
use record::{Aggregate, Alert, Metric, Reading, Record};

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// May be no number (NaN) or infinite.
    Float(f64),
    Int(i64),
    Text(String),
    Time(Timestamp),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) value: Value,
    /// A unit of SenML.
    pub(super) unit: Option<&'a str>,
}

/// Encodes a name from outside (a metric, a rule) as a part of a field's name.
pub(super) type EncodeName = fn(&str) -> Cow<'_, str>;

/// The time of a record: the end of the window, the time of the alert or reading.
pub(super) fn time(record: &Record) -> Timestamp {
    match record {
        Record::Aggregate(aggregate) => aggregate.window.end,
        Record::Alert(alert) => alert.at,
        Record::Reading(reading) => reading.time,
    }
}

/// All fields of a record; `seq` is its number. No two have the same name.
pub(super) fn fields(record: &Record, seq: u64, encode: EncodeName) -> Vec<Field<'_>> {
    let mut list = List { fields: Vec::with_capacity(32), encode };
    match record {
        Record::Aggregate(aggregate) => list.aggregate(aggregate, seq),
        Record::Alert(alert) => list.alert(alert, seq),
        Record::Reading(reading) => list.reading(reading),
    }
    list.fields
}

struct List<'a> {
    fields: Vec<Field<'a>>,
    encode: EncodeName,
}

impl<'a> List<'a> {
    fn add(&mut self, name: String, value: Value, unit: Option<&'a str>) {
        self.fields.push(Field { name, value, unit });
    }

    fn aggregate(&mut self, aggregate: &'a Aggregate, seq: u64) {
        let Aggregate { window, metrics, revision, late, time_quality, .. } = aggregate;
        self.add("aggregate/id".to_owned(), text(aggregate.id()), None);
        self.add("aggregate/seq".to_owned(), int(seq), None);
        self.add("aggregate/revision".to_owned(), int((*revision).into()), None);
        self.add("aggregate/length".to_owned(), Value::Float(window.length().as_secs_f64()), Some("s"));
        self.add("aggregate/late".to_owned(), int((*late).into()), Some("count"));
        self.add("aggregate/time_quality".to_owned(), text(time_quality.as_str()), None);
        let subject = &aggregate.subject;
        for (name, value) in [("zone", subject.zone()), ("protocol", subject.protocol())] {
            value.into_iter().for_each(|value| self.add(format!("aggregate/{name}"), text(value), None));
        }
        metrics.iter().for_each(|metric| self.metric(metric));
    }

    fn metric(&mut self, metric: &'a Metric) {
        let encode = self.encode;
        let (name, unit, summary) = (encode(&metric.name), metric.unit.as_deref(), &metric.summary);
        let numbers =
            [("avg", summary.avg), ("min", summary.min), ("max", summary.max), ("std", summary.std)];
        for (part, number) in numbers {
            self.add(format!("{name}/{part}"), Value::Float(number), unit);
        }
        self.add(format!("{name}/count"), int(summary.count), Some("count"));
        for (percent, number) in &summary.percentiles {
            self.add(format!("{name}/p{}", encode(&percent.to_string())), Value::Float(*number), unit);
        }
        match &summary.detail {
            Detail::Gauge { first, last } => {
                self.add(format!("{name}/first"), Value::Float(*first), unit);
                self.add(format!("{name}/last"), Value::Float(*last), unit);
            }
            Detail::Counter { delta, rate, resets } => {
                self.add(format!("{name}/delta"), Value::Float(*delta), unit);
                self.add(format!("{name}/rate"), Value::Float(*rate), None);
                self.add(format!("{name}/resets"), int((*resets).into()), Some("count"));
            }
            Detail::State { last, changes, duration } => {
                self.add(format!("{name}/last"), Value::Float(*last), unit);
                self.add(format!("{name}/changes"), int((*changes).into()), Some("count"));
                for (value, seconds) in duration {
                    let value = value.to_string();
                    let name = format!("{name}/duration/{}", encode(&value));
                    self.add(name, Value::Float(*seconds), Some("s"));
                }
            }
        }
    }

    fn alert(&mut self, alert: &'a Alert, seq: u64) {
        let encode = self.encode;
        let rule = encode(&alert.rule);
        // One rule of this kind may be about several metrics of a device at the same time.
        let base = match &alert.metric {
            Some(metric) if alert.kind == AlertKind::Anomaly => format!("alerts/{rule}/{}", encode(metric)),
            _ => format!("alerts/{rule}"),
        };
        self.add(format!("{base}/id"), text(alert.id()), None);
        self.add(format!("{base}/seq"), int(seq), None);
        self.add(format!("{base}/state"), text(alert.state.as_str()), None);
        self.add(format!("{base}/severity"), text(alert.severity.as_str()), None);
        self.add(format!("{base}/kind"), text(alert.kind.as_str()), None);
        self.add(format!("{base}/message"), text(alert.message.as_str()), None);
        self.add(format!("{base}/since"), Value::Time(alert.since), None);
        let detector = alert.anomaly_kind.map(AnomalyKind::as_str);
        let texts =
            [("metric", alert.metric.as_deref()), ("zone", alert.zone.as_deref()), ("detector", detector)];
        for (part, value) in texts {
            value.into_iter().for_each(|value| self.add(format!("{base}/{part}"), text(value), None));
        }
        let (low, high) = alert.expected.unzip();
        let numbers =
            [("value", alert.value), ("score", alert.score), ("expected_low", low), ("expected_high", high)];
        for (part, number) in numbers {
            number
                .into_iter()
                .for_each(|number| self.add(format!("{base}/{part}"), Value::Float(number), None));
        }
    }

    fn reading(&mut self, reading: &'a Reading) {
        self.add("reading/id".to_owned(), text(reading.id()), None);
        for (name, value) in &reading.metrics {
            self.add(format!("{}/value", (self.encode)(name)), Value::Float(*value), None);
        }
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}
