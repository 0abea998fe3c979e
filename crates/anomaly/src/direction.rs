//! Detects a gauge that behaves as a counter: an energy meter not declared as a counter rises and hardly ever falls.

use serde::{Deserialize, Serialize};

/// A series goes one way only where there are so many steps that way for each one back. Daily resets are steps back.
const ONE_WAY: u32 = 50;

/// Steps up and down so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Direction {
    rises: u32,
    falls: u32,
}

impl Direction {
    pub(crate) fn note(&mut self, from: f64, to: f64) {
        self.rises = self.rises.saturating_add(u32::from(to > from));
        self.falls = self.falls.saturating_add(u32::from(to < from));
    }

    /// Hardly ever falls, as a counter; or has not been seen to fall yet.
    pub(crate) fn is_up(self) -> bool {
        self.falls <= self.rises / ONE_WAY
    }

    /// Goes one way, as a counter or a battery.
    pub(crate) fn is_one_way(self) -> bool {
        self.is_up() || self.rises <= self.falls / ONE_WAY
    }
}
