//! Numbers in the registers of the Bosch sensors. A byte that is not there reads as 0.

pub(crate) fn u8_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at).copied().map_or(0, i64::from)
}

pub(crate) fn i8_at(bytes: &[u8], at: usize) -> i64 {
    bytes.get(at).map_or(0, |byte| i64::from(byte.cast_signed()))
}

/// Little-endian.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> i64 {
    u8_at(bytes, at + 1) << 8 | u8_at(bytes, at)
}

/// Little-endian.
pub(crate) fn i16_at(bytes: &[u8], at: usize) -> i64 {
    i8_at(bytes, at + 1) << 8 | u8_at(bytes, at)
}

/// 20 bits of three bytes, the highest first; `None` for what the sensors write when they did not measure.
pub(crate) fn raw_20(bytes: &[u8], at: usize) -> Option<i64> {
    let raw = u8_at(bytes, at) << 12 | u8_at(bytes, at + 1) << 4 | u8_at(bytes, at + 2) >> 4;
    (raw != 0x80000).then_some(raw)
}

/// Two bytes, the highest first; `None` as above.
pub(crate) fn raw_16(bytes: &[u8], at: usize) -> Option<i64> {
    let raw = u8_at(bytes, at) << 8 | u8_at(bytes, at + 1);
    (raw != 0x8000).then_some(raw)
}
