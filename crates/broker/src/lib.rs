//! The embedded MQTT broker for the building's own devices.

pub mod config;
