//! Reads the data types of MQTT (version 5, section 1.5) from a packet.

use super::Invalid;

#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

const SHORT: Invalid = Invalid::malformed("the packet ends too early");

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn is_empty(self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may follow.
    pub(super) const fn end(self) -> Result<(), Invalid> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Invalid::malformed("the packet is longer than its fields"))
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Invalid> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Invalid> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Invalid> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Invalid> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Invalid> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn variable_integer(&mut self) -> Result<u32, Invalid> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Invalid::malformed("a variable byte integer has more than four bytes"))
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Invalid> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// UTF-8 without U+0000 ([MQTT-1.5.4-1] and [MQTT-1.5.4-2]).
    pub(super) fn text(&mut self) -> Result<&'a str, Invalid> {
        let bytes = self.binary()?;
        let text = std::str::from_utf8(bytes).map_err(|_| Invalid::malformed("a text is not UTF-8"))?;
        if bytes.contains(&0) {
            return Err(Invalid::malformed("a text contains U+0000"));
        }
        Ok(text)
    }

    /// A packet identifier, which is never 0 ([MQTT-2.2.1-3]).
    pub(super) fn packet_id(&mut self) -> Result<u16, Invalid> {
        match self.u16()? {
            0 => Err(Invalid::protocol("the packet identifier is 0")),
            id => Ok(id),
        }
    }

    /// The bytes of a list of properties, after their length.
    pub(super) fn properties(&mut self) -> Result<Reader<'a>, Invalid> {
        let length = self.variable_integer()?;
        self.take(length as usize).map(Reader::new)
    }
}
