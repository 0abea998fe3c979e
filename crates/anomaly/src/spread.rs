//! Spread: whether the values scatter more, or less, than they did: the mean step of the last 60 against the steps before.

use serde::{Deserialize, Serialize};

use crate::bins::Mean;
use crate::recent::Recent;

const WINDOW: u16 = 60;
/// 1 − e^(−1/500): "before" is the five hundred steps or so before the window.
const RATE: f32 = 0.001_998;
/// Steps before the window that it takes to compare.
const KNOWN: u16 = 30;
/// Of the mean step: what keeps a series that stands still from dividing by nothing.
const FLOOR: f64 = 0.01;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    last: Option<f64>,
    window: Recent,
    before: Mean,
}

impl Default for Spread {
    fn default() -> Self {
        Self { last: None, window: Recent::new(WINDOW), before: Mean::new(RATE) }
    }
}

impl Spread {
    /// The logarithm of their ratio, without its sign; 0 until there is enough to compare with.
    pub(crate) fn observe(&mut self, value: f64) -> f64 {
        if let Some(last) = self.last.replace(value)
            && let Some(left) = self.window.push((value - last).abs())
        {
            self.before.learn(left);
        }
        let before = self.before.get();
        if self.before.visits() < KNOWN || before <= 0.0 {
            return 0.0;
        }
        ((self.window.mean() + FLOOR * before) / ((1.0 + FLOOR) * before)).ln().abs()
    }
}

#[cfg(test)]
mod tests;
