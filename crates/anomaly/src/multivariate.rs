//! The model of a device as a whole: it finds unusual combinations of its metrics.
//!
//! [`fit()`] makes a [`Model`] from a device's [`Windows`]; [`Model::judge`] scores the combination of values in a new
//! window, even if each value alone is normal; [`file`] stores the model.
//!
//! Promises: at most 32 metrics and 8 Gaussians, a few kilobytes per device; a window is scored in microseconds, without
//! state and without a clock; the same history gives the same model; no history or file can cause a panic.

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
