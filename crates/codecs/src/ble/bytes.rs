//! Numbers at fixed places in a payload. What is not there is [`BleProblem::TooShort`], never a panic.

use super::BleProblem;

/// Some bytes, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// How many.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(self, at: usize) -> Result<u8, BleProblem> {
        self.0.get(at).copied().ok_or(BleProblem::TooShort)
    }

    pub(super) fn i8(self, at: usize) -> Result<i8, BleProblem> {
        self.u8(at).map(u8::cast_signed)
    }

    /// The byte as a number.
    pub(super) fn number(self, at: usize) -> Result<f64, BleProblem> {
        self.u8(at).map(f64::from)
    }

    pub(super) fn u16(self, at: usize) -> Result<u16, BleProblem> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn i16(self, at: usize) -> Result<i16, BleProblem> {
        self.array(at).map(i16::from_le_bytes)
    }

    pub(super) fn u16_be(self, at: usize) -> Result<u16, BleProblem> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn i16_be(self, at: usize) -> Result<i16, BleProblem> {
        self.array(at).map(i16::from_be_bytes)
    }

    pub(super) fn u24(self, at: usize) -> Result<u32, BleProblem> {
        self.array(at).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    pub(super) fn u24_be(self, at: usize) -> Result<u32, BleProblem> {
        self.array(at).map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(self, at: usize) -> Result<u32, BleProblem> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u32_be(self, at: usize) -> Result<u32, BleProblem> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// A float of four bytes, little endian.
    pub(super) fn f32(self) -> Result<f64, BleProblem> {
        self.array(0).map(f32::from_le_bytes).map(f64::from)
    }

    /// The first eight bytes at most, little endian.
    pub(super) fn whole(self) -> u64 {
        let first = self.0.get(..8).unwrap_or(self.0);
        first.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// As [`Self::whole`].
    pub(super) fn unsigned(self) -> f64 {
        self.whole() as f64
    }

    /// As [`Self::whole`], in two's complement.
    pub(super) fn signed(self) -> f64 {
        let unused = 64 - 8 * self.0.len().clamp(1, 8);
        ((self.whole() << unused).cast_signed() >> unused) as f64
    }

    pub(super) fn array<const N: usize>(self, at: usize) -> Result<[u8; N], BleProblem> {
        let part = self.0.get(at..).and_then(|rest| rest.first_chunk());
        part.copied().ok_or(BleProblem::TooShort)
    }

    pub(super) fn from(self, at: usize) -> Result<Self, BleProblem> {
        self.0.get(at..).map(Bytes).ok_or(BleProblem::TooShort)
    }

    pub(super) fn part(self, at: usize, length: usize) -> Result<Self, BleProblem> {
        let end = at.checked_add(length).ok_or(BleProblem::TooShort)?;
        self.0.get(at..end).map(Bytes).ok_or(BleProblem::TooShort)
    }

    /// At least `bytes` long.
    pub(super) fn at_least(self, bytes: usize) -> Result<Self, BleProblem> {
        if self.len() < bytes { Err(BleProblem::TooShort) } else { Ok(self) }
    }
}
