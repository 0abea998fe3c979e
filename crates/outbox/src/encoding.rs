//! Encodes numbers and texts: numbers as LEB128 (seven bits a byte, the lowest first), texts with their length in front.

pub(crate) fn put_u64(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

pub(crate) fn put_bytes(bytes: &mut Vec<u8>, content: &[u8]) {
    put_u64(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_bytes(bytes, text.as_bytes());
}

/// Reads values in the order in which they were written; `None` if the bytes are something else.
#[derive(Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { bytes }
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if part != 0 && part.leading_zeros() < shift {
                return None;
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (content, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(content)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_number_that_was_put() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), 1 << 62, u64::MAX] {
            let mut bytes = Vec::new();
            put_u64(&mut bytes, number);
            put_text(&mut bytes, "ü");
            let mut decoder = Decoder::new(&bytes);
            assert_eq!((decoder.u64(), decoder.text(), decoder.is_empty()), (Some(number), Some("ü"), true));
        }
    }

    #[test]
    fn refuses_numbers_that_are_too_large_or_cut_short() {
        assert_eq!(Decoder::new(&[0xff; 10]).u64(), None);
        assert_eq!(Decoder::new(&[0x80; 3]).u64(), None);
        assert_eq!(Decoder::new(&[5, b'a']).text(), None);
    }
}
