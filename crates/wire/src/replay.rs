//! Which counters of a node were accepted: each is accepted once, also out of order within a window of 64.

/// The window of RFC 4303 section 3.4.3: the highest counter accepted, and which of the 63 below it were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplayWindow {
    /// `None` before the first.
    highest: Option<u32>,
    /// Bit n: the counter that is n below the highest was accepted.
    accepted: u64,
}

impl ReplayWindow {
    /// A window that has accepted nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None, accepted: 0 }
    }

    /// The window of [`Self::to_parts`].
    #[must_use]
    pub const fn from_parts(highest: Option<u32>, accepted: u64) -> Self {
        Self { highest, accepted }
    }

    /// The highest counter accepted, and a bit for each of those below it.
    #[must_use]
    pub const fn to_parts(self) -> (Option<u32>, u64) {
        (self.highest, self.accepted)
    }

    /// Whether the counter is new; it is not again.
    pub fn accept(&mut self, counter: u32) -> bool {
        let Some(highest) = self.highest else {
            *self = Self { highest: Some(counter), accepted: 1 };
            return true;
        };
        if counter > highest {
            let shifted = self.accepted.checked_shl(counter - highest).unwrap_or(0);
            *self = Self { highest: Some(counter), accepted: shifted | 1 };
            return true;
        }
        let Some(bit) = 1_u64.checked_shl(highest - counter) else { return false };
        let is_new = self.accepted & bit == 0;
        self.accepted |= bit;
        is_new
    }
}
