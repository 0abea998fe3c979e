//! A reading: one number that one device measured at one time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DeviceId, MetricId, Timestamp};

/// A decoded measurement. `value` is finite: decoding refuses anything else.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Who measured.
    pub device: DeviceId,
    /// The metric.
    pub metric: MetricId,
    /// The value in the metric's unit.
    pub value: f64,
    /// When it was measured: the payload's time where it has one, else the arrival.
    pub at: Timestamp,
}

/// How a metric's values are to be understood, `kind` in `[aggregate.metrics.*]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// A level that goes up and down: a temperature.
    #[default]
    Gauge,
    /// A meter that only goes up until it is reset: energy, pulses.
    Counter,
    /// One of few values that lasts until the next: occupancy, a switch.
    State,
}
