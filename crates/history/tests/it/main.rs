//! The tests of what this crate offers to others: one program, since each more is linked again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod alerts;
mod cost;
mod store;
mod version_1;
