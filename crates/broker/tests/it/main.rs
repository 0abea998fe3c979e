//! The tests of what this crate offers to others: one program, since each more is linked again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bridge;
mod clients;
mod common;
mod hostile;
mod kill;
mod peers;
mod receiving;
mod tap;
mod tls;
mod turns;
