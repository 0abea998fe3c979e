//! The last few values, and their mean.

use serde::{Deserialize, Serialize};

use crate::bins::single;

/// A ring of at most `length` values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    length: u16,
    next: u16,
    values: Vec<f32>,
}

impl Recent {
    pub(crate) const fn new(length: u16) -> Self {
        Self { length, next: 0, values: Vec::new() }
    }

    /// Takes a value in; the one that leaves, once it is full.
    pub(crate) fn push(&mut self, value: f64) -> Option<f64> {
        let value = single(value);
        if self.values.len() < usize::from(self.length) {
            self.values.push(value);
            return None;
        }
        let slot = self.values.get_mut(usize::from(self.next))?;
        self.next = (self.next + 1) % self.length.max(1);
        Some(f64::from(std::mem::replace(slot, value)))
    }

    /// The mean; 0 of nothing.
    pub(crate) fn mean(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 65,535")]
        let count = self.values.len().max(1) as f64;
        self.values.iter().map(|value| f64::from(*value)).sum::<f64>() / count
    }

    /// The greatest; none of nothing.
    pub(crate) fn greatest(&self) -> Option<f64> {
        self.values.iter().copied().reduce(f32::max).map(f64::from)
    }
}

#[cfg(test)]
mod tests;
