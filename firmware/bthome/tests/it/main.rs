//! Tests of the BTHome encoder.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod golden_bytes;
mod properties;
