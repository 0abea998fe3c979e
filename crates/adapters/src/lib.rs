//! Links to devices: a folder per protocol.

pub mod coap;
pub mod config;
pub mod mqtt;
