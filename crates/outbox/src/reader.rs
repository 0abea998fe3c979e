//! Reads a lane's log for one sink, in order: each segment is read once.

use std::sync::Arc;
use std::vec;

use journal::Records;

use crate::entry::Numbered;
use crate::error::OutboxError;
use crate::frame::Frame;
use crate::log::LaneLog;
use crate::state::Progress;

/// A place in a lane's log.
#[derive(Debug)]
pub(crate) struct LogReader {
    records: Records,
    entries: vec::IntoIter<Numbered>,
    /// All numbers up to here were read, or are not in the log.
    reached: u64,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    Entry(Arc<Numbered>),
    /// Nothing that the sink needs stands in the log any more.
    End,
    /// A frame that the sink needs cannot be read.
    Damage,
}

impl LogReader {
    /// Whether reading on leads to `seq`.
    pub(crate) fn leads_to(&self, seq: u64) -> bool {
        self.reached < seq
    }

    /// All numbers up to here were read, or are not in the log.
    pub(crate) fn reached(&self) -> u64 {
        self.reached
    }

    /// Begins where `seq` stands.
    pub(crate) fn at(log: &LaneLog, seq: u64) -> Result<LogReader, OutboxError> {
        let records = log.read_from(log.position_before(seq))?;
        Ok(LogReader { records, entries: Vec::new().into_iter(), reached: seq.saturating_sub(1) })
    }

    /// The next entry from `from` on that the sink needs, below `end`. `None`: the records that were there when the reader
    /// began are at their end.
    pub(crate) fn next(
        &mut self,
        log: &LaneLog,
        progress: &Progress,
        from: u64,
        end: u64,
    ) -> Result<Option<Found>, OutboxError> {
        loop {
            for entry in self.entries.by_ref() {
                if entry.seq <= self.reached {
                    continue;
                }
                self.reached = entry.seq;
                if entry.seq >= end {
                    return Ok(Some(Found::End));
                }
                if entry.seq >= from && progress.needs(entry.seq) {
                    return Ok(Some(Found::Entry(Arc::new(entry))));
                }
            }
            let Some(record) = self.records.next() else { return Ok(None) };
            let record = record.map_err(crate::error::log(log.dir()))?;
            let Some(frame) = Frame::decode(log.lane, &record.payload) else { continue };
            let gap = self.reached.saturating_add(1).max(from);
            if progress.first_needed(gap, frame.previous.saturating_add(1).min(end)).is_some() {
                return Ok(Some(Found::Damage));
            }
            self.reached = self.reached.max(frame.previous);
            self.entries = frame.entries.into_iter();
        }
    }
}
