//! Block1 and Block2 options (RFC 7959, 2.2): the number and size of a block of a body.

use coap_lite::Packet;

use crate::options;

/// The size of a block: a power of two from 16 to 1,024 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockSize(u8);

impl BlockSize {
    /// 16 bytes.
    pub const SMALLEST: Self = Self(0);
    /// 1,024 bytes.
    pub const LARGEST: Self = Self(6);

    /// The largest block size of at most `bytes`, but at least 16 bytes.
    #[must_use]
    pub fn at_most(bytes: usize) -> Self {
        (0..=Self::LARGEST.0).rev().map(Self).find(|size| size.bytes() <= bytes).unwrap_or(Self::SMALLEST)
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        16 << self.0
    }
}

/// One block of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Block {
    /// Counted from 0; at most 20 bits.
    pub(crate) number: u32,
    /// Whether more follow.
    pub(crate) more: bool,
    pub(crate) size: BlockSize,
}

/// The reserved size exponent 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReservedSize;

impl Block {
    /// The last block number: 20 bits.
    pub(crate) const LAST: u32 = (1 << 20) - 1;

    /// The block in option `number` of `packet`, if present.
    pub(crate) fn of(packet: &Packet, number: u16) -> Result<Option<Self>, ReservedSize> {
        let Some(value) = options::number(packet, number) else { return Ok(None) };
        let exponent = (value & 0b111) as u8;
        if exponent > BlockSize::LARGEST.0 {
            return Err(ReservedSize);
        }
        Ok(Some(Self { number: value >> 4, more: value & 0b1000 != 0, size: BlockSize(exponent) }))
    }

    pub(crate) fn add_to(self, packet: &mut Packet, number: u16) {
        let value = self.number << 4 | u32::from(self.more) << 3 | u32::from(self.size.0);
        options::add_number(packet, number, value);
    }

    /// The offset of the block in the body, in bytes: below 2^30.
    pub(crate) const fn offset(self) -> usize {
        self.number as usize * self.size.bytes()
    }

    /// The block at byte `offset` of a body of `length` bytes; `None` beyond its end.
    ///
    /// An empty body has one empty block.
    pub(crate) fn at(offset: usize, size: BlockSize, length: usize) -> Option<Self> {
        if offset >= length.max(1) {
            return None;
        }
        let number = u32::try_from(offset / size.bytes()).ok().filter(|number| *number <= Self::LAST)?;
        Some(Self { number, more: offset.saturating_add(size.bytes()) < length, size })
    }
}
