//! Whether a pushed reading was admitted, and if not, why.

use gateway_core::DropReason;

/// The answer of [`crate::Aggregator::push`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It will be in an aggregate, and one publication will account for it.
    Admitted,
    /// Its window ended longer ago than `correct_for`, by the watermark of its device, or is no longer kept.
    Late,
    /// Further ahead of the clock than `max_future`.
    Future,
    /// NaN or infinite.
    NotFinite,
    /// The device, or all devices together, have as many windows open as they may.
    TooManyWindows,
}

impl Admission {
    /// The row of the loss ledger the reading belongs to, where it was not admitted.
    #[must_use]
    pub const fn refusal(self) -> Option<DropReason> {
        match self {
            Self::Admitted => None,
            Self::Late => Some(DropReason::Late),
            Self::Future => Some(DropReason::Future),
            Self::NotFinite => Some(DropReason::NotFinite),
            Self::TooManyWindows => Some(DropReason::TooManyWindows),
        }
    }
}
