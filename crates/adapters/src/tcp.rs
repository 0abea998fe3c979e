//! The TCP adapter: devices connect and send lines.
//!
//! Promises:
//! - Peers cannot harm each other: the number of connections, the lines per second of an address, the length of a line and
//!   the time without a line are bounded. If all connections are in use, an address with many loses one to a new address.
//! - A slow pipeline slows the peers down through TCP; no queue grows, and no line that was read is dropped.
//! - If a connection breaks within a line, the unfinished line is refused and counted.

mod adapter;
mod check;
pub mod config;
mod connection;
mod kind;
mod pace;
mod peers;

pub use adapter::{Settings, TcpAdapter};
pub use kind::Tcp;

#[cfg(test)]
mod tests;
