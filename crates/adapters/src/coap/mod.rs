//! Devices that speak CoAP, in the clear and over DTLS with pre-shared keys.

pub mod config;
