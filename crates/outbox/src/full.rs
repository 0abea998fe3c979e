//! What is dropped when the outbox is full.
//!
//! Whole segments are dropped, for the sinks that still need their entries: readings first, then aggregates, alerts only
//! for a new alert. Entries in flight are never dropped, because the receiver may have them already: a segment with one of
//! them stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::entry::Numbered;
use crate::error::{OutboxError, log};
use crate::lane::Lane;
use crate::log::{Scan, Segment};
use crate::state::SinkId;
use crate::store::{Outbox, WhenFull};
use crate::totals::DropReason;

impl Outbox {
    /// Drops entries until the staged ones fit.
    pub(crate) fn make_room(&mut self) -> Result<(), OutboxError> {
        let is_new = self.staged.entries.iter().any(|(_, entries)| !entries.is_empty());
        if !is_new || self.excess() == 0 {
            return Ok(());
        }
        let is_for_alert = !self.staged.entries.alerts.is_empty();
        if self.options.when_full == WhenFull::DropNewest {
            self.drop_staged_for_slow_sinks();
        }
        let oldest_first = self.options.when_full == WhenFull::DropOldest;
        if oldest_first || is_for_alert {
            self.drop_segments(Lane::Readings, oldest_first)?;
            self.drop_segments(Lane::Aggregates, oldest_first)?;
        }
        if oldest_first && is_for_alert {
            self.drop_segments(Lane::Alerts, oldest_first)?;
        }
        // New entries for sinks that keep up need a segment and a half for a moment.
        let allowed = if oldest_first { 0 } else { 2 * self.options.segment_bytes() };
        for lane in [Lane::Readings, Lane::Aggregates, Lane::Alerts] {
            self.drop_staged(lane, allowed);
        }
        Ok(())
    }

    /// By how many bytes the logs and the staged entries would exceed the limit, without the segments that are deleted
    /// after the next snapshot.
    fn excess(&self) -> u64 {
        let mut bytes = self.staged.entry_bytes();
        for (lane, log) in self.logs.iter() {
            let mut segments = log.segments();
            let newest = segments.pop();
            let kept = segments.iter().filter(|segment| !self.is_done(lane, segment));
            bytes += kept.chain(newest.iter()).map(|segment| segment.bytes).sum::<u64>();
        }
        bytes.saturating_sub(self.most_bytes())
    }

    /// How many bytes may be kept. The rest of the limit is for what is written until the next snapshot.
    pub(crate) fn most_bytes(&self) -> u64 {
        self.options.max_bytes.saturating_sub(2 * self.options.segment_bytes())
    }

    fn is_done(&self, lane: Lane, segment: &Segment) -> bool {
        segment.seqs.is_none_or(|(first, last)| self.state.is_done(lane, first, last))
    }

    fn drop_segments(&mut self, lane: Lane, oldest_first: bool) -> Result<(), OutboxError> {
        let mut segments = self.logs.get(lane).segments();
        segments.pop();
        if !oldest_first {
            segments.reverse();
        }
        for segment in segments {
            if self.excess() == 0 {
                break;
            }
            if !self.is_done(lane, &segment) && !self.is_in_flight(lane, &segment) {
                self.drop_segment(lane, &segment)?;
            }
        }
        Ok(())
    }

    fn is_in_flight(&self, lane: Lane, segment: &Segment) -> bool {
        let Some((first, last)) = segment.seqs else { return false };
        let of_lane = self.in_flight.iter().filter(|((_, in_lane), _)| *in_lane == lane);
        of_lane.into_iter().any(|(_, in_flight)| in_flight.entries.range(first..=last).next().is_some())
    }

    fn drop_segment(&mut self, lane: Lane, segment: &Segment) -> Result<(), OutboxError> {
        let Some((first, last)) = segment.seqs else { return Ok(()) };
        let mut entries: Vec<Numbered> = Vec::new();
        let records = self.logs.get(lane).read_from(segment.first)?;
        let mut ended = false;
        let records = records.take_while(|record| {
            let is_wanted = !ended;
            ended = record.is_err();
            is_wanted
        });
        let until = self.next_segment(lane, segment).previous();
        let scan = Scan::of(lane, records, until, |entry| entries.push(entry)).map_err(log(&self.dir))?;
        let is_lost = |sink: &crate::state::SinkState| {
            let mut needed = sink.lanes.get(lane).needed(last.saturating_add(1));
            needed.remove_range(0, first.saturating_sub(1));
            needed.remove_all(&scan.covered);
            !needed.is_empty()
        };
        if self.state.sinks.values().any(is_lost) {
            return self.count_after_damage();
        }
        let now = Instant::now();
        let sinks: Vec<SinkId> = self.state.sinks.keys().copied().collect();
        for entry in &entries {
            sinks.iter().for_each(|id| self.remove_for(*id, entry, Some(DropReason::Full), now));
        }
        self.snapshots.wanted = true;
        Ok(())
    }

    fn next_segment(&self, lane: Lane, segment: &Segment) -> journal::Position {
        let segments = self.logs.get(lane).segments();
        let next = segments.iter().find(|next| next.first > segment.first);
        next.map_or(self.logs.get(lane).journal.next(), |next| next.first)
    }

    /// Drops new aggregates and readings, the newest first, for the sinks that have fallen behind, until the others fit. The
    /// other sinks get them.
    fn drop_staged_for_slow_sinks(&mut self) {
        let slow: BTreeSet<SinkId> =
            self.state.sinks.keys().filter(|id| self.is_slow(**id)).copied().collect();
        for lane in [Lane::Readings, Lane::Aggregates] {
            for entry in self.staged_entries(lane).into_iter().rev() {
                if self.excess() == 0 {
                    return;
                }
                slow.iter().for_each(|id| self.drop_staged_for(*id, &entry));
            }
        }
    }

    /// Whether a sink needs an entry of a segment that is complete.
    fn is_slow(&self, id: SinkId) -> bool {
        let Some(sink) = self.state.sinks.get(&id) else { return false };
        self.logs.iter().any(|(lane, log)| {
            let mut segments = log.segments();
            segments.pop();
            let progress = sink.lanes.get(lane);
            segments
                .iter()
                .filter_map(|segment| segment.seqs)
                .any(|(first, last)| !progress.is_done(first, last))
        })
    }

    /// Drops staged entries of a lane, the newest first, until the limit is exceeded by `allowed` bytes at most.
    fn drop_staged(&mut self, lane: Lane, allowed: u64) {
        for entry in self.staged_entries(lane).into_iter().rev() {
            if self.excess() <= allowed {
                break;
            }
            self.drop_staged_entry(&entry);
        }
    }

    fn staged_entries(&self, lane: Lane) -> Vec<Arc<Numbered>> {
        let log = self.logs.get(lane);
        let staged = self.staged.entries.get(lane).keys();
        staged.filter_map(|seq| log.entry_in_memory(*seq).cloned()).collect()
    }

    /// Drops a staged entry for every sink.
    pub(crate) fn drop_staged_entry(&mut self, entry: &Arc<Numbered>) {
        let sinks: Vec<SinkId> = self.state.sinks.keys().copied().collect();
        sinks.into_iter().for_each(|id| self.drop_staged_for(id, entry));
    }

    fn drop_staged_for(&mut self, id: SinkId, entry: &Arc<Numbered>) {
        let in_flight = self.in_flight.get(&(id, entry.lane));
        if !in_flight.is_some_and(|in_flight| in_flight.entries.contains_key(&entry.seq)) {
            self.remove_for(id, entry, Some(DropReason::Full), Instant::now());
        }
    }
}
