//! What a network does with what comes in, on a clock that the tests own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod adapting;
mod answering;
mod forwarders;
mod hostile;
mod joining;
mod losing;
mod node;
mod nodes;
mod sending;
mod support;
mod uplinks;
