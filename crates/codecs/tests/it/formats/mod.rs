//! Each format by its payloads, through the public door.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod cayenne_lpp;
mod chirpstack;
mod csv;
mod docs;
mod gatt;
mod javascript;
mod json;
mod node;
mod senml;
mod shelly;
mod support;
mod tasmota;
mod ttn;
mod value;
mod zigbee2mqtt;
