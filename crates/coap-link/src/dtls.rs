//! DTLS 1.2 with pre-shared keys (RFC 6347, RFC 4279), server and client, without IO: takes datagrams and the time,
//! returns outputs.
//!
//! [`Server`] keeps one session per peer behind one UDP port, [`Client`] is one session with a server. `dimpl` implements the
//! protocol. This module adds what a gateway needs: no state for a sender with an unverified address, bounded tables, no effect
//! of a failing peer on others, and no panic on any input.
//!
//! The only cipher suite is `TLS_PSK_WITH_AES_128_CCM_8`, which RFC 7252, 9.1.3.1, demands. The extended master secret (RFC
//! 7627) is required.

mod client;
mod cookie;
mod cookie_provider;
mod failures;
mod handshakes;
mod hello;
mod key_resolver;
mod keys;
mod limits;
mod output;
mod record;
mod server;
mod session;
mod sessions;

#[cfg(test)]
mod tests;

pub use client::{Client, Credentials};
pub use keys::{Key, KeyError, Keys};
pub use limits::Limits;
pub use output::{CloseReason, Counters, HandshakeFailure, Output, SendError, SetupError};
pub use server::Server;
