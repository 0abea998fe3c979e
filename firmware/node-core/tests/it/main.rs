//! A node in a simulated world: its clock, sensors, flash and link are the tests', everything else is the node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(async_fn_in_trait, reason = "as in the crate")]

mod coap;
mod commands;
mod flash;
mod links;
mod power_cuts;
mod reports;
#[cfg(feature = "sealed")]
mod sealed;
mod sntp;
mod times;
mod world;
