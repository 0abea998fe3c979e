//! Frames between our firmware and the gateway: a node's readings in few bytes, as radios need it.
//!
//! The firmware writes them into its buffer ([`Encoder`], [`BatchEncoder`], [`FixedVoltage`], [`FixedBattery`]); the gateway
//! reads them ([`decode`]). All integers are big-endian. Guarantees: no allocation, no panic for any bytes; [`decode`] returns
//! the readings that an encoder wrote; the bytes of a layout never change (`tests/it/golden_bytes.rs`).
//!
//! | bytes | first byte | layout |
//! |---|---|---|
//! | 3 | any | temperature, humidity and charge in 22 bits: [`FixedBattery`] |
//! | 5 | any | temperature, humidity and voltage: [`FixedVoltage`] |
//! | others | `01` | fields: a tag, and the number that the tag stands for: [`Encoder`] |
//! | others | `02` | a batch: records of the same sensors, as differences: [`BatchEncoder`] |
//! | others | `03` | a sealed frame: one of the others, encrypted: `sealed` (a feature) |
//! | others | `04` | commands, from the gateway to the node: [`command`] |
//!
//! A tag's low five bits are the [`Quantity`], its high three the [`Channel`]. Quantity 0 is none; its eight tags are
//! padding, age, time, sequence, lost and firmware ([`Item`]). The lowest number of a signed field and the highest of an unsigned one say that the sensor gave no value.

#![no_std]

mod batch;
pub mod command;
mod decode;
mod encode;
mod fixed;
mod quantity;
mod replay;
#[cfg(feature = "sealed")]
pub mod sealed;
mod varint;

pub use batch::{Base, BatchEncoder, MAX_RECORDS, MAX_TAGS, rebase};
pub use decode::{DecodeError, Frame, decode};
pub use encode::{EncodeError, Encoder, MAX_FIRMWARE};
pub use fixed::{FixedBattery, FixedVoltage};
pub use quantity::{Channel, Quantity, Tag};
pub use replay::ReplayWindow;

/// The first byte of a frame of fields.
pub const VERSION: u8 = 1;
/// The first byte of a batch.
pub const BATCH: u8 = 2;
/// The first byte of a sealed frame.
pub const SEALED: u8 = 3;
/// The first byte of commands.
pub const COMMANDS: u8 = 4;

/// The shortest longest frame of a link that a node may use: LoRaWAN's at the lowest data rate in Europe, in bytes.
pub const MIN_MTU: usize = 51;

/// The tags that are no measurement.
pub(crate) mod tag {
    /// Padding; a decoder skips it.
    pub(crate) const PAD: u8 = 0x00;
    /// Seconds before the sending, u32.
    pub(crate) const AGE: u8 = 0x20;
    /// Seconds since 1970-01-01 UTC, u32.
    pub(crate) const TIME: u8 = 0x40;
    /// The frame's number, u16.
    pub(crate) const SEQUENCE: u8 = 0x60;
    /// How many reports the node gave up, u32.
    pub(crate) const LOST: u8 = 0xa0;
    /// A length (u8) and that many characters of ASCII.
    pub(crate) const FIRMWARE: u8 = 0x80;
}

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
pub enum Item<'a> {
    /// A sensor's value.
    Reading(Reading),
    /// The readings after it, up to the next age or time, were measured so many seconds before the frame was sent. Those
    /// before the first age or time were measured as it was sent.
    Age(u32),
    /// The readings after it, up to the next age or time, were measured then: seconds since 1970-01-01 UTC.
    Time(u32),
    /// The number that the node gave the frame's readings when it stored them. A node that got no acknowledgement sends
    /// them again under the same number, perhaps with another age.
    Sequence(u16),
    /// How many reports the node has given up since its start: its memory was full or damaged, or the gateway refused them.
    Lost(u32),
    /// The name and version of the node's image, for example `rp2040 0.1.0`.
    Firmware(&'a str),
}
