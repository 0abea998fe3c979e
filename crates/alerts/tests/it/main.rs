//! The tests of what this crate offers to others: one program, since each more is linked again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod away;
mod common;
mod due;
mod lasting;
mod rules;
mod timeline;
mod told;
mod told_properties;
mod whole;
