//! Cumulated sum: detects small residuals that stay on one side (Page 1954).

use serde::{Deserialize, Serialize};

/// No single residual counts for more than this.
const LARGEST: f64 = 8.0;
/// What is forgiven each sample.
const SLACK: f64 = 1.0;
const FULL: f64 = 60.0;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Cusum {
    up: f64,
    down: f64,
}

impl Cusum {
    /// `residual` in units of the usual error, with its sign.
    pub(crate) fn observe(&mut self, residual: f64) -> f64 {
        let residual = residual.clamp(-LARGEST, LARGEST);
        self.up = (self.up + residual - SLACK).clamp(0.0, FULL);
        self.down = (self.down - residual - SLACK).clamp(0.0, FULL);
        self.up.max(self.down)
    }
}

#[cfg(test)]
mod tests;
