//! Records as lines of a file.

use outbox::Lane;
use record::{Aggregate, Alert, Reading, Record};

use super::config::Format;
use crate::sink::Item;

const READING_COLUMNS: &[&str] = &["device", "time", "metric", "value"];
const AGGREGATE_COLUMNS: &[&str] =
    &["gateway", "device", "metric", "start", "revision", "avg", "min", "max", "std", "count"];
const ALERT_COLUMNS: &[&str] = &[
    "id", "time", "gateway", "device", "zone", "metric", "alert", "kind", "state", "severity", "value",
    "message",
];

/// What stands at the beginning of a file.
pub(super) fn header(format: Format, lane: Lane) -> Vec<u8> {
    let columns = match lane {
        Lane::Alerts => ALERT_COLUMNS,
        Lane::Aggregates => AGGREGATE_COLUMNS,
        Lane::Readings => READING_COLUMNS,
    };
    match format {
        Format::Jsonl => Vec::new(),
        Format::Csv => line(columns.iter().map(|column| (*column).to_owned())),
    }
}

/// The lines of a batch.
pub(super) fn lines(format: Format, batch: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in batch {
        match format {
            Format::Jsonl => {
                bytes.extend_from_slice(&item.record.to_json(item.seq()));
                bytes.push(b'\n');
            }
            Format::Csv => match &item.record {
                Record::Aggregate(record) => aggregate(record, &mut bytes),
                Record::Alert(record) => bytes.extend(alert(record)),
                Record::Reading(record) => reading(record, &mut bytes),
            },
        }
    }
    bytes
}

/// A line for each metric.
fn aggregate(aggregate: &Aggregate, bytes: &mut Vec<u8>) {
    let subject = aggregate.subject.path();
    for metric in &aggregate.metrics {
        let summary = &metric.summary;
        let numbers = [summary.avg, summary.min, summary.max, summary.std];
        let texts = [
            aggregate.gateway.clone(),
            subject.to_string(),
            metric.name.clone(),
            aggregate.window.start.to_string(),
            aggregate.revision.to_string(),
        ];
        let numbers = numbers.into_iter().map(|number| number.to_string());
        bytes.extend(line(texts.into_iter().chain(numbers).chain([summary.count.to_string()])));
    }
}

fn alert(alert: &Alert) -> Vec<u8> {
    line([
        alert.id(),
        alert.at.to_string(),
        alert.gateway.clone(),
        alert.device.clone(),
        alert.zone.clone().unwrap_or_default(),
        alert.metric.clone().unwrap_or_default(),
        alert.rule.clone(),
        alert.kind.as_str().to_owned(),
        alert.state.as_str().to_owned(),
        alert.severity.as_str().to_owned(),
        alert.value.map(|value| value.to_string()).unwrap_or_default(),
        alert.message.clone(),
    ])
}

/// A line for each metric.
fn reading(reading: &Reading, bytes: &mut Vec<u8>) {
    for (metric, value) in &reading.metrics {
        bytes.extend(line([
            reading.device.clone(),
            reading.time.to_string(),
            metric.clone(),
            value.to_string(),
        ]));
    }
}

/// One line of comma-separated values. A line break in a text becomes a space: each record is on one line.
fn line(fields: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let fields = fields.into_iter().map(|field| field.replace(['\n', '\r'], " "));
    // Writing into memory does not fail.
    let _ = writer.write_record(fields);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_each_record_is_one_line() {
        let fields = ["a,b", "say \"hot\"", "two\r\nlines", "", "21.5"].map(str::to_owned);
        assert_eq!(line(fields), b"\"a,b\",\"say \"\"hot\"\"\",two  lines,,21.5\n");
        assert_eq!(header(Format::Csv, Lane::Readings), b"device,time,metric,value\n");
        assert_eq!(header(Format::Jsonl, Lane::Readings), b"");
    }
}
