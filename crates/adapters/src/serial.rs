//! The serial adapter: receives lines from a serial port, and sends commands as lines.
//!
//! Promises:
//! - `health` reports a port that is missing, not allowed, in use or unplugged, with a remedy; the adapter opens it again by
//!   itself.
//! - Bytes before and after a reopening are never joined into one line; an unfinished line is refused and counted.
//! - A wrong baud rate is reported after [`garble::DETECTION_TIME`].
//! - A command is one line, written whole or reported as failed.

mod adapter;
mod check;
mod commands;
pub mod config;
mod garble;
mod kind;
mod port;

pub use adapter::{SerialAdapter, Settings};
pub use kind::Serial;

#[cfg(test)]
mod tests;
