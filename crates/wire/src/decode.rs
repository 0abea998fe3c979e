//! Frames as the gateway reads them.

use core::fmt;

use crate::quantity::of_tag;
use crate::{Channel, Item, Quantity, Reading, TAG_AGE, TAG_PAD, VERSION};

/// Why bytes are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not one byte.
    Empty,
    /// A version that is not [`VERSION`].
    Version {
        /// The frame's.
        version: u8,
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
                write!(f, "its first byte says version {version}, and only version {VERSION} is known here")
            }
            Self::Tag { tag, at } => write!(f, "the tag {tag:#04x} at byte {at} is not known here"),
            Self::Cut { at } => write!(f, "it ends within the field at byte {at}"),
            Self::OutOfRange { quantity, at } => {
                write!(f, "the {quantity} at byte {at} is a number that it cannot be")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads a frame; its length decides which layout it has.
///
/// # Errors
/// If the first byte is missing or no known version, or a fixed layout holds an impossible value. Errors further on come out
/// of the iterator.
pub fn decode(frame: &[u8]) -> Result<Frame<'_>, DecodeError> {
    if let Some(readings) = fixed(frame)? {
        return Ok(Frame(Layout::Fixed(readings.into_iter().flatten())));
    }
    match frame.split_first() {
        None => Err(DecodeError::Empty),
        Some((&VERSION, rest)) => Ok(Frame(Layout::Fields(Fields { rest, at: 1 }))),
        Some((&version, _)) => Err(DecodeError::Version { version }),
    }
}

/// The items of a frame, in order; ends after the first error.
#[derive(Debug, Clone)]
pub struct Frame<'a>(Layout<'a>);

#[derive(Debug, Clone)]
enum Layout<'a> {
    Fixed(core::iter::Flatten<core::array::IntoIter<Option<Reading>, 3>>),
    Fields(Fields<'a>),
}

impl Iterator for Frame<'_> {
    type Item = Result<Item, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Layout::Fixed(readings) => readings.next().map(|reading| Ok(Item::Reading(reading))),
            Layout::Fields(fields) => fields.next_item(),
        }
    }
}

/// The readings of a fixed layout; `None` where the frame has another length.
fn fixed(frame: &[u8]) -> Result<Option<[Option<Reading>; 3]>, DecodeError> {
    let (temperature, humidity, voltage) = match *frame {
        [high, low, humidity] => ([high, low], humidity, None),
        [high, low, humidity, voltage_high, voltage_low] => {
            ([high, low], humidity, Some([voltage_high, voltage_low]))
        }
        _ => return Ok(None),
    };
    let reading = |quantity, raw| Reading { quantity, channel: Channel::FIRST, raw };
    let temperature = Some(i16::from_be_bytes(temperature)).filter(|raw| *raw != i16::MIN);
    let humidity = match humidity {
        u8::MAX => None,
        // The field of a versioned frame counts hundredths.
        percent @ 0..=100 => Some(i64::from(percent) * 100),
        _ => return Err(DecodeError::OutOfRange { quantity: Quantity::Humidity, at: 2 }),
    };
    let voltage = voltage.map(|bytes| {
        let raw = Some(u16::from_be_bytes(bytes)).filter(|raw| *raw != u16::MAX);
        reading(Quantity::Voltage, raw.map(i64::from))
    });
    let temperature = reading(Quantity::Temperature, temperature.map(i64::from));
    Ok(Some([Some(temperature), Some(reading(Quantity::Humidity, humidity)), voltage]))
}

/// The fields of a versioned frame that were not read yet.
#[derive(Debug, Clone)]
struct Fields<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the frame.
    at: usize,
}

impl Fields<'_> {
    fn next_item(&mut self) -> Option<Result<Item, DecodeError>> {
        while let Some(rest) = self.rest.strip_prefix(&[TAG_PAD]) {
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
fn field(tag: u8, rest: &[u8], at: usize) -> Result<(Item, &[u8]), DecodeError> {
    let cut = DecodeError::Cut { at };
    if tag == TAG_AGE {
        let (seconds, rest) = rest.split_first_chunk().ok_or(cut)?;
        return Ok((Item::Age(u32::from_be_bytes(*seconds)), rest));
    }
    let (quantity, channel) = of_tag(tag).ok_or(DecodeError::Tag { tag, at })?;
    let form = quantity.form();
    let (number, rest) = rest.split_at_checked(form.width).ok_or(cut)?;
    let raw = form.to_raw(integer(number, form.signed)).ok_or(DecodeError::OutOfRange { quantity, at })?;
    Ok((Item::Reading(Reading { quantity, channel, raw }), rest))
}

/// A number of up to 4 bytes.
fn integer(bytes: &[u8], signed: bool) -> i64 {
    let negative = signed && bytes.first().is_some_and(|byte| *byte >= 0x80);
    bytes.iter().fold(if negative { -1 } else { 0 }, |number, byte| number << 8 | i64::from(*byte))
}
