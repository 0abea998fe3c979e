//! Records as columns of a table: PostgreSQL's `unnest` makes rows of them.
//!
//! Guarantees: no two rows of a batch have the same key: of several revisions of an aggregate only the highest is written.

use std::borrow::Cow;

use outbox::Lane;
use record::{Aggregate, Alert, Reading, Record};
use tokio_postgres::types::{ToSql, Type};

use crate::newest::newest;
use crate::sink::Item;

/// One column of a batch, in the order of the table's columns.
#[derive(Debug, PartialEq)]
pub(super) enum Column<'a> {
    Text(Vec<Option<Cow<'a, str>>>),
    Integer(Vec<i64>),
    Float(Vec<Option<f64>>),
}

impl Column<'_> {
    pub(super) fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Column::Text(values) => (values, Type::TEXT_ARRAY),
            Column::Integer(values) => (values, Type::INT8_ARRAY),
            Column::Float(values) => (values, Type::FLOAT8_ARRAY),
        }
    }
}

/// The columns of a batch, whose records are all of `lane`.
pub(super) fn of(lane: Lane, batch: &[Item]) -> Vec<Column<'_>> {
    let (mut aggregates, mut alerts, mut readings) = (Vec::new(), Vec::new(), Vec::new());
    for item in newest(batch).into_iter().filter_map(|index| batch.get(index)) {
        match &item.record {
            Record::Aggregate(aggregate) => aggregates.push(aggregate),
            Record::Alert(alert) => alerts.push(alert),
            Record::Reading(reading) => readings.push(reading),
        }
    }
    match lane {
        Lane::Aggregates => of_aggregates(&aggregates),
        Lane::Alerts => of_alerts(&alerts),
        Lane::Readings => of_readings(&readings),
    }
}

fn of_aggregates<'a>(aggregates: &[&'a Aggregate]) -> Vec<Column<'a>> {
    let rows: Vec<_> =
        aggregates.iter().flat_map(|one| one.metrics.iter().map(move |metric| (*one, metric))).collect();
    let float = |value: fn(&gateway_core::Summary) -> f64| {
        Column::Float(rows.iter().map(|(_, metric)| Some(value(&metric.summary))).collect())
    };
    vec![
        text(rows.iter().map(|(one, _)| one.gateway.as_str())),
        Column::Text(rows.iter().map(|(one, _)| Some(one.subject.path())).collect()),
        optional(rows.iter().map(|(one, _)| one.subject.zone())),
        optional(rows.iter().map(|(one, _)| one.subject.protocol())),
        text(rows.iter().map(|(_, metric)| metric.name.as_str())),
        Column::Integer(rows.iter().map(|(one, _)| one.window.start.as_millis()).collect()),
        Column::Integer(rows.iter().map(|(one, _)| clamped(one.window.length().as_millis())).collect()),
        float(|summary| summary.avg),
        float(|summary| summary.min),
        float(|summary| summary.max),
        float(|summary| summary.std),
        Column::Integer(rows.iter().map(|(_, metric)| clamped(metric.summary.count)).collect()),
        Column::Integer(rows.iter().map(|(one, _)| i64::from(one.revision)).collect()),
        Column::Integer(rows.iter().map(|(one, _)| i64::from(one.late)).collect()),
    ]
}

fn of_readings<'a>(readings: &[&'a Reading]) -> Vec<Column<'a>> {
    let rows: Vec<_> =
        readings.iter().flat_map(|one| one.metrics.iter().map(move |metric| (*one, metric))).collect();
    vec![
        Column::Integer(rows.iter().map(|(one, _)| one.time.as_millis()).collect()),
        text(rows.iter().map(|(one, _)| one.gateway.as_str())),
        text(rows.iter().map(|(one, _)| one.device.as_str())),
        optional(rows.iter().map(|(one, _)| one.zone.as_deref())),
        optional(rows.iter().map(|(one, _)| one.protocol.as_deref())),
        text(rows.iter().map(|(_, (metric, _))| metric.as_str())),
        Column::Float(rows.iter().map(|(_, (_, value))| Some(*value)).collect()),
        Column::Integer(rows.iter().map(|(one, _)| i64::from(one.number)).collect()),
    ]
}

fn of_alerts<'a>(alerts: &[&'a Alert]) -> Vec<Column<'a>> {
    vec![
        Column::Text(alerts.iter().map(|one| Some(Cow::Owned(one.id()))).collect()),
        Column::Integer(alerts.iter().map(|one| one.at.as_millis()).collect()),
        text(alerts.iter().map(|one| one.gateway.as_str())),
        text(alerts.iter().map(|one| one.device.as_str())),
        optional(alerts.iter().map(|one| one.zone.as_deref())),
        optional(alerts.iter().map(|one| one.metric.as_deref())),
        text(alerts.iter().map(|one| one.rule.as_str())),
        text(alerts.iter().map(|one| one.kind.as_str())),
        text(alerts.iter().map(|one| one.state.as_str())),
        text(alerts.iter().map(|one| one.severity.as_str())),
        Column::Float(alerts.iter().map(|one| one.value).collect()),
        text(alerts.iter().map(|one| one.message.as_str())),
    ]
}

fn text<'a>(values: impl Iterator<Item = &'a str>) -> Column<'a> {
    Column::Text(values.map(|value| Some(Cow::Borrowed(value))).collect())
}

fn optional<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Column<'a> {
    Column::Text(values.map(|value| value.map(Cow::Borrowed)).collect())
}

fn clamped<N>(number: N) -> i64
where
    i64: TryFrom<N>,
{
    i64::try_from(number).unwrap_or(i64::MAX)
}
