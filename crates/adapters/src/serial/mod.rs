//! Devices on a serial port that send lines, and take lines.
//!
//! Promises:
//! - A port that is missing, not allowed, in use or unplugged is named in `health` with what to do, and opened again by
//!   itself.
//! - Bytes of two openings are never joined into one line; a line that was cut off is refused and counted.
//! - A wrong baud rate is named after [`garble::PATIENCE`].
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
