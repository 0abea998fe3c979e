//! Reports that wait for others, to be stored and sent with them in one frame.
//!
//! Guarantees: a stored item makes a frame no longer than the link's limit; what does not fit into one frame goes into the next.

use heapless::Vec;
use wire::{Base, BatchEncoder, Reading, Tag};

use crate::board::{MAX_READINGS, Readings};
use crate::reporting::tag;
use crate::stored::{LIFE, MAX_FRAME, MAX_STORED, Now};

const MAX_PENDING: usize = 16;
/// Of a frame of fields with one record: version, sequence number, time, and one byte of padding at most.
const SINGLE_OVERHEAD: usize = 1 + 3 + 5;

#[derive(Debug)]
struct Record {
    /// Seconds since the start.
    uptime: u32,
    values: Vec<Option<i64>, MAX_READINGS>,
}

/// Records of the same sensors, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    tags: Vec<Tag, MAX_READINGS>,
    records: Vec<Record, MAX_PENDING>,
    /// How many values of the first record are stored already, because they did not fit one frame.
    stored: usize,
}

impl Pending {
    /// Whether a report of these sensors can wait with the others.
    pub(crate) fn accepts(&self, readings: &Readings) -> bool {
        self.records.is_empty()
            || !self.records.is_full() && self.tags.iter().copied().eq(readings.iter().map(tag))
    }

    /// Adds a report; [`Self::accepts`] must have allowed it.
    pub(crate) fn push(&mut self, readings: &Readings, uptime: u32) {
        self.tags = readings.iter().map(tag).collect();
        let values = readings.iter().map(possible).collect();
        // `accepts` has seen that there is space.
        let _ = self.records.push(Record { uptime, values });
    }

    /// When the oldest report was measured, in seconds since the start.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.records.first().map(|record| record.uptime)
    }

    /// Takes the oldest records as one item for the store, whose frame has at most `limit` bytes; `None` if there are none.
    pub(crate) fn take(
        &mut self,
        limit: usize,
        sequence: u16,
        now: Now,
        out: &mut [u8; MAX_STORED],
    ) -> Option<usize> {
        let first = self.records.first()?;
        let base = match now.unix_time {
            Some(time) => Base::Time(time.saturating_sub(now.uptime.saturating_sub(first.uptime))),
            None => Base::Age(first.uptime),
        };
        let (life, batch) = out.split_first_chunk_mut::<LIFE>()?;
        *life = now.life.to_be_bytes();
        if self.records.len() > 1 && self.stored == 0 {
            let taken = self.several(batch.get_mut(..limit.min(MAX_FRAME))?, sequence, base);
            if let Some((records, length)) = taken {
                self.records = core::mem::take(&mut self.records).into_iter().skip(records).collect();
                return Some(LIFE + length);
            }
        }
        let (values, length) = self.single(batch, limit, sequence, base)?;
        self.stored += values;
        if self.stored >= self.tags.len() {
            self.records = core::mem::take(&mut self.records).into_iter().skip(1).collect();
            self.stored = 0;
        }
        Some(LIFE + length)
    }

    /// As many records as fit, if these are at least two.
    fn several(&self, buffer: &mut [u8], sequence: u16, base: Base) -> Option<(usize, usize)> {
        let mut batch = BatchEncoder::new(buffer, sequence, base, &self.tags).ok()?;
        let mut last = self.oldest()?;
        for record in &self.records {
            if batch.push(record.uptime.saturating_sub(last), &record.values).is_err() {
                break;
            }
            last = record.uptime;
        }
        let records = usize::from(batch.records());
        (records > 1).then(|| (records, batch.finish().len()))
    }

    /// As many values of the first record as fit a frame of fields, at least one.
    fn single(&self, buffer: &mut [u8], limit: usize, sequence: u16, base: Base) -> Option<(usize, usize)> {
        let tags = self.tags.get(self.stored..)?;
        let mut length = SINGLE_OVERHEAD;
        let mut fits = |tag: &&Tag| {
            length += 1 + tag.quantity.width();
            length <= limit
        };
        let count = tags.iter().take_while(|tag| fits(tag)).count().max(1);
        let values = self.records.first()?.values.get(self.stored..)?.get(..count)?;
        let mut batch = BatchEncoder::new(buffer, sequence, base, tags.get(..count)?).ok()?;
        batch.push(0, values).ok()?;
        Some((count, batch.finish().len()))
    }
}

/// A value that its quantity cannot have is none: the sensor is broken.
fn possible(reading: &Reading) -> Option<i64> {
    let (least, most) = reading.quantity.range();
    reading.raw.filter(|raw| (least..=most).contains(raw))
}
