//! BTHome's objects: an id, and a value of one to four bytes, little-endian.

use wire::{Quantity, Reading};

/// One reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) id: u8,
    pub(crate) channel: u8,
    bytes: [u8; 4],
    length: usize,
}

impl Object {
    /// An object of a value of at most four bytes.
    pub(crate) fn new(id: u8, value: &[u8]) -> Self {
        let mut bytes = [0; 4];
        let length = value.len().min(bytes.len());
        for (to, from) in bytes.iter_mut().zip(value) {
            *to = *from;
        }
        Self { id, channel: 0, bytes, length }
    }

    /// `None` without a value, where BTHome has no object, or where the value is out of its range.
    pub(crate) fn of(reading: Reading) -> Option<Self> {
        let raw = reading.raw?;
        let object = match reading.quantity {
            Quantity::Battery => unsigned(0x01, 1, raw),
            // 0.01 °C, also here.
            Quantity::Temperature => i16::try_from(raw).ok().map(|raw| Self::new(0x02, &raw.to_le_bytes())),
            Quantity::Humidity => unsigned(0x03, 2, raw),
            // 0.01 hPa; here 0.1.
            Quantity::Pressure => unsigned(0x04, 3, raw * 10),
            Quantity::Illuminance => unsigned(0x05, 3, raw),
            Quantity::Voltage => unsigned(0x0c, 2, raw),
            // 1 µg/m³; here 0.1.
            Quantity::Pm25 => unsigned(0x0d, 2, (raw + 5) / 10),
            // 1: open; here 1: closed. A door, a window or something else: an opening.
            Quantity::Contact => unsigned(0x11, 1, 1 - raw),
            Quantity::Co2 => unsigned(0x12, 2, raw),
            // 1: wet.
            Quantity::WaterLeak => unsigned(0x20, 1, raw),
            Quantity::Occupancy => unsigned(0x23, 1, raw),
            Quantity::Smoke => unsigned(0x29, 1, raw),
            Quantity::Count => unsigned(0x3e, 4, raw),
            Quantity::Energy => unsigned(0x4d, 4, raw),
            // BTHome's gases are in µg/m³, its current and power unsigned.
            _ => None,
        }?;
        Some(Self { channel: reading.channel.number(), ..object })
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn unsigned(id: u8, width: usize, raw: i64) -> Option<Object> {
    let bytes = u32::try_from(raw).ok()?.to_le_bytes();
    let (value, above) = bytes.split_at_checked(width)?;
    above.iter().all(|byte| *byte == 0).then(|| Object::new(id, value))
}
