//! The outbox itself, for one caller that may wait for the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use journal::{DirLock, Disk, RealDisk};

use crate::accounts::Accounts;
use crate::commit::{Pending, Snapshots};
use crate::entry::{Entry, Numbered, Stored};
use crate::error::OutboxError;
use crate::lane::{Lane, PerLane};
use crate::log::LaneLog;
use crate::reader::{Found, LogReader};
use crate::recovery::{self, Damage, Recovery};
use crate::staged::Staged;
use crate::state::{SinkId, State};
use crate::totals::{DropReason, DroppedRange, Totals};

/// Entries of one lane that may be in flight to one sink (fetched and not acknowledged); `fetch` gives no more of them.
pub const MAX_IN_FLIGHT: usize = 10_000;
/// The same in bytes.
const IN_FLIGHT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of payloads that one `fetch` returns; it always returns one entry.
const FETCH_BYTES: usize = 4 * 1024 * 1024;

/// Settings of an outbox.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The limit for all logs together, in bytes on the disk. Up to a batch more may be used for a moment.
    pub max_bytes: u64,
    /// What is dropped when the limit is reached.
    pub when_full: WhenFull,
    /// Whether the producer appends again what was not committed before a crash: everything after the mark, in the same
    /// order. Then entries can be fetched before they are durable.
    pub producer_repeats: bool,
    /// For an outbox on its own thread, if the producer repeats: how long an entry may wait for its acknowledgements
    /// before it is written to the disk. See the crate's documentation.
    pub spill_after: Duration,
}

impl Options {
    /// Bytes of a segment: small if the outbox is small, so that space is freed in small parts.
    pub(crate) fn segment_bytes(&self) -> u64 {
        (self.max_bytes / 16).clamp(4 * 1024, 1024 * 1024)
    }
}

/// What is dropped when the outbox is full; see the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest entries.
    DropOldest,
    /// The new entry.
    DropNewest,
}

/// A sink that takes entries from the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOptions {
    /// Its name, by which it is found again after a restart.
    pub name: Arc<str>,
    /// The lanes that it takes.
    pub lanes: PerLane<bool>,
    /// Where a sink that was not there before begins.
    pub start: Start,
}

/// Where a new sink begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the next entry.
    #[default]
    Now,
    /// With the oldest entry that is still there.
    Oldest,
}

/// One request.
#[derive(Debug, Clone)]
pub enum Request {
    /// Store entries, and the producer's progress.
    Append {
        /// The producer's progress after these entries; ignored if it is lower than the stored one.
        mark: u64,
        /// In the order of the numbers they get.
        entries: Vec<Entry>,
        /// The caller's clock, in Unix milliseconds.
        now_ms: i64,
    },
    /// The sink has these. Numbers that are not in flight to it are ignored.
    Acknowledge { sink: Arc<str>, lane: Lane, seqs: Vec<u64> },
    /// Everything that the sink needs up to this number is one batch from now on. See [`crate::SinkHandle::fix_batch`].
    FixBatch { sink: Arc<str>, lane: Lane, end: u64 },
    /// The sink does not keep these. Numbers that are not in flight to it are ignored.
    Discard {
        sink: Arc<str>,
        lane: Lane,
        seqs: Vec<u64>,
        reason: DropReason,
        /// The caller's clock, in Unix milliseconds.
        now_ms: i64,
    },
}

/// What is in flight to one sink in one lane.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) entries: BTreeMap<u64, Arc<Numbered>>,
    bytes: u64,
}

impl InFlight {
    fn insert(&mut self, entry: Arc<Numbered>) {
        self.bytes = self.bytes.saturating_add(entry.size());
        if let Some(old) = self.entries.insert(entry.seq, entry) {
            self.bytes = self.bytes.saturating_sub(old.size());
        }
    }

    pub(crate) fn remove(&mut self, seq: u64) -> Option<Arc<Numbered>> {
        let entry = self.entries.remove(&seq)?;
        self.bytes = self.bytes.saturating_sub(entry.size());
        Some(entry)
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= MAX_IN_FLIGHT || self.bytes >= IN_FLIGHT_BYTES
    }
}

/// An open outbox. See the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Outbox {
    pub(crate) dir: PathBuf,
    pub(crate) _lock: DirLock,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: Options,
    pub(crate) logs: PerLane<LaneLog>,
    /// The durable state.
    pub(crate) committed: State,
    /// The durable state with everything staged since.
    pub(crate) state: State,
    pub(crate) staged: Staged,
    pub(crate) pending: Pending,
    pub(crate) in_flight: BTreeMap<(SinkId, Lane), InFlight>,
    pub(crate) readers: BTreeMap<(SinkId, Lane), LogReader>,
    pub(crate) snapshots: Snapshots,
    /// The newest damage found since the outbox was opened.
    pub(crate) damage: Option<Arc<Damage>>,
}

impl Outbox {
    /// Opens the outbox in the directory `dir`, or makes a new one. Damage is counted and returned. Sinks that are known
    /// and not in `sinks` get no new entries; what is queued for them stays.
    ///
    /// # Errors
    /// If it cannot be read or written, is in use, or has another version.
    pub fn open(
        dir: &Path,
        options: Options,
        sinks: &[SinkOptions],
    ) -> Result<(Outbox, Recovery), OutboxError> {
        Outbox::open_on(Arc::new(RealDisk), dir, options, sinks)
    }

    /// [`Outbox::open`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// See [`Outbox::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        sinks: &[SinkOptions],
    ) -> Result<(Outbox, Recovery), OutboxError> {
        recovery::open(disk, dir, options, sinks)
    }

    /// The mark of the last durable append; 0 if there was none.
    pub fn mark(&self) -> u64 {
        self.committed.numbers.mark
    }

    /// The number that the next entry of a lane gets.
    pub fn next_seq(&self, lane: Lane) -> u64 {
        self.state.numbers.next(lane)
    }

    /// Whether new entries of a lane are for any sink. Others need not be appended, but alerts and aggregates get their
    /// number by it.
    pub fn takes(&self, lane: Lane) -> bool {
        self.state.takes(lane)
    }

    /// The names of all sinks, also of those that take no new entries.
    pub fn sinks(&self) -> Vec<Arc<str>> {
        self.state.sinks.values().map(|sink| Arc::clone(&sink.name)).collect()
    }

    /// The number of a sink: one that is forgotten and comes back has another, and new counters.
    pub fn sink_id(&self, sink: &str) -> Option<u64> {
        self.state.sink_named(sink).map(|id| id.0)
    }

    /// A sink's counters as of the last commit.
    pub fn totals(&self, sink: &str) -> Option<&Totals> {
        let id = self.committed.sink_named(sink)?;
        self.committed.sinks.get(&id).map(|sink| &sink.counters.totals)
    }

    /// The counters of each of a sink's accounts, as of the last commit.
    pub fn accounts(&self, sink: &str) -> Option<&Accounts> {
        let id = self.committed.sink_named(sink)?;
        self.committed.sinks.get(&id).map(|sink| &*sink.counters.accounts)
    }

    /// The newest 1,000 ranges of each lane that were dropped for a sink, as of the last commit, oldest first.
    /// [`Totals`] counts all of them.
    pub fn dropped(&self, sink: &str) -> Vec<DroppedRange> {
        let id = self.committed.sink_named(sink);
        let sink = id.and_then(|id| self.committed.sinks.get(&id));
        let lanes = sink.iter().flat_map(|sink| sink.dropped.iter());
        lanes.flat_map(|(_, ranges)| ranges.all().iter().copied()).collect()
    }

    /// The last number of the newest batch that was fixed for a sink, in each lane; 0 if there was none.
    pub fn batch_ends(&self, sink: &str) -> PerLane<u64> {
        let id = self.state.sink_named(sink);
        let sink = id.and_then(|id| self.state.sinks.get(&id));
        PerLane::from_fn(|lane| sink.map_or(0, |sink| sink.lanes.get(lane).batch_end))
    }

    /// Stores the entries and the mark, both or neither; durable when it returns. See [`Request::Append`].
    ///
    /// # Errors
    /// See [`Outbox::apply`].
    pub fn append(&mut self, mark: u64, entries: Vec<Entry>, now_ms: i64) -> Result<(), OutboxError> {
        self.apply(&[Request::Append { mark, entries, now_ms }])
    }

    /// Counts entries in flight as delivered to the sink.
    ///
    /// # Errors
    /// See [`Outbox::apply`].
    pub fn acknowledge(&mut self, sink: &str, lane: Lane, seqs: &[u64]) -> Result<(), OutboxError> {
        self.apply(&[Request::Acknowledge { sink: sink.into(), lane, seqs: seqs.to_vec() }])
    }

    /// Counts entries in flight as dropped for the sink, which can never take them.
    ///
    /// # Errors
    /// See [`Outbox::apply`].
    pub fn discard(&mut self, sink: &str, lane: Lane, seqs: &[u64], now_ms: i64) -> Result<(), OutboxError> {
        let reason = DropReason::Refused;
        self.apply(&[Request::Discard { sink: sink.into(), lane, seqs: seqs.to_vec(), reason, now_ms }])
    }

    /// The oldest entries of a lane after `after` that a sink needs, `max` at most; they are in flight from now on and stay
    /// so until they are acknowledged or discarded, or the process ends. The caller passes 0 to start from the beginning,
    /// then the last number it got. There may be more entries if fewer than `max` are returned: one answer holds about
    /// 4 MiB, and what is in flight is limited ([`MAX_IN_FLIGHT`], 8 MiB). An empty answer means that there are no more,
    /// unless that many are in flight.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn fetch(
        &mut self,
        sink: &str,
        lane: Lane,
        after: u64,
        max: usize,
    ) -> Result<Vec<Stored>, OutboxError> {
        let Some(id) = self.state.sink_named(sink) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let (mut bytes, mut after) = (0_usize, after);
        while found.len() < max && bytes < FETCH_BYTES {
            let Some(entry) = self.next_entry(id, lane, after.saturating_add(1))? else { break };
            let in_flight = self.in_flight.entry((id, lane)).or_default();
            if in_flight.is_full() && !in_flight.entries.contains_key(&entry.seq) {
                // It is read again when it is wanted again.
                self.readers.remove(&(id, lane));
                break;
            }
            after = entry.seq;
            bytes = bytes.saturating_add(entry.payload.len());
            found.push(entry.to_stored());
            in_flight.insert(entry);
        }
        Ok(found)
    }

    /// When the oldest entry was stored that a sink still needs, in Unix milliseconds of the caller's clock; `None` if there is
    /// none. Reads it from the disk.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn waiting_since(&mut self, sink: &str) -> Result<Option<i64>, OutboxError> {
        let Some(id) = self.state.sink_named(sink) else { return Ok(None) };
        let mut oldest = None;
        for lane in Lane::ALL {
            if let Some(entry) = self.next_entry(id, lane, 1)? {
                oldest = Some(oldest.map_or(entry.at_ms, |oldest: i64| oldest.min(entry.at_ms)));
            }
        }
        Ok(oldest)
    }

    /// The newest number of a lane that can be fetched.
    pub(crate) fn newest_seq(&self, lane: Lane) -> u64 {
        let state = if self.options.producer_repeats { &self.state } else { &self.committed };
        state.numbers.next(lane).saturating_sub(1)
    }

    /// The first entry from `from` on that a sink needs.
    fn next_entry(
        &mut self,
        id: SinkId,
        lane: Lane,
        from: u64,
    ) -> Result<Option<Arc<Numbered>>, OutboxError> {
        let end = self.newest_seq(lane).saturating_add(1);
        loop {
            let Some(sink) = self.state.sinks.get(&id) else { return Ok(None) };
            let (progress, log) = (sink.lanes.get(lane), self.logs.get(lane));
            let Some(from) = progress.first_needed(from, end) else { return Ok(None) };
            let found = if from < log.memory_from && from <= log.last_written {
                self.read(id, lane, from)?
            } else {
                Found::End
            };
            match found {
                Found::Entry(entry) => return Ok(Some(entry)),
                Found::End => return Ok(self.next_in_memory(id, lane, from).filter(|entry| entry.seq < end)),
                Found::Damage => self.count_after_damage()?,
            }
        }
    }

    fn next_in_memory(&self, id: SinkId, lane: Lane, from: u64) -> Option<Arc<Numbered>> {
        let progress = self.state.sinks.get(&id)?.lanes.get(lane);
        let mut entries = self.logs.get(lane).in_memory_from(from);
        entries.find(|entry| progress.needs(entry.seq)).map(Arc::clone)
    }

    /// Reads the log for a sink.
    fn read(&mut self, id: SinkId, lane: Lane, from: u64) -> Result<Found, OutboxError> {
        let Some(sink) = self.state.sinks.get(&id) else { return Ok(Found::End) };
        let (progress, log) = (sink.lanes.get(lane), self.logs.get(lane));
        let known = self.readers.remove(&(id, lane)).filter(|reader| reader.leads_to(from));
        let was_known = known.is_some();
        let mut reader = known.map_or_else(|| LogReader::at(log, from), Ok)?;
        let mut found = reader.next(log, progress, from, log.memory_from)?;
        if found.is_none() && was_known {
            // Frames were written since it began.
            reader = LogReader::at(log, from)?;
            found = reader.next(log, progress, from, log.memory_from)?;
        }
        match found {
            Some(Found::Entry(entry)) => {
                self.readers.insert((id, lane), reader);
                Ok(Found::Entry(entry))
            }
            Some(other) => Ok(other),
            None => {
                let end = log.memory_from.min(log.last_written.saturating_add(1));
                let is_lost =
                    progress.first_needed(reader.reached().saturating_add(1).max(from), end).is_some();
                Ok(if is_lost { Found::Damage } else { Found::End })
            }
        }
    }
}
