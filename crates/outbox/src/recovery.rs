//! Opens an outbox: combines the log and the snapshots, and counts what was lost to damage.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use journal::{Disk, Journal, Position, Reader};
use tokio::time::Instant;

use crate::commit::{PendingChange, Snapshots};
use crate::counters::Tally;
use crate::cursor::LogCursor;
use crate::dropped::spread;
use crate::error::{OutboxError, log};
use crate::queue::Queue;
use crate::record::{Delta, LogRecord};
use crate::replay::{FoundEntry, Replay};
use crate::seqs::SeqSet;
use crate::snapshot::{Found, Snapshot};
use crate::staged::Staged;
use crate::state::State;
use crate::store::{Options, Outbox};
use crate::totals::{Count, DroppedRange};

/// The version of what the log's records hold.
pub(crate) const CONTENT: u16 = 1;
/// If it is unknown which numbers were used, they continue at the next multiple of this. A gateway that sends a thousand
/// entries a second reaches it in 34 years, and a number stays exact in JSON for 8,000 such losses.
const ERA: u64 = 1 << 40;

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Set if files were damaged. They are repaired.
    pub damage: Option<Damage>,
}

/// Damage that was found and counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// The entries that were lost; they are counted as dropped. `None`: unknown, because the counters were lost too. At least
    /// so many: if changes in a row were lost, entries that they had removed are queued again, and as many others are missed.
    pub lost: Option<Count>,
    /// The counters start again; the entries that could be read count as accepted.
    pub counters_lost: bool,
    /// The mark is 0: the producer appends again everything it still has.
    pub mark_lost: bool,
}

/// The content of an outbox's files.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    entries: BTreeMap<u64, FoundEntry>,
    pub(crate) damage: Option<Damage>,
    last_delta: Delta,
    /// The newest record that is or was in the log.
    last_position: Position,
    /// The state differs from that of the log and the snapshot on the disk.
    wants_snapshot: bool,
}

/// Makes the outbox ready for use.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
) -> Result<(Outbox, Recovery), OutboxError> {
    let mut found = Snapshot::find(&*disk, dir)?;
    let newest = found.newest.as_ref().map(|snapshot| (snapshot.generation, snapshot.position));
    let at_least = newest.map_or(Position::FIRST, |(_, position)| position.next());
    let log_options = journal::Options { segment_bytes: options.segment_bytes(), content: CONTENT };
    let (journal, log_recovery) =
        Journal::open_on(Arc::clone(&disk), dir, log_options, at_least).map_err(log(dir))?;
    let older = found.older.unwrap_or_default();
    let records = Reader::open_on(Arc::clone(&disk), dir, CONTENT).map_err(log(dir))?;
    let loaded = load(&mut found, &records, &log_recovery, dir)?;
    let mut queue = Queue::default();
    for (seq, found) in &loaded.entries {
        queue.insert(*seq, found.priority, found.position);
    }
    let snapshots = Snapshots {
        generation: newest.map_or(0, |(generation, _)| generation + 1),
        newest: newest.map_or(Position(0), |(_, position)| position),
        older,
        last_change: loaded.last_position,
        ..Snapshots::default()
    };
    let mut outbox = Outbox {
        dir: dir.to_path_buf(),
        disk,
        journal,
        options,
        committed: loaded.state.clone(),
        state: loaded.state,
        queue,
        staged: Staged::default(),
        pending_change: PendingChange::after(loaded.last_delta, Arc::default()),
        unsynced_change: None,
        left_over: VecDeque::new(),
        in_flight: BTreeMap::new(),
        cursor: LogCursor::default(),
        snapshots,
        damage: None,
    };
    if loaded.wants_snapshot {
        outbox.write_snapshot()?;
    }
    if loaded.damage.is_some() {
        // The log must reach the snapshot's position.
        outbox.write_recovered_state()?;
    }
    Ok((outbox, Recovery { damage: loaded.damage }))
}

/// Reads everything.
pub(crate) fn load(
    found: &mut Found,
    reader: &Reader,
    log_recovery: &journal::Recovery,
    dir: &Path,
) -> Result<Loaded, OutboxError> {
    let snapshot = found.newest.take();
    let has_snapshot = snapshot.is_some();
    let position = snapshot.as_ref().map_or(Position(0), |snapshot| snapshot.position);
    let mut replay = Replay::of(snapshot, reader.read_from(Position(0))).map_err(log(dir))?;
    let (entries, tally, missing) = replay.queue();
    let Replay { mut state, last_delta, skipped_last_change, last_position, largest_seq, .. } = replay;
    // The first snapshot is written before the first record.
    let is_empty = log_recovery.next == Position::FIRST && log_recovery.torn_bytes == 0;
    let is_new = !has_snapshot && found.damaged == 0 && is_empty && log_recovery.corrupt_headers == 0;
    let mut damage = None;
    if !has_snapshot && !is_new {
        let largest = largest_seq.max(state.numbers.next_seq);
        let changes = state.numbers.changes;
        state = State::new();
        state.numbers.changes = changes;
        state.numbers.next_seq = (largest / ERA).saturating_add(1).saturating_mul(ERA);
        state.counters.reconcile(&tally);
        damage = Some(Damage { lost: None, counters_lost: true, mark_lost: true });
    } else if has_snapshot {
        let before = state.counters.clone();
        let (lost, _) = count_lost(&mut state, &tally, &missing);
        let is_cut_short = last_position < position;
        if before != state.counters || is_cut_short || found.damaged > 0 {
            damage = Some(Damage { lost: Some(lost), counters_lost: false, mark_lost: false });
        }
    }
    let wants_snapshot = is_new || skipped_last_change || damage.is_some();
    let last_position = last_position.max(position);
    Ok(Loaded { state, entries, damage, last_delta, last_position, wants_snapshot })
}

/// Corrects the counters by the entries that were found. Returns how much was lost, and as which ranges it is counted.
fn count_lost(state: &mut State, tally: &Tally, missing: &SeqSet) -> (Count, Vec<DroppedRange>) {
    let lost = state.counters.reconcile(tally);
    let ranges = spread(missing, lost, state.numbers.now_ms);
    ranges.iter().for_each(|range| state.dropped.insert(*range));
    (lost, ranges)
}

impl Outbox {
    /// Reads the whole log after a damaged entry was found. Entries that cannot be read are counted as lost.
    pub(crate) fn count_after_damage(&mut self) -> Result<(), OutboxError> {
        let (mut tally, mut missing) = (Tally::default(), self.queue.seqs());
        for record in self.journal.read_from(Position(0)).map_err(log(&self.dir))? {
            let record = record.map_err(log(&self.dir))?;
            let Some(seq) = self.queue.at(record.position) else { continue };
            if let Some(LogRecord::Entry(entry)) = LogRecord::decode(&record.payload)
                && entry.seq == seq
                && self.queue.in_memory(seq).is_none()
            {
                tally.add(&entry.shares, entry.size());
                missing.remove(seq);
            }
        }
        let there: Vec<u64> = missing.ranges().flat_map(|(first, last)| first..=last).collect();
        for seq in there {
            if let Some(entry) = self.queue.in_memory(seq) {
                tally.add(&entry.shares, entry.size());
                missing.remove(seq);
            }
        }
        let (lost, ranges) = count_lost(&mut self.state, &tally, &missing);
        let now = Instant::now();
        for (first, last) in missing.ranges() {
            for seq in first..=last {
                self.queue.remove(seq);
                self.in_flight.remove(&seq);
                self.staged.remove_from_log(seq, now);
            }
        }
        ranges.into_iter().for_each(|range| self.staged.drop_range(range, now));
        self.damage = Some(Arc::new(Damage { lost: Some(lost), ..Damage::default() }));
        Ok(())
    }
}
