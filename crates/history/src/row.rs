//! What is stored: one device's window.

use gateway_core::Timestamp;
use serde::{Deserialize, Serialize};

/// One device's window.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
    /// 0 when the window was first closed, more after corrections.
    pub revision: u32,
    /// A summary per metric's name.
    pub metrics: Vec<(Box<str>, Summary)>,
}

/// One metric in one window, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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
}

impl From<&gateway_core::Summary> for Summary {
    fn from(summary: &gateway_core::Summary) -> Self {
        let gateway_core::Summary { avg, min, max, std, count, .. } = *summary;
        Self { avg, min, max, std, count }
    }
}
