//! What the engine does with what comes in, on a clock that the tests own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod blocks;
mod bursts;
mod client;
mod echo;
mod hostile;
mod lossy;
mod messages;
mod observers;
mod observing;
mod support;
