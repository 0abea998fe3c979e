//! Requests in memory that are not written yet: new entries, acknowledgements, entries that were dropped. An entry that no
//! sink needs any more while it is staged is never written to the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accounts::weight;
use crate::entry::{Entry, Numbered};
use crate::lane::{Lane, PerLane};
use crate::state::SinkId;
use crate::store::{Outbox, Request};
use crate::totals::{DropReason, DroppedRange};

/// How much may be staged before a commit, in bytes. The request that crosses the limit is still staged.
pub(crate) const STAGED_BYTES: u64 = 1024 * 1024;
/// Memory of an acknowledged number or a dropped range, in bytes.
const SMALL: u64 = 64;
/// Acknowledgements are collected for so long …
const GATHER: Duration = Duration::from_millis(200);
/// … or until there are so many, if nothing else waits.
const GATHER_SEQS: u64 = 256;
/// If the producer repeats, entries wait at least so long: a sink that is connected sends them meanwhile.
const SHORTEST_SPILL: Duration = Duration::from_millis(20);

/// What the next change will contain.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// New entries, and when they were appended.
    pub(crate) entries: PerLane<BTreeMap<u64, Instant>>,
    /// The sinks whose state is not the committed one.
    pub(crate) sinks: BTreeSet<SinkId>,
    pub(crate) dropped: BTreeMap<SinkId, Vec<DroppedRange>>,
    /// When the first append was staged, with or without entries.
    appended_since: Option<Instant>,
    /// When the first acknowledgement was staged.
    removed_since: Option<Instant>,
    /// Whether an acknowledged or dropped entry is in the log.
    removed_from_log: bool,
    /// How many acknowledgements are staged.
    removals: u64,
    bytes: u64,
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.iter().all(|(_, entries)| entries.is_empty())
            && self.appended_since.is_none()
            && self.sinks.is_empty()
    }

    /// The memory it takes, about.
    pub(crate) fn bytes(&self) -> u64 {
        let ranges: usize = self.dropped.values().map(Vec::len).sum();
        self.bytes.saturating_add((self.removals + ranges as u64) * SMALL)
    }

    /// The bytes of the entries, about.
    pub(crate) fn entry_bytes(&self) -> u64 {
        self.bytes
    }

    fn first_entry(&self) -> Option<Instant> {
        let first = |(_, entries): (Lane, &BTreeMap<u64, Instant>)| entries.values().next().copied();
        self.entries.iter().filter_map(first).min()
    }

    pub(crate) fn drop_range(&mut self, sink: SinkId, range: DroppedRange, now: Instant) {
        let ranges = self.dropped.entry(sink).or_default();
        match ranges.last_mut() {
            Some(last) if last.meets(&range) => *last = last.join(range),
            _ => ranges.push(range),
        }
        self.touch(sink, now);
    }

    /// The state of this sink changes.
    pub(crate) fn touch(&mut self, sink: SinkId, now: Instant) {
        self.sinks.insert(sink);
        self.removed_since.get_or_insert(now);
    }

    /// Removes a new entry: it was written, or no sink needs it. Does nothing if it is not staged.
    pub(crate) fn remove_entry(&mut self, lane: Lane, seq: u64, size: u64) -> bool {
        let was_staged = self.entries.get_mut(lane).remove(&seq).is_some();
        if was_staged {
            self.bytes = self.bytes.saturating_sub(size);
        }
        was_staged
    }
}

impl Outbox {
    /// When the staged changes must be committed.
    pub(crate) fn commit_at(&self) -> Option<Instant> {
        let staged = &self.staged;
        let gathered = staged
            .removed_since
            .map(|since| if staged.removals >= GATHER_SEQS { since } else { since + GATHER });
        if !self.options.producer_repeats {
            return [staged.appended_since, gathered].into_iter().flatten().min();
        }
        if staged.bytes() >= STAGED_BYTES {
            return [staged.appended_since, staged.removed_since].into_iter().flatten().min();
        }
        let spill_after = self.options.spill_after.max(SHORTEST_SPILL);
        let spilled = staged.first_entry().map(|since| since + spill_after);
        let removed = if self.options.spill_after.is_zero() {
            gathered
        } else {
            let since = staged.removed_since.filter(|_| staged.removed_from_log);
            since.map(|since| since + spill_after)
        };
        [spilled, removed].into_iter().flatten().min()
    }

    /// Applies a request in memory.
    pub(crate) fn stage(&mut self, request: &Request, now: Instant) {
        match request {
            Request::Append { mark, entries, now_ms } => {
                let numbers = &mut self.state.numbers;
                numbers.now_ms = numbers.now_ms.max(*now_ms);
                entries.iter().for_each(|entry| self.stage_entry(entry, now));
                self.state.numbers.mark = self.state.numbers.mark.max(*mark);
                self.staged.appended_since.get_or_insert(now);
            }
            Request::Acknowledge { sink, lane, seqs } => {
                let Some(id) = self.state.sink_named(sink) else { return };
                seqs.iter().for_each(|seq| self.stage_removal(id, *lane, *seq, None, now));
            }
            Request::FixBatch { sink, lane, end } => {
                let Some(id) = self.state.sink_named(sink) else { return };
                let Some(sink) = self.state.sinks.get_mut(&id) else { return };
                let progress = sink.lanes.get_mut(*lane);
                progress.batch_end = progress.batch_end.max(*end);
                self.staged.touch(id, now);
            }
            Request::Discard { sink, lane, seqs, reason, now_ms } => {
                let Some(id) = self.state.sink_named(sink) else { return };
                self.state.numbers.now_ms = self.state.numbers.now_ms.max(*now_ms);
                seqs.iter().for_each(|seq| self.stage_removal(id, *lane, *seq, Some(*reason), now));
            }
        }
    }

    fn stage_entry(&mut self, entry: &Entry, now: Instant) {
        let lane = entry.lane;
        let next = self.state.numbers.next_mut(lane);
        let seq = *next;
        *next = seq.saturating_add(1);
        let log = self.logs.get_mut(lane);
        let previous = std::mem::replace(&mut log.last, seq);
        let (shares, at_ms) = (entry.shares.clone(), self.state.numbers.now_ms);
        let numbered = Numbered { lane, seq, previous, at_ms, shares, payload: Arc::clone(&entry.payload) };
        let mut is_needed = false;
        for (id, sink) in &mut self.state.sinks {
            if sink.lanes.get(lane).takes_new() {
                sink.counters.accept(&numbered.shares);
                sink.counters.enqueue(&numbered.shares, numbered.size());
                self.staged.sinks.insert(*id);
                is_needed = true;
            }
        }
        if is_needed {
            self.staged.bytes = self.staged.bytes.saturating_add(numbered.size());
            self.staged.entries.get_mut(lane).insert(seq, now);
            let numbered = Arc::new(numbered);
            log.push(Arc::clone(&numbered));
            if numbered.size() > self.most_bytes() {
                // It would take everything else with it.
                self.drop_staged_entry(&numbered);
            }
        }
    }

    /// Acknowledges an entry in flight; drops it if there is a reason.
    fn stage_removal(&mut self, id: SinkId, lane: Lane, seq: u64, dropped: Option<DropReason>, now: Instant) {
        let in_flight = self.in_flight.get_mut(&(id, lane));
        let Some(entry) = in_flight.and_then(|in_flight| in_flight.remove(seq)) else { return };
        self.remove_for(id, &entry, dropped, now);
        self.staged.removals += 1;
    }

    /// A sink needs an entry no more: it has it, or the entry is dropped for it.
    pub(crate) fn remove_for(
        &mut self,
        id: SinkId,
        entry: &Numbered,
        dropped: Option<DropReason>,
        now: Instant,
    ) {
        let (lane, seq) = (entry.lane, entry.seq);
        let at_ms = self.state.numbers.now_ms;
        let Some(sink) = self.state.sinks.get_mut(&id) else { return };
        let progress = sink.lanes.get_mut(lane);
        if !progress.needs(seq) {
            return;
        }
        progress.done.insert_range(entry.previous.saturating_add(1), seq);
        sink.counters.dequeue(&entry.shares, entry.size());
        match dropped {
            None => sink.counters.publish(&entry.shares),
            Some(reason) => {
                sink.counters.drop(&entry.shares, reason);
                let weight = weight(&entry.shares);
                let range = DroppedRange { lane, seq_from: seq, seq_to: seq, weight, reason, at_ms };
                sink.dropped.get_mut(lane).insert(range);
                self.staged.drop_range(id, range, now);
            }
        }
        self.staged.touch(id, now);
        if !self.state.is_needed(lane, seq) {
            let was_staged = self.staged.remove_entry(lane, seq, entry.size());
            self.staged.removed_from_log |= !was_staged;
            self.logs.get_mut(lane).forget(seq);
        } else if !self.staged.entries.get(lane).contains_key(&seq) {
            self.staged.removed_from_log = true;
        }
    }
}
