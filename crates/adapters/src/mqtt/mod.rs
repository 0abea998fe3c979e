//! Devices behind an MQTT broker.

pub mod config;
