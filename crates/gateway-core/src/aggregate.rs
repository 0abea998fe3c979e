//! The aggregate of the readings of one device or zone in one window.

use serde::{Deserialize, Serialize};

use crate::{DeviceId, MetricId, TimeQuality, Window, ZoneId};

/// Whose aggregate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// One device.
    Device(DeviceId),
    /// All devices of one zone together.
    Zone(ZoneId),
}

/// One device's window, closed; or closed again with stragglers in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Whose.
    pub subject: Subject,
    /// Which stretch of event time.
    pub window: Window,
    /// A summary per metric, by metric id.
    pub metrics: Vec<(MetricId, Summary)>,
    /// 0 when the window is first closed, one more at each correction.
    pub revision: u32,
    /// How many readings came after the window had been due.
    pub late: u32,
    /// What the clock was worth while the window was open.
    pub time_quality: TimeQuality,
    /// How many readings this publication answers for in the ledger: each reading counts in exactly one publication,
    /// however many hopping windows and zones it went into.
    pub readings: u32,
}

/// One metric in one window. Every kind has the first five; `std` is the population standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub avg: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Population standard deviation.
    pub std: f64,
    /// How many values.
    pub count: u64,
    /// (percent, value) for each of `[aggregate] percentiles`.
    pub percentiles: Vec<(f64, f64)>,
    /// What the metric's kind adds.
    pub detail: Detail,
}

/// What a kind of metric adds to its summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Detail {
    /// A level.
    Gauge {
        /// Value of the earliest reading.
        first: f64,
        /// Value of the latest reading.
        last: f64,
    },
    /// A meter.
    Counter {
        /// How far it went up, over resets.
        delta: f64,
        /// `delta` per second.
        rate: f64,
        /// How often it started again.
        resets: u32,
    },
    /// One of few values.
    State {
        /// Value of the latest reading.
        last: f64,
        /// How often it changed.
        changes: u32,
        /// (value, seconds it lasted inside the window), by value.
        duration: Vec<(f64, f64)>,
    },
}
