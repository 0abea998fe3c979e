//! The fixed layouts of 3 and 5 bytes: temperature, humidity and the battery, without a version, as simple nodes send them.

use crate::{Channel, DecodeError, EncodeError, Quantity, Reading};

/// 3 bytes, of which 22 bits are used: temperature in half degrees above −20 °C (8 bits), humidity in % (7 bits), charge in %
/// (7 bits), two bits that are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedBattery {
    /// In half degrees Celsius, −40 to 120 (−20 to +60 °C).
    pub half_degrees: i16,
    /// Relative, in %, up to 100.
    pub humidity: u8,
    /// Charge in %, up to 100.
    pub battery: u8,
}

impl FixedBattery {
    /// How long the layout is.
    pub const BYTES: usize = 3;
    /// The half degrees that the byte 0 stands for.
    const LOWEST: i16 = -40;
    /// The highest byte of a temperature: +60 °C.
    const HIGHEST_BYTE: u8 = 160;

    /// The bytes.
    ///
    /// # Errors
    /// [`EncodeError::OutOfRange`] for a value that the layout cannot hold.
    pub fn encode(self) -> Result<[u8; Self::BYTES], EncodeError> {
        let Self { half_degrees, humidity, battery } = self;
        let temperature = half_degrees.checked_sub(Self::LOWEST).and_then(|steps| u8::try_from(steps).ok());
        let temperature =
            temperature.filter(|byte| *byte <= Self::HIGHEST_BYTE).ok_or(EncodeError::OutOfRange {
                quantity: Quantity::Temperature,
                raw: i64::from(half_degrees) * 50,
            })?;
        let humidity = percent(Quantity::Humidity, humidity)?;
        let battery = percent(Quantity::Battery, battery)?;
        Ok([temperature, humidity << 1 | battery >> 6, battery << 2])
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] for a value above its limit, [`DecodeError::Reserved`] where the last two bits are not 0.
    pub fn decode([temperature, middle, last]: [u8; Self::BYTES]) -> Result<Self, DecodeError> {
        let (humidity, battery) = (middle >> 1, (middle & 1) << 6 | last >> 2);
        let limits = [
            (Quantity::Temperature, temperature, Self::HIGHEST_BYTE, 0),
            (Quantity::Humidity, humidity, 100, 1),
            (Quantity::Battery, battery, 100, 1),
        ];
        for (quantity, number, highest, at) in limits {
            if number > highest {
                return Err(DecodeError::OutOfRange { quantity, at });
            }
        }
        if last & 0b11 != 0 {
            return Err(DecodeError::Reserved { at: 2 });
        }
        Ok(Self { half_degrees: i16::from(temperature) + Self::LOWEST, humidity, battery })
    }

    pub(crate) fn readings(self) -> [Reading; 3] {
        [
            reading(Quantity::Temperature, i64::from(self.half_degrees) * 50),
            reading(Quantity::Humidity, i64::from(self.humidity) * 100),
            reading(Quantity::Battery, i64::from(self.battery)),
        ]
    }
}

/// 5 bytes: temperature (i16, 0.1 °C), humidity (u8, %), the battery's voltage (u16, 0.01 V).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedVoltage {
    /// In tenths of a degree Celsius.
    pub tenths: i16,
    /// Relative, in %, up to 100.
    pub humidity: u8,
    /// Of the battery, in hundredths of a volt.
    pub centivolts: u16,
}

impl FixedVoltage {
    /// How long the layout is.
    pub const BYTES: usize = 5;

    /// The bytes.
    ///
    /// # Errors
    /// [`EncodeError::OutOfRange`] for a humidity above 100.
    pub fn encode(self) -> Result<[u8; Self::BYTES], EncodeError> {
        let [high, low] = self.tenths.to_be_bytes();
        let [voltage_high, voltage_low] = self.centivolts.to_be_bytes();
        Ok([high, low, percent(Quantity::Humidity, self.humidity)?, voltage_high, voltage_low])
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRange`] for a humidity above 100.
    pub fn decode(bytes: [u8; Self::BYTES]) -> Result<Self, DecodeError> {
        let [high, low, humidity, voltage_high, voltage_low] = bytes;
        if humidity > 100 {
            return Err(DecodeError::OutOfRange { quantity: Quantity::Humidity, at: 2 });
        }
        let centivolts = u16::from_be_bytes([voltage_high, voltage_low]);
        Ok(Self { tenths: i16::from_be_bytes([high, low]), humidity, centivolts })
    }

    pub(crate) fn readings(self) -> [Reading; 3] {
        [
            reading(Quantity::Temperature, i64::from(self.tenths) * 10),
            reading(Quantity::Humidity, i64::from(self.humidity) * 100),
            reading(Quantity::Voltage, i64::from(self.centivolts) * 10),
        ]
    }
}

/// The readings of a fixed layout; `None` where the frame has another length.
pub(crate) fn decode(frame: &[u8]) -> Result<Option<[Reading; 3]>, DecodeError> {
    if let Ok(bytes) = <[u8; FixedBattery::BYTES]>::try_from(frame) {
        return FixedBattery::decode(bytes).map(|fixed| Some(fixed.readings()));
    }
    if let Ok(bytes) = <[u8; FixedVoltage::BYTES]>::try_from(frame) {
        return FixedVoltage::decode(bytes).map(|fixed| Some(fixed.readings()));
    }
    Ok(None)
}

fn percent(quantity: Quantity, value: u8) -> Result<u8, EncodeError> {
    let out_of_range = EncodeError::OutOfRange { quantity, raw: i64::from(value) };
    if value <= 100 { Ok(value) } else { Err(out_of_range) }
}

fn reading(quantity: Quantity, raw: i64) -> Reading {
    Reading { quantity, channel: Channel::FIRST, raw: Some(raw) }
}
