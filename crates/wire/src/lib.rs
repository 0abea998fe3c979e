//! Frames between our firmware and the gateway: a node's readings in few bytes, as radios need it.
//!
//! The firmware writes them into its buffer ([`Encoder`], [`Climate`]); the gateway reads them ([`decode`]). All integers are
//! big-endian. Guarantees: no allocation, no dependency, no panic whatever the bytes; [`decode`] returns the readings that an
//! encoder wrote; the bytes of a version never change (`tests/it/golden_bytes.rs`).
//!
//! | bytes | layout |
//! |---|---|
//! | 3 | temperature (i16, 0.01 °C), humidity (u8, %RH) |
//! | 5 | the same, then the battery's voltage (u16, mV) |
//! | any other number | the version (1), then fields: a tag, and the number that the tag stands for |
//!
//! A tag's low five bits are the [`Quantity`], its high three the [`Channel`]. Quantity 0 is none: `0x00` alone is a
//! padding byte, by which an encoder avoids versioned frames of 3 or 5 bytes, and `0x20` is followed by a
//! u32, how many seconds ago the fields behind it were measured.
//!
//! The lowest number of a signed field and the highest of an unsigned one say that the sensor gave no value.

#![no_std]

mod decode;
mod encode;
mod quantity;

pub use decode::{DecodeError, Frame, decode};
pub use encode::{Climate, EncodeError, Encoder};
pub use quantity::{Channel, Quantity};

/// The version of frames that is written and read here.
pub const VERSION: u8 = 1;

/// Padding; a decoder skips it.
const TAG_PAD: u8 = 0x00;
/// Seconds, u32.
const TAG_AGE: u8 = 0x20;

/// One sensor's value in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What was measured.
    pub quantity: Quantity,
    /// Which of the node's sensors of this quantity.
    pub channel: Channel,
    /// In units of 1/[`Quantity::divisor`]; `None` where the sensor gave no value.
    pub raw: Option<i64>,
}

/// One part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A sensor's value.
    Reading(Reading),
    /// The readings behind it, up to the next age, were measured so many seconds before the frame was sent; those before
    /// the first age, as it was sent.
    Age(u32),
}
