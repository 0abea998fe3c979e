//! Commits staged requests, writes snapshots, and deletes segments that no sink needs.
//!
//! A commit writes the new alerts and readings to their logs and syncs them. Then it writes the new aggregates and a change,
//! which makes all of them part of the outbox, and syncs that. If one of these steps fails, the journals keep the records
//! they accepted and the rest stays staged; the next commit continues there.

use std::collections::BTreeSet;
use std::sync::Arc;

use journal::Position;
use tokio::time::Instant;

use crate::change::{Change, Repeated, RepeatedSink, SinkChange};
use crate::error::OutboxError;
use crate::frame::FrameBuilder;
use crate::lane::{Lane, PerLane};
use crate::log::FramePlace;
use crate::snapshot::Snapshot;
use crate::staged::Staged;
use crate::state::{SinkId, State};
use crate::store::{Outbox, Request};

/// What the journals have accepted and no durable change contains.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    frames: PerLane<Vec<FramePlace>>,
    /// A change that the journal has accepted and that is not durable yet.
    change: Option<(State, Ends)>,
    /// What the next change repeats of the last one.
    pub(crate) repeated: Repeated,
}

/// The newest record of each log that belongs to a change. That of the aggregates is the change itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ends(pub(crate) PerLane<Position>);

/// Which snapshots were written, and when the next one is due.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// The generation of the next one.
    pub(crate) generation: u64,
    /// The position of the newest one.
    pub(crate) newest: Position,
    /// The position of the one before; the aggregates' log is kept from there on.
    pub(crate) older: Position,
    /// The newest change that is durable.
    pub(crate) last_change: Ends,
    /// How many bytes the journals had appended when the newest one was written.
    pub(crate) appended: u64,
    /// Entries were dropped: their segments are deleted after the next one.
    pub(crate) wanted: bool,
    /// Why the last attempt to write a snapshot or to delete segments failed.
    pub(crate) error: Option<OutboxError>,
}

impl Outbox {
    /// Applies all requests in order. They, and everything staged before, are durable when it returns.
    ///
    /// # Errors
    /// If the disk refuses. The requests are kept, and the next call that succeeds stores them.
    pub fn apply(&mut self, requests: &[Request]) -> Result<(), OutboxError> {
        requests.iter().for_each(|request| self.stage(request, Instant::now()));
        self.commit()
    }

    /// Makes the staged requests durable.
    pub(crate) fn commit(&mut self) -> Result<(), OutboxError> {
        self.sync_change()?;
        while !self.staged.is_empty() || self.pending.has_frames() {
            self.make_room()?;
            self.write_frames(Lane::Alerts)?;
            self.write_frames(Lane::Readings)?;
            self.write_frames(Lane::Aggregates)?;
            self.write_change()?;
            self.sync_change()?;
        }
        self.snapshots.error = self.reclaim_space().err();
        Ok(())
    }

    /// Makes the staged requests durable and part of a snapshot, so that damage to them cannot be mistaken for a power cut.
    ///
    /// # Errors
    /// If the disk refuses; the staged requests are kept.
    pub fn flush(&mut self) -> Result<(), OutboxError> {
        self.commit()?;
        let is_newer = self.snapshots.last_change.0.aggregates > self.snapshots.newest;
        if is_newer { self.write_snapshot() } else { Ok(()) }
    }

    /// Writes a change without content, and a snapshot after it.
    pub(crate) fn write_recovered_state(&mut self) -> Result<(), OutboxError> {
        self.write_change()?;
        self.sync_change()?;
        self.write_snapshot()
    }

    /// Hands a lane's staged entries to its journal. Those of the other lanes must be durable before the change is.
    fn write_frames(&mut self, lane: Lane) -> Result<(), OutboxError> {
        let at_ms = self.state.numbers.now_ms;
        let log = self.logs.get_mut(lane);
        while !self.staged.entries.get(lane).is_empty() {
            let previous = log.last_written;
            let mut builder = FrameBuilder::after(previous);
            let mut written = Vec::new();
            for seq in self.staged.entries.get(lane).keys() {
                if builder.is_complete() {
                    break;
                }
                // Staged entries are always in memory.
                let Some(entry) = log.entry_in_memory(*seq) else { continue };
                builder.push(entry);
                written.push((*seq, entry.size()));
            }
            let Some((last, _)) = written.last().copied() else { break };
            let position = log.append(&builder.encode(at_ms, previous))?;
            log.last_written = last;
            let place = FramePlace { position, first: previous.saturating_add(1), last };
            self.pending.frames.get_mut(lane).push(place);
            for (seq, size) in written {
                self.staged.remove_entry(lane, seq, size);
            }
        }
        if lane != Lane::Aggregates && !self.pending.frames.get(lane).is_empty() {
            log.sync()?;
        }
        Ok(())
    }

    /// Hands a change with everything that is staged to the journal.
    fn write_change(&mut self) -> Result<(), OutboxError> {
        let mut state = self.state.clone();
        state.numbers.changes = state.numbers.changes.saturating_add(1);
        let next = self.logs.aggregates.journal.next();
        let change = Change {
            numbers: state.numbers,
            frames_from: self.pending.frames.aggregates.first().map_or(next, |frame| frame.position),
            alerts_end: self.logs.alerts.end(),
            readings_end: self.logs.readings.end(),
            sinks: self.touched().into_iter().filter_map(|id| Some((id, self.sink_change(id)?))).collect(),
        };
        let position = self.logs.aggregates.append(&change.encode())?;
        let ends = PerLane { alerts: change.alerts_end, aggregates: position, readings: change.readings_end };
        let staged = std::mem::take(&mut self.staged);
        self.pending.repeated = self.repeated(staged);
        self.state = state.clone();
        self.pending.change = Some((state, Ends(ends)));
        Ok(())
    }

    /// The sinks that this change or the one before changes.
    fn touched(&self) -> BTreeSet<SinkId> {
        let before = self.pending.repeated.0.keys();
        self.staged.sinks.iter().chain(before).copied().collect()
    }

    fn sink_change(&self, id: SinkId) -> Option<SinkChange> {
        let sink = self.state.sinks.get(&id)?;
        let repeated = self.pending.repeated.0.get(&id);
        let accounts_before = match repeated {
            Some(repeated) => &repeated.accounts,
            None => &self.committed.sinks.get(&id)?.counters.accounts,
        };
        let changed = sink.counters.accounts.iter();
        let changed = changed.filter(|(name, account)| accounts_before.get(*name) != Some(account));
        Some(SinkChange {
            lanes: sink.lanes.clone(),
            totals: sink.counters.totals.clone(),
            accounts: changed.map(|(name, account)| (Arc::clone(name), *account)).collect(),
            dropped: self.staged.dropped.get(&id).cloned().unwrap_or_default(),
            dropped_before: repeated.map(|repeated| repeated.dropped.clone()).unwrap_or_default(),
        })
    }

    /// What the change after this one repeats of it.
    fn repeated(&self, mut staged: Staged) -> Repeated {
        let sink = |id: &SinkId| {
            let accounts = Arc::clone(&self.committed.sinks.get(id)?.counters.accounts);
            Some((*id, RepeatedSink { accounts, dropped: staged.dropped.remove(id).unwrap_or_default() }))
        };
        Repeated(staged.sinks.iter().filter_map(sink).collect())
    }

    /// Syncs the change that the journal has accepted.
    fn sync_change(&mut self) -> Result<(), OutboxError> {
        if self.pending.change.is_none() {
            return Ok(());
        }
        self.logs.aggregates.sync()?;
        if let Some((state, ends)) = self.pending.change.take() {
            self.committed = state;
            self.snapshots.last_change = ends;
            for lane in Lane::ALL {
                let frames = std::mem::take(self.pending.frames.get_mut(lane));
                let log = self.logs.get_mut(lane);
                log.frames_written(&frames);
                log.evict(self.committed.numbers.next(lane));
            }
        }
        Ok(())
    }

    /// Writes a snapshot if one is due, and deletes the segments that no sink needs. Only then: whichever state is found
    /// after a crash, it needs nothing that was deleted.
    fn reclaim_space(&mut self) -> Result<(), OutboxError> {
        let appended = self.appended_bytes().saturating_sub(self.snapshots.appended);
        let is_due = appended >= self.options.segment_bytes() || self.snapshots.wanted;
        if is_due && self.snapshots.last_change.0.aggregates > self.snapshots.newest {
            self.write_snapshot()?;
        }
        Ok(())
    }

    fn appended_bytes(&self) -> u64 {
        self.logs.iter().map(|(_, log)| log.journal.appended_bytes()).sum()
    }

    /// Writes the committed state to a snapshot. Nothing may be staged.
    pub(crate) fn write_snapshot(&mut self) -> Result<(), OutboxError> {
        let Ends(ends) = self.snapshots.last_change;
        let snapshot = Snapshot {
            generation: self.snapshots.generation,
            position: ends.aggregates,
            alerts_end: ends.alerts,
            readings_end: ends.readings,
            state: self.committed.clone(),
        };
        snapshot.write(&*self.disk, &self.dir)?;
        self.snapshots.generation += 1;
        self.snapshots.older = std::mem::replace(&mut self.snapshots.newest, ends.aggregates);
        self.snapshots.appended = self.appended_bytes();
        self.snapshots.wanted = false;
        self.delete_segments()
    }

    fn delete_segments(&mut self) -> Result<(), OutboxError> {
        for lane in Lane::ALL {
            let segments = self.logs.get(lane).segments();
            for (segment, following) in segments.iter().zip(segments.iter().skip(1)) {
                let is_done =
                    segment.seqs.is_none_or(|(first, last)| self.committed.is_done(lane, first, last));
                // Changes after the older snapshot are needed if the newer one is damaged.
                let is_old = lane != Lane::Aggregates || following.first <= self.snapshots.older.next();
                if is_done && is_old {
                    self.logs.get_mut(lane).remove_segment(segment.first)?;
                    // They have a list of the segments that were there when they began.
                    self.readers.retain(|(_, of), _| *of != lane);
                }
            }
        }
        Ok(())
    }
}

impl Pending {
    fn has_frames(&self) -> bool {
        self.frames.iter().any(|(_, frames)| !frames.is_empty())
    }
}
