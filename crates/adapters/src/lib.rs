//! Links to devices: a folder per protocol.

pub mod coap;
mod complaints;
pub mod config;
mod door;
pub mod lorawan;
pub mod mqtt;
mod places;
