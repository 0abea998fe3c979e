//! The engine as clients see it: packets in, packets out, time and disk by the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bounds;
mod cleaning;
mod client;
mod delivery;
mod internal;
mod sessions;
mod simulation;
mod system_topics;
mod world;
