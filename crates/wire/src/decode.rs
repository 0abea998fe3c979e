//! Frames as the gateway reads them.

use core::fmt;

use crate::batch::Batch;
use crate::encode::is_printable;
use crate::{BATCH, COMMANDS, Item, MAX_FIRMWARE, Quantity, Reading, SEALED, Tag, VERSION, fixed, tag};

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not one byte.
    Empty,
    /// A first byte that stands for no layout.
    Version {
        /// The frame's.
        version: u8,
    },
    /// A sealed frame, which must be opened first.
    Sealed,
    /// Commands: they go to a node, none comes from one.
    Commands,
    /// The checksum of a batch is wrong.
    Checksum,
    /// Bits or bytes that must be 0 or absent are not, or a count is out of range.
    Reserved {
        /// At which byte, from 0.
        at: usize,
    },
    /// The name of the image is empty, too long, or not printable ASCII.
    Text {
        /// At which byte the field begins, from 0.
        at: usize,
    },
    /// An unknown tag. The length of its field is unknown too, so the rest of the frame cannot be read.
    Tag {
        /// The tag.
        tag: u8,
        /// At which byte, from 0.
        at: usize,
    },
    /// The frame ends within a field.
    Cut {
        /// At which byte the field begins, from 0.
        at: usize,
    },
    /// A number that no sensor of the kind gives.
    OutOfRange {
        /// What it should measure.
        quantity: Quantity,
        /// At which byte the field begins, from 0.
        at: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it has no bytes"),
            Self::Version { version } => {
                write!(f, "its first byte says version {version}, which is not known here")
            }
            Self::Sealed => f.write_str("it is sealed, and the device has no node_key_file"),
            Self::Commands => f.write_str("it has commands, which only a node takes"),
            Self::Checksum => f.write_str("its checksum is wrong: it was changed or cut on the way"),
            Self::Reserved { at } => {
                write!(f, "the byte {at} has bits that must not be set, or a count out of range")
            }
            Self::Text { at } => write!(
                f,
                "the name of the image at byte {at} is not 1 to {MAX_FIRMWARE} printable ASCII characters"
            ),
            Self::Tag { tag, at } => write!(f, "the tag {tag:#04x} at byte {at} is not known here"),
            Self::Cut { at } => write!(f, "it ends within the field at byte {at}"),
            Self::OutOfRange { quantity, at } => {
                write!(f, "the {quantity} at byte {at} is a number that it cannot be")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads a frame; its length or its first byte decides which layout it has.
///
/// # Errors
/// If the first byte is missing or stands for no layout that a node sends in the clear, a fixed layout has an impossible value,
/// or a batch a wrong checksum. Errors further on come out of the iterator.
pub fn decode(frame: &[u8]) -> Result<Frame<'_>, DecodeError> {
    if let Some(readings) = fixed::decode(frame)? {
        return Ok(Frame(Layout::Fixed(readings.into_iter())));
    }
    match frame.split_first() {
        None => Err(DecodeError::Empty),
        Some((&VERSION, rest)) => Ok(Frame(Layout::Fields(Fields { rest, at: 1 }))),
        Some((&BATCH, _)) => Batch::new(frame).map(|batch| Frame(Layout::Batch(batch))),
        Some((&SEALED, _)) => Err(DecodeError::Sealed),
        Some((&COMMANDS, _)) => Err(DecodeError::Commands),
        Some((&version, _)) => Err(DecodeError::Version { version }),
    }
}

/// The items of a frame, in order; ends after the first error.
#[derive(Debug, Clone)]
pub struct Frame<'a>(Layout<'a>);

#[derive(Debug, Clone)]
enum Layout<'a> {
    Fixed(core::array::IntoIter<Reading, 3>),
    Fields(Fields<'a>),
    Batch(Batch<'a>),
}

impl<'a> Iterator for Frame<'a> {
    type Item = Result<Item<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Layout::Fixed(readings) => readings.next().map(|reading| Ok(Item::Reading(reading))),
            Layout::Fields(fields) => fields.next_item(),
            Layout::Batch(batch) => batch.next_item(),
        }
    }
}

/// The fields of a frame that were not read yet.
#[derive(Debug, Clone)]
struct Fields<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the frame.
    at: usize,
}

impl<'a> Fields<'a> {
    fn next_item(&mut self) -> Option<Result<Item<'a>, DecodeError>> {
        while let Some(rest) = self.rest.strip_prefix(&[tag::PAD]) {
            self.rest = rest;
            self.at += 1;
        }
        let (&tag, rest) = self.rest.split_first()?;
        let field = field(tag, rest, self.at);
        match field {
            Ok((_, rest)) => {
                self.at += self.rest.len() - rest.len();
                self.rest = rest;
            }
            Err(_) => self.rest = &[],
        }
        Some(field.map(|(item, _)| item))
    }
}

/// The field of a tag at `at`, and what follows it.
fn field(tag: u8, rest: &[u8], at: usize) -> Result<(Item<'_>, &[u8]), DecodeError> {
    let cut = DecodeError::Cut { at };
    match tag {
        tag::AGE => {
            let (seconds, rest) = rest.split_first_chunk().ok_or(cut)?;
            Ok((Item::Age(u32::from_be_bytes(*seconds)), rest))
        }
        tag::TIME => {
            let (seconds, rest) = rest.split_first_chunk().ok_or(cut)?;
            Ok((Item::Time(u32::from_be_bytes(*seconds)), rest))
        }
        tag::SEQUENCE => {
            let (number, rest) = rest.split_first_chunk().ok_or(cut)?;
            Ok((Item::Sequence(u16::from_be_bytes(*number)), rest))
        }
        tag::LOST => {
            let (reports, rest) = rest.split_first_chunk().ok_or(cut)?;
            Ok((Item::Lost(u32::from_be_bytes(*reports)), rest))
        }
        tag::FIRMWARE => {
            let (length, rest) = rest.split_first().ok_or(cut)?;
            let (text, rest) = rest.split_at_checked(usize::from(*length)).ok_or(cut)?;
            let is_valid = !text.is_empty() && text.len() <= MAX_FIRMWARE && is_printable(text);
            let text = core::str::from_utf8(text).ok().filter(|_| is_valid);
            Ok((Item::Firmware(text.ok_or(DecodeError::Text { at })?), rest))
        }
        _ => {
            let Tag { quantity, channel } = Tag::from_byte(tag).ok_or(DecodeError::Tag { tag, at })?;
            let form = quantity.form();
            let (number, rest) = rest.split_at_checked(form.width).ok_or(cut)?;
            let raw = form.to_raw(integer(number, form.signed));
            let raw = raw.ok_or(DecodeError::OutOfRange { quantity, at })?;
            Ok((Item::Reading(Reading { quantity, channel, raw }), rest))
        }
    }
}

/// A number of up to 4 bytes.
fn integer(bytes: &[u8], signed: bool) -> i64 {
    let negative = signed && bytes.first().is_some_and(|byte| *byte >= 0x80);
    bytes.iter().fold(if negative { -1 } else { 0 }, |number, byte| number << 8 | i64::from(*byte))
}
