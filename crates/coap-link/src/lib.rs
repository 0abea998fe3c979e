//! A CoAP endpoint, server and client at once, in the clear and over DTLS (RFC 7252).

mod peer;

pub use peer::{Identity, Peer};
