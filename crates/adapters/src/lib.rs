//! Links to devices: a folder per protocol.

pub mod config;
pub mod mqtt;
