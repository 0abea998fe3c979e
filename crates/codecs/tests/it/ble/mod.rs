//! Advertisements by their formats, through the public door. The bytes are made from the formats' descriptions.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod advertisement;
mod bthome;
mod encrypted;
mod grills;
mod hostile;
mod mibeacon;
mod presence;
mod rooms;
mod support;
mod switchbot;
