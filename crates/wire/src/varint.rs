//! Integers of as few bytes as they need: seven bits a byte, the lowest first, the highest bit set on all bytes but the last
//! (LEB128); signed numbers zigzag, so that small differences of either sign are short.

/// No number of a frame needs more than 36 bits: six bytes.
pub(crate) const MAX_BYTES: usize = 6;

/// Writes `number` at `at`; returns where it ends, `None` if there is no space.
pub(crate) fn write(buffer: &mut [u8], mut at: usize, mut number: u64) -> Option<usize> {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        let more = number != 0;
        *buffer.get_mut(at)? = if more { low | 0x80 } else { low };
        at += 1;
        if !more {
            return Some(at);
        }
    }
}

/// Reads a number and what follows it; `None` if it is cut off, too long, or longer than needed.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let is_shortest = index == 0 || *byte != 0;
            return is_shortest.then(|| (number, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    None
}

/// 0, −1, 1, −2, 2 … as 0, 1, 2, 3, 4 …
pub(crate) const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

/// The number of a zigzag.
pub(crate) const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}
