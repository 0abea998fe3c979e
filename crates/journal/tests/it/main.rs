//! The tests of what this crate offers to others: one program, since each more is linked again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod content;
mod cut;
mod damage;
mod faults;
mod journal;
mod model;
mod overlap;
mod process;
mod simulated_disk;
mod write_errors;
