//! Frames as the firmware writes them.

use core::fmt;

use crate::{FixedBattery, FixedVoltage, Quantity, Reading, Tag, VERSION, tag};

/// How many characters the name and version of an image may have.
pub const MAX_FIRMWARE: usize = 32;

/// What a frame cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer has no room for it; the frame is as it was before.
    Full,
    /// The name of an image is empty, too long, or not printable ASCII.
    Text,
    /// The value is beyond [`Quantity::range`], or beyond what the fixed layout holds.
    OutOfRange {
        /// Whose value.
        quantity: Quantity,
        /// The value.
        raw: i64,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => {
                f.write_str("the buffer has no room for the field; send what is in it, or make it larger")
            }
            Self::Text => {
                write!(f, "the image's name must be 1 to {MAX_FIRMWARE} printable ASCII characters")
            }
            Self::OutOfRange { quantity, raw } => write!(f, "{quantity} {raw} is more than its field holds"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Writes a versioned frame into a buffer, a field at a time.
#[derive(Debug)]
pub struct Encoder<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl<'b> Encoder<'b> {
    /// A frame without readings.
    ///
    /// # Errors
    /// [`EncodeError::Full`] where the buffer has no byte.
    pub fn new(buffer: &'b mut [u8]) -> Result<Self, EncodeError> {
        *buffer.first_mut().ok_or(EncodeError::Full)? = VERSION;
        Ok(Self { buffer, length: 1 })
    }

    /// Adds a reading.
    ///
    /// # Errors
    /// Where the buffer is full or the value out of range; the frame is then as before.
    pub fn put(&mut self, reading: Reading) -> Result<&mut Self, EncodeError> {
        let Reading { quantity, channel, raw } = reading;
        let form = quantity.form();
        let out_of_range = EncodeError::OutOfRange { quantity, raw: raw.unwrap_or_default() };
        let number = form.to_number(raw).ok_or(out_of_range)?;
        self.field(Tag { quantity, channel }.to_byte(), number, form.width)
    }

    /// Sets the age in seconds, when the frame is sent, of the readings added after it. Add the oldest readings first.
    ///
    /// # Errors
    /// Where the buffer is full; the frame is then as before.
    pub fn age(&mut self, seconds: u32) -> Result<&mut Self, EncodeError> {
        self.field(tag::AGE, i64::from(seconds), size_of::<u32>())
    }

    /// Sets when the readings added after it were measured, in seconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// Where the buffer is full; the frame is then as before.
    pub fn time(&mut self, seconds: u32) -> Result<&mut Self, EncodeError> {
        self.field(tag::TIME, i64::from(seconds), size_of::<u32>())
    }

    /// Adds the number under which the frame is sent again if no acknowledgement comes. Add it first.
    ///
    /// # Errors
    /// Where the buffer is full; the frame is then as before.
    pub fn sequence(&mut self, number: u16) -> Result<&mut Self, EncodeError> {
        self.field(tag::SEQUENCE, i64::from(number), size_of::<u16>())
    }

    /// Adds how many reports the node has given up since its start.
    ///
    /// # Errors
    /// Where the buffer is full; the frame is then as before.
    pub fn lost(&mut self, reports: u32) -> Result<&mut Self, EncodeError> {
        self.field(tag::LOST, i64::from(reports), size_of::<u32>())
    }

    /// Adds the name and version of the node's image: printable ASCII, at most [`MAX_FIRMWARE`] characters.
    ///
    /// # Errors
    /// Where the buffer is full or the text is not such; the frame is then as before.
    pub fn firmware(&mut self, text: &str) -> Result<&mut Self, EncodeError> {
        let is_valid = !text.is_empty() && text.len() <= MAX_FIRMWARE && is_printable(text.as_bytes());
        let length = u8::try_from(text.len()).ok().filter(|_| is_valid).ok_or(EncodeError::Text)?;
        let start = self.length + 2;
        let end = start + text.len();
        if end + usize::from(is_fixed(end)) > self.buffer.len() {
            return Err(EncodeError::Full);
        }
        self.field(tag::FIRMWARE, i64::from(length), 1)?;
        self.buffer.get_mut(start..end).ok_or(EncodeError::Full)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(self)
    }

    /// The frame, with one padding byte if its length is that of a fixed layout.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        let Self { buffer, mut length } = self;
        if is_fixed(length)
            && let Some(byte) = buffer.get_mut(length)
        {
            *byte = tag::PAD;
            length += 1;
        }
        buffer.get(..length).unwrap_or_default()
    }

    /// Adds a tag and the lowest `width` bytes of a number.
    fn field(&mut self, tag: u8, number: i64, width: usize) -> Result<&mut Self, EncodeError> {
        let end = self.length + 1 + width;
        // The byte that `finish` may need must have room too.
        if end + usize::from(is_fixed(end)) > self.buffer.len() {
            return Err(EncodeError::Full);
        }
        let number = number.to_be_bytes();
        let bytes = number.iter().skip(number.len().saturating_sub(width));
        let places = self.buffer.iter_mut().skip(self.length);
        for (place, byte) in places.zip(core::iter::once(&tag).chain(bytes)) {
            *place = *byte;
        }
        self.length = end;
        Ok(self)
    }
}

/// Whether a frame of this many bytes is read as a fixed layout.
fn is_fixed(length: usize) -> bool {
    matches!(length, FixedBattery::BYTES | FixedVoltage::BYTES)
}

/// Whether all bytes are printable ASCII characters or spaces.
pub(crate) fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b' '..=b'~').contains(byte))
}
