//! Computes the state from a snapshot and the changes after it.
//!
//! All changes but the last were durable. If a frame of the last one is missing, that change is ignored: a power cut
//! interrupted it, and its commit never returned.

use journal::{JournalError, Position, Record};

use crate::change::Change;
use crate::commit::Ends;
use crate::frame::Frame;
use crate::lane::{Lane, PerLane};
use crate::snapshot::Snapshot;
use crate::state::{Numbers, State};

/// The state while the aggregates' log is read.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) state: State,
    pub(crate) ends: Ends,
    /// The last change was ignored.
    pub(crate) skipped_last_change: bool,
    /// Two changes in a row, or more, could not be read: accounts and dropped ranges of theirs are missing.
    pub(crate) is_cut_short: bool,
    /// The largest numbers in any change or frame.
    pub(crate) largest: Numbers,
    /// The positions that were read after the last change that was applied.
    unapplied: Vec<Position>,
    /// The newest change, not applied yet: it may be the last one.
    newest: Option<(Position, Change)>,
    has_snapshot: bool,
}

impl Replay {
    /// `records`: those of the aggregates' log after the snapshot.
    pub(crate) fn of(
        snapshot: Option<Snapshot>,
        records: impl Iterator<Item = Result<Record, JournalError>>,
    ) -> Result<Replay, JournalError> {
        let has_snapshot = snapshot.is_some();
        let (state, ends) = snapshot.map_or_else(
            || (State::new(), PerLane::default()),
            |found| {
                let Snapshot { position, alerts_end, readings_end, state, .. } = found;
                (state, PerLane { alerts: alerts_end, aggregates: position, readings: readings_end })
            },
        );
        let mut replay = Replay {
            largest: state.numbers,
            state,
            ends: Ends(ends),
            skipped_last_change: false,
            is_cut_short: false,
            unapplied: Vec::new(),
            newest: None,
            has_snapshot,
        };
        for record in records {
            replay.read(&record?);
        }
        replay.apply_newest(true);
        Ok(replay)
    }

    fn read(&mut self, record: &Record) {
        if let Some(change) = Change::decode(&record.payload) {
            self.apply_newest(false);
            self.largest.changes = self.largest.changes.max(change.numbers.changes);
            for lane in [Lane::Aggregates, Lane::Readings] {
                let largest = self.largest.next_mut(lane);
                *largest = (*largest).max(change.numbers.next(lane));
            }
            self.newest = Some((record.position, change));
        } else if let Some(frame) = Frame::decode(Lane::Aggregates, &record.payload) {
            self.largest.next_seq = self.largest.next_seq.max(frame.last().saturating_add(1));
        }
        self.unapplied.push(record.position);
    }

    fn apply_newest(&mut self, is_last: bool) {
        let Some((position, change)) = self.newest.take() else { return };
        let later = self.unapplied.partition_point(|read| *read <= position);
        let later = self.unapplied.split_off(later);
        let before = std::mem::replace(&mut self.unapplied, later);
        let there = before.iter().filter(|read| (change.frames_from..position).contains(read)).count();
        let is_whole = there as u64 == position.0.saturating_sub(change.frames_from.0);
        if is_last && !is_whole {
            self.skipped_last_change = true;
            return;
        }
        if !self.has_snapshot {
            return;
        }
        let lost = change.numbers.changes.saturating_sub(self.state.numbers.changes.saturating_add(1));
        self.is_cut_short |= lost > 1;
        change.apply_to(&mut self.state, lost > 0);
        self.ends =
            Ends(PerLane { alerts: change.alerts_end, aggregates: position, readings: change.readings_end });
    }
}
