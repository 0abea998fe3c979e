//! A CoAP endpoint, server and client at once, in the clear and over DTLS (RFC 7252).

pub mod dtls;
mod peer;

pub use peer::{Identity, Peer};
