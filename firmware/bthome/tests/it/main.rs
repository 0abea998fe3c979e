//! Tests of the BTHome encoder.

mod golden_bytes;
mod properties;
