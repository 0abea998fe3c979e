//! Batches: several records of the same sensors in one frame, as differences between neighbours.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | `02` |
//! | 1 | `00`: the base is an age; `01`: it is a time of day |
//! | 2 | the sequence number |
//! | 4 | the base: how many seconds before the sending the first record was measured, or when, in seconds since 1970 |
//! | 1 | how many records there are, 1 to 64 |
//! | 1 | how many tags there are, 1 to 8 |
//! | a byte each | the tags |
//! | a varint each | for each record but the first: seconds since the record before; then for each tag 0 if there is no value, else 1 + the zigzag of the difference to the tag's last value (at first to 0) |
//! | 2 | CRC-16/CCITT-FALSE (polynomial 0x1021, from 0xFFFF) of all before it |
//!
//! Guarantees: a batch that was cut or changed on the way is refused as a whole; a frame never grows past its buffer.

use crate::varint;
use crate::{BATCH, DecodeError, EncodeError, Item, Quantity, Reading, Tag};

/// How many records a batch may have.
pub const MAX_RECORDS: u8 = 64;
/// How many sensors a batch may have.
pub const MAX_TAGS: usize = 8;

const HEADER: usize = 10;
const CRC: usize = 2;
const COUNT_AT: usize = 8;
const BASE_AT: usize = 4;

/// What the times of a batch count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The first record was measured so many seconds before the sending.
    Age(u32),
    /// The first record was measured then: seconds since 1970-01-01 UTC.
    Time(u32),
}

impl Base {
    const fn parts(self) -> (u8, u32) {
        match self {
            Self::Age(seconds) => (0, seconds),
            Self::Time(seconds) => (1, seconds),
        }
    }

    /// The item of a record so many seconds after the first.
    const fn item(self, after: u32) -> Item<'static> {
        match self {
            Self::Age(age) => Item::Age(age.saturating_sub(after)),
            Self::Time(time) => Item::Time(time.saturating_add(after)),
        }
    }
}

/// Writes a batch into a buffer, a record at a time.
#[derive(Debug)]
pub struct BatchEncoder<'b> {
    buffer: &'b mut [u8],
    length: usize,
    records: u8,
    tags: usize,
    forms: [Option<Tag>; MAX_TAGS],
    last: [i64; MAX_TAGS],
}

impl<'b> BatchEncoder<'b> {
    /// A batch without records, of these sensors.
    ///
    /// # Errors
    /// [`EncodeError::Full`] if the buffer is too short, or if there are no tags or more than [`MAX_TAGS`].
    pub fn new(buffer: &'b mut [u8], sequence: u16, base: Base, tags: &[Tag]) -> Result<Self, EncodeError> {
        let length = HEADER + tags.len();
        if tags.is_empty() || tags.len() > MAX_TAGS || buffer.len() < length + CRC {
            return Err(EncodeError::Full);
        }
        let (kind, seconds) = base.parts();
        let header = [BATCH, kind].into_iter().chain(sequence.to_be_bytes()).chain(seconds.to_be_bytes());
        let count = u8::try_from(tags.len()).unwrap_or_default();
        let bytes = header.chain([0, count]).chain(tags.iter().map(|tag| tag.to_byte()));
        for (slot, byte) in buffer.iter_mut().zip(bytes) {
            *slot = byte;
        }
        let mut forms = [None; MAX_TAGS];
        for (form, tag) in forms.iter_mut().zip(tags) {
            *form = Some(*tag);
        }
        Ok(Self { buffer, length, records: 0, tags: tags.len(), forms, last: [0; MAX_TAGS] })
    }

    /// Adds a record: how many seconds after the one before it was measured (not used for the first), and a value for each tag.
    ///
    /// # Errors
    /// [`EncodeError::Full`] if the record does not fit or the values are not as many as the tags,
    /// [`EncodeError::OutOfRange`] for a value beyond its quantity's range. The batch is then as before.
    pub fn push(&mut self, seconds: u32, values: &[Option<i64>]) -> Result<(), EncodeError> {
        if values.len() != self.tags || self.records == MAX_RECORDS {
            return Err(EncodeError::Full);
        }
        let space = self.buffer.len() - CRC;
        let space = self.buffer.get_mut(..space).ok_or(EncodeError::Full)?;
        let (mut at, mut last) = (self.length, self.last);
        if self.records > 0 {
            at = varint::write(space, at, u64::from(seconds)).ok_or(EncodeError::Full)?;
        }
        for ((value, last), tag) in values.iter().zip(&mut last).zip(self.forms.iter().flatten()) {
            let number = match *value {
                None => 0,
                Some(raw) if in_range(tag.quantity, raw) => {
                    1 + varint::zigzag(raw - core::mem::replace(last, raw))
                }
                Some(raw) => return Err(EncodeError::OutOfRange { quantity: tag.quantity, raw }),
            };
            at = varint::write(space, at, number).ok_or(EncodeError::Full)?;
        }
        self.length = at;
        self.last = last;
        self.records += 1;
        Ok(())
    }

    /// How many records it has.
    #[must_use]
    pub const fn records(&self) -> u8 {
        self.records
    }

    /// The frame; empty if it has no record.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        let Self { buffer, length, records, .. } = self;
        if records == 0 {
            return &[];
        }
        if let Some(count) = buffer.get_mut(COUNT_AT) {
            *count = records;
        }
        let frame = buffer.get_mut(..length + CRC).unwrap_or_default();
        write_crc(frame);
        frame
    }
}

/// Changes the base of a batch: what was stored some time ago is older when it is sent.
///
/// # Errors
/// If the frame is no batch.
pub fn rebase(frame: &mut [u8], base: Base) -> Result<(), DecodeError> {
    Batch::new(frame)?;
    let (kind, seconds) = base.parts();
    if let Some([first, ..]) = frame.get_mut(1..) {
        *first = kind;
    }
    if let Some(bytes) = frame.get_mut(BASE_AT..).and_then(<[u8]>::first_chunk_mut) {
        *bytes = seconds.to_be_bytes();
    }
    write_crc(frame);
    Ok(())
}

/// The records of a batch that were not read yet.
#[derive(Debug, Clone)]
pub(crate) struct Batch<'a> {
    sequence: Option<u16>,
    base: Base,
    /// Seconds from the first record to the one that is read.
    after: u32,
    records_left: u8,
    is_first: bool,
    tags: &'a [u8],
    /// Which tag of the record is next; `None` before the record's time.
    column: Option<usize>,
    last: [i64; MAX_TAGS],
    rest: &'a [u8],
    length: usize,
}

impl<'a> Batch<'a> {
    /// The whole frame; checks its CRC, the counts and the tags.
    pub(crate) fn new(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let cut = DecodeError::Cut { at: 0 };
        let (body, crc) = frame.split_last_chunk::<CRC>().ok_or(cut)?;
        if crc16(body) != u16::from_be_bytes(*crc) {
            return Err(DecodeError::Checksum);
        }
        let (header, rest) = body.split_first_chunk::<HEADER>().ok_or(cut)?;
        let [_, kind, seq_high, seq_low, base @ .., records, tags] = *header;
        let seconds = u32::from_be_bytes(base);
        let base = match kind {
            0 => Base::Age(seconds),
            1 => Base::Time(seconds),
            _ => return Err(DecodeError::Reserved { at: 1 }),
        };
        let tags = usize::from(tags);
        if records == 0 || records > MAX_RECORDS || tags == 0 || tags > MAX_TAGS {
            return Err(DecodeError::Reserved { at: COUNT_AT });
        }
        let (tags, rest) = rest.split_at_checked(tags).ok_or(cut)?;
        for (index, tag) in tags.iter().enumerate() {
            Tag::from_byte(*tag).ok_or(DecodeError::Tag { tag: *tag, at: HEADER + index })?;
        }
        Ok(Self {
            sequence: Some(u16::from_be_bytes([seq_high, seq_low])),
            base,
            after: 0,
            records_left: records,
            is_first: true,
            tags,
            column: None,
            last: [0; MAX_TAGS],
            rest,
            length: body.len(),
        })
    }

    pub(crate) fn next_item(&mut self) -> Option<Result<Item<'a>, DecodeError>> {
        if let Some(sequence) = self.sequence.take() {
            return Some(Ok(Item::Sequence(sequence)));
        }
        if self.records_left == 0 {
            if self.rest.is_empty() {
                return None;
            }
            let at = self.at();
            self.rest = &[];
            return Some(Err(DecodeError::Reserved { at }));
        }
        let item = self.advance();
        if item.is_err() {
            self.records_left = 0;
            self.rest = &[];
        }
        Some(item)
    }

    /// The time of the next record, or its next value.
    fn advance(&mut self) -> Result<Item<'a>, DecodeError> {
        let Some(column) = self.column else {
            if !core::mem::take(&mut self.is_first) {
                let seconds =
                    u32::try_from(self.number()?).map_err(|_| DecodeError::Cut { at: self.at() })?;
                self.after = self.after.saturating_add(seconds);
            }
            self.column = Some(0);
            return Ok(self.base.item(self.after));
        };
        let at = self.at();
        let tag = self.tags.get(column).and_then(|byte| Tag::from_byte(*byte));
        let Tag { quantity, channel } = tag.ok_or(DecodeError::Cut { at })?;
        let raw = self.value(column, quantity, at)?;
        self.column = Some(column + 1).filter(|next| *next < self.tags.len());
        if self.column.is_none() {
            self.records_left -= 1;
        }
        Ok(Item::Reading(Reading { quantity, channel, raw }))
    }

    fn value(&mut self, column: usize, quantity: Quantity, at: usize) -> Result<Option<i64>, DecodeError> {
        let Some(difference) = self.number()?.checked_sub(1) else { return Ok(None) };
        let last = self.last.get_mut(column).ok_or(DecodeError::Cut { at })?;
        let raw = *last + varint::unzigzag(difference);
        if !in_range(quantity, raw) {
            return Err(DecodeError::OutOfRange { quantity, at });
        }
        *last = raw;
        Ok(Some(raw))
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let (number, rest) = varint::read(self.rest).ok_or(DecodeError::Cut { at: self.at() })?;
        self.rest = rest;
        Ok(number)
    }

    fn at(&self) -> usize {
        self.length - self.rest.len()
    }
}

fn in_range(quantity: Quantity, raw: i64) -> bool {
    let (least, most) = quantity.range();
    (least..=most).contains(&raw)
}

fn write_crc(frame: &mut [u8]) {
    if let Some((body, crc)) = frame.split_last_chunk_mut::<CRC>() {
        *crc = crc16(body).to_be_bytes();
    }
}

/// CRC-16/CCITT-FALSE: without a table, for batches are short and flash is small.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    /// The check value of the CRC catalogue for "123456789".
    #[test]
    fn the_checksum_is_the_catalogues() {
        assert_eq!(super::crc16(b"123456789"), 0x29b1);
    }
}
