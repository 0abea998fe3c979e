//! Frames as the firmware writes them.

use core::fmt;

use crate::quantity::tag;
use crate::{Quantity, Reading, TAG_AGE, TAG_PAD, VERSION};

/// What a frame cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer has no room for it; the frame is as it was before.
    Full,
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
        self.field(tag(quantity, channel), number, form.width)
    }

    /// Sets the age in seconds, when the frame is sent, of the readings added after it. Add the oldest readings first.
    ///
    /// # Errors
    /// Where the buffer is full; the frame is then as before.
    pub fn age(&mut self, seconds: u32) -> Result<&mut Self, EncodeError> {
        self.field(TAG_AGE, i64::from(seconds), size_of::<u32>())
    }

    /// The frame, with one padding byte if its length is that of a fixed layout.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        let Self { buffer, mut length } = self;
        if is_fixed(length)
            && let Some(byte) = buffer.get_mut(length)
        {
            *byte = TAG_PAD;
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
    matches!(length, Climate::BYTES | Climate::BYTES_WITH_VOLTAGE)
}

/// The fixed layouts: temperature and humidity, and perhaps the battery's voltage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Climate {
    /// 0.01 °C; `None` where the sensor gave no value.
    pub temperature: Option<i16>,
    /// Whole %RH, up to 100; `None` where the sensor gave no value.
    pub humidity: Option<u8>,
}

impl Climate {
    /// How long the layout is.
    pub const BYTES: usize = 3;
    /// How long it is with the voltage.
    pub const BYTES_WITH_VOLTAGE: usize = 5;

    /// The layout of 3 bytes.
    ///
    /// # Errors
    /// [`EncodeError::OutOfRange`] for a temperature of `i16::MIN` and a humidity above 100.
    pub fn encode(self) -> Result<[u8; Self::BYTES], EncodeError> {
        let [high, low] = self.temperature_bytes()?;
        Ok([high, low, self.humidity_byte()?])
    }

    /// The layout of 5 bytes; the voltage is in mV.
    ///
    /// # Errors
    /// As [`Self::encode`], and for a voltage of `u16::MAX`.
    pub fn encode_with_voltage(
        self,
        voltage: Option<u16>,
    ) -> Result<[u8; Self::BYTES_WITH_VOLTAGE], EncodeError> {
        if voltage == Some(u16::MAX) {
            return Err(EncodeError::OutOfRange { quantity: Quantity::Voltage, raw: i64::from(u16::MAX) });
        }
        let [high, low] = self.temperature_bytes()?;
        let [voltage_high, voltage_low] = voltage.unwrap_or(u16::MAX).to_be_bytes();
        Ok([high, low, self.humidity_byte()?, voltage_high, voltage_low])
    }

    fn temperature_bytes(self) -> Result<[u8; 2], EncodeError> {
        if self.temperature == Some(i16::MIN) {
            return Err(EncodeError::OutOfRange {
                quantity: Quantity::Temperature,
                raw: i64::from(i16::MIN),
            });
        }
        Ok(self.temperature.unwrap_or(i16::MIN).to_be_bytes())
    }

    fn humidity_byte(self) -> Result<u8, EncodeError> {
        match self.humidity {
            None => Ok(u8::MAX),
            Some(percent) if percent <= 100 => Ok(percent),
            Some(percent) => {
                Err(EncodeError::OutOfRange { quantity: Quantity::Humidity, raw: i64::from(percent) })
            }
        }
    }
}
