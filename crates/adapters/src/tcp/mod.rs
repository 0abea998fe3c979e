//! Devices that connect over TCP and send lines.
//!
//! Promises:
//! - One peer harms no other: the number of connections, the lines a second of an address, the length of a line and the
//!   time without one are bounded, and an address gives connections up when others find none.
//! - A slow pipeline holds the peers back, through TCP; nothing piles up here, and nothing that was read is dropped.
//! - A line without its end, where a connection broke off, is refused and counted.

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
