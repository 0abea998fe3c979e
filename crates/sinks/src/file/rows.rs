//! Records as rows of a table, and these as lines of a file.
//!
//! Guarantee: the same record always has the same lines, so that a line which is in a file already is recognised.

use std::borrow::Cow;

use gateway_core::Timestamp;
use outbox::Lane;
use record::{Aggregate, Alert, Reading, Record};

use super::array_line;
use super::config::Format;
use crate::sink::Item;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Time,
    Integer,
    Float,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(feature = "sink-parquet"),
    expect(dead_code, reason = "of the formats only Parquet has types")
)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether a row may be without it.
    pub(super) is_optional: bool,
}

/// What a row has in a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Text(Cow<'a, str>),
    Time(Timestamp),
    Integer(i64),
    Float(f64),
}

const READING_COLUMNS: &[Column] =
    &[of("device", Kind::Text), of("time", Kind::Time), of("metric", Kind::Text), of("value", Kind::Float)];
const AGGREGATE_COLUMNS: &[Column] = &[
    of("gateway", Kind::Text),
    of("device", Kind::Text),
    of("metric", Kind::Text),
    of("start", Kind::Time),
    of("revision", Kind::Integer),
    of("avg", Kind::Float),
    of("min", Kind::Float),
    of("max", Kind::Float),
    of("std", Kind::Float),
    of("count", Kind::Integer),
];
const ALERT_COLUMNS: &[Column] = &[
    of("id", Kind::Text),
    of("time", Kind::Time),
    of("gateway", Kind::Text),
    of("device", Kind::Text),
    optional("zone", Kind::Text),
    optional("metric", Kind::Text),
    of("alert", Kind::Text),
    of("kind", Kind::Text),
    of("state", Kind::Text),
    of("severity", Kind::Text),
    optional("value", Kind::Float),
    of("message", Kind::Text),
];

const fn of(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: false }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_optional: true }
}

pub(super) const fn columns(lane: Lane) -> &'static [Column] {
    match lane {
        Lane::Alerts => ALERT_COLUMNS,
        Lane::Aggregates => AGGREGATE_COLUMNS,
        Lane::Readings => READING_COLUMNS,
    }
}

/// What stands at the beginning of a file.
pub(super) fn header(format: Format, lane: Lane) -> Vec<u8> {
    match format {
        Format::Jsonl | Format::Parquet => Vec::new(),
        Format::Csv => csv_line(columns(lane).iter().map(|column| column.name.to_owned())),
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
            Format::Csv => {
                let rows = rows(&item.record).into_iter();
                bytes.extend(rows.flat_map(|row| csv_line(row.iter().map(csv_field))));
            }
            Format::Parquet => {
                let rows = rows(&item.record).into_iter();
                bytes.extend(rows.flat_map(|row| array_line::encode(&row)));
            }
        }
    }
    bytes
}

/// The rows of a record, with the columns of its lane: one for each metric, or one for an alert.
pub(super) fn rows(record: &Record) -> Vec<Vec<Cell<'_>>> {
    match record {
        Record::Aggregate(aggregate) => aggregate_rows(aggregate),
        Record::Alert(alert) => vec![alert_row(alert)],
        Record::Reading(reading) => reading_rows(reading),
    }
}

fn aggregate_rows(aggregate: &Aggregate) -> Vec<Vec<Cell<'_>>> {
    let rows = aggregate.metrics.iter().map(|metric| {
        let summary = &metric.summary;
        vec![
            text(&aggregate.gateway),
            Cell::Text(aggregate.subject.path()),
            text(&metric.name),
            Cell::Time(aggregate.window.start),
            Cell::Integer(i64::from(aggregate.revision)),
            Cell::Float(summary.avg),
            Cell::Float(summary.min),
            Cell::Float(summary.max),
            Cell::Float(summary.std),
            Cell::Integer(i64::try_from(summary.count).unwrap_or(i64::MAX)),
        ]
    });
    rows.collect()
}

fn alert_row(alert: &Alert) -> Vec<Cell<'_>> {
    vec![
        Cell::Text(Cow::Owned(alert.id())),
        Cell::Time(alert.at),
        text(&alert.gateway),
        text(&alert.device),
        alert.zone.as_deref().map_or(Cell::Missing, text),
        alert.metric.as_deref().map_or(Cell::Missing, text),
        text(&alert.rule),
        text(alert.kind.as_str()),
        text(alert.state.as_str()),
        text(alert.severity.as_str()),
        alert.value.map_or(Cell::Missing, Cell::Float),
        text(&alert.message),
    ]
}

fn reading_rows(reading: &Reading) -> Vec<Vec<Cell<'_>>> {
    let rows = reading.metrics.iter().map(|(metric, value)| {
        vec![text(&reading.device), Cell::Time(reading.time), text(metric), Cell::Float(*value)]
    });
    rows.collect()
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(Cow::Borrowed(text))
}

fn csv_field(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Missing => String::new(),
        // Each record is on one line.
        Cell::Text(text) => text.replace(['\n', '\r'], " "),
        Cell::Time(time) => time.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Float(number) => number.to_string(),
    }
}

/// One line of comma-separated values.
fn csv_line(fields: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    // Writing into memory does not fail.
    let _ = writer.write_record(fields);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_each_record_is_one_line() {
        let fields = ["a,b", "say \"hot\"", "two\r\nlines", "", "21.5"].map(text);
        let line = csv_line(fields.iter().map(csv_field));
        assert_eq!(line, b"\"a,b\",\"say \"\"hot\"\"\",two  lines,,21.5\n");
        assert_eq!(header(Format::Csv, Lane::Readings), b"device,time,metric,value\n");
        assert_eq!(header(Format::Jsonl, Lane::Readings), b"");
    }
}
