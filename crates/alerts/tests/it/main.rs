//! The tests of what this crate offers to others: one program, since each more is linked again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod acting;
mod away;
mod common;
mod continuing;
mod due;
mod rules;
mod suppression;
mod suppression_properties;
mod timeline;
mod whole;
