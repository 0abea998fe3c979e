//! The model of a device as a whole: which combinations of its metrics are ordinary.
//!
//! [`fit()`] makes a [`Model`] of a device's [`Windows`]; [`Model::judge`] tells of a new window how odd its combination
//! is, though each value alone is ordinary; [`file`] keeps it on disk.
//!
//! What it promises: at most 32 metrics and 8 Gaussians, a few kilobytes a device; a window is judged in microseconds,
//! without state and without a clock; the same history gives the same model; nothing in a history or a file panics.

mod columns;
pub mod file;
mod fit;
mod gaussian;
mod model;
mod sample;
mod tail;
#[cfg(test)]
mod tests;
mod windows;

pub use columns::LeftOut;
pub use fit::{Candidate, FitError, Fitted, MIN_WINDOWS, fit};
pub use model::{Judgement, MAX_COMPONENTS, MAX_METRICS, Misfit, Model, Shape, Verdict};
pub use windows::{MAX_WINDOWS, Windows};
