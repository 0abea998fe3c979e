//! The first of a burst counts: what is said again and again is said once.

use serde::{Deserialize, Serialize};

use crate::recent::Recent;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gate {
    recent: Recent,
}

impl Gate {
    /// What was said of the last `rest` samples must be surpassed.
    pub(crate) const fn new(rest: u16) -> Self {
        Self { recent: Recent::new(rest) }
    }

    /// Whether `strength` is greater than all of late; remembers it.
    pub(crate) fn passes(&mut self, strength: f64) -> bool {
        let passes = self.recent.greatest().is_none_or(|greatest| strength > greatest);
        self.recent.push(strength);
        passes
    }
}

#[cfg(test)]
mod tests;
