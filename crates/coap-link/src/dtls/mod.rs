//! DTLS 1.2 with pre-shared keys (RFC 6347, RFC 4279), both ends, without IO: datagrams and the time go in, outputs come out.
//!
//! [`Server`] keeps one session a peer behind one UDP port, [`Client`] is one session of our own to a server. The
//! protocol itself is `dimpl`'s; what stands around it here is what a gateway owes its neighbours: nothing is kept for
//! a sender that has not proven its address, tables are bounded, a peer that fails takes no other down, and no bytes
//! from outside can panic us.
//!
//! The one cipher suite is `TLS_PSK_WITH_AES_128_CCM_8` (the one RFC 7252, 9.1.3.1, demands), and the extended master
//! secret (RFC 7627) is required of the peer.

mod alarms;
mod client;
mod cookie;
mod established;
mod faults;
mod half_open;
mod hello;
mod keys;
mod limits;
mod outcome;
mod record;
mod resolver;
mod server;
mod session;
mod vouch;

#[cfg(test)]
mod tests;

pub use client::{Client, Credentials};
pub use keys::{Key, KeyError, Keys};
pub use limits::Limits;
pub use outcome::{Closing, Counts, Output, Refusal, SendError, SetupError};
pub use server::Server;
