//! Opens an outbox: combines the logs and the snapshots, and counts what was lost to damage.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use journal::{DirLock, Disk, Journal, Position, Reader};
use tokio::time::Instant;

use crate::commit::{Ends, Pending, Snapshots};
use crate::counters::{Counters, Tally};
use crate::dropped::spread;
use crate::entry::Numbered;
use crate::error::{OutboxError, during, log};
use crate::lane::{Lane, PerLane};
use crate::log::{LaneLog, Scan, directory};
use crate::replay::Replay;
use crate::snapshot::{Found, Snapshot};
use crate::staged::Staged;
use crate::state::{Progress, SinkId, SinkState, State};
use crate::store::{Options, Outbox, SinkOptions, Start};
use crate::totals::{Count, DroppedRange};

/// The version of what the logs' records hold.
pub(crate) const CONTENT: u16 = 2;
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
    /// The entries that were lost for each sink; they are counted as dropped. `None`: unknown, because the counters were lost
    /// too.
    pub lost: Option<BTreeMap<Arc<str>, Count>>,
    /// The counters start again; the entries that could be read count as accepted, for every sink.
    pub counters_lost: bool,
    /// The mark is 0: the producer appends again everything it still has.
    pub mark_lost: bool,
}

/// The content of an outbox's files.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state: State,
    /// The newest records that are part of the state. Later ones were never committed.
    ends: Ends,
    /// Whether `ends` is known; otherwise everything that can be read counts.
    has_ends: bool,
    scans: PerLane<Scan>,
    pub(crate) damage: Option<Damage>,
    /// The state differs from that of the logs and the snapshot on the disk.
    wants_snapshot: bool,
}

/// Makes the outbox ready for use.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    options: Options,
    sinks: &[SinkOptions],
) -> Result<(Outbox, Recovery), OutboxError> {
    disk.create_dir(dir).map_err(during("create", dir))?;
    let lock = lock(&*disk, dir)?;
    let mut found = Snapshot::find(&*disk, dir)?;
    let newest = found.newest.as_ref().map(|snapshot| (snapshot.generation, snapshot.position));
    let older = found.older.unwrap_or_default();
    let loaded = load(&disk, dir, &mut found)?;
    let Loaded { mut state, ends, has_ends, scans, damage, wants_snapshot } = loaded;
    let log_options = journal::Options { segment_bytes: options.segment_bytes(), content: CONTENT };
    let open_lane = |lane: Lane| {
        let scan = scans.get(lane);
        let end = if has_ends { *ends.0.get(lane) } else { Position(u64::MAX) };
        let at_least = if has_ends { end.max(scan.newest) } else { scan.newest }.next();
        let path = directory(dir, lane);
        let opened = Journal::open_cut(Arc::clone(&disk), &path, log_options.clone(), at_least, end);
        opened.map(|(journal, _)| journal).map_err(log(dir))
    };
    let journals = PerLane {
        alerts: open_lane(Lane::Alerts)?,
        aggregates: open_lane(Lane::Aggregates)?,
        readings: open_lane(Lane::Readings)?,
    };
    let next = PerLane::from_fn(|lane| state.numbers.next(lane));
    let lane_log = |lane, journal| LaneLog::new(dir, lane, journal, *next.get(lane), scans.get(lane));
    let logs = PerLane {
        alerts: lane_log(Lane::Alerts, journals.alerts),
        aggregates: lane_log(Lane::Aggregates, journals.aggregates),
        readings: lane_log(Lane::Readings, journals.readings),
    };
    let before = state.clone();
    let counts_lost = damage.as_ref().is_some_and(|damage| damage.counters_lost);
    let from_oldest = configure(&mut state, sinks, &scans, counts_lost);
    count_queued(&mut state, &from_oldest, &logs)?;
    let sinks_changed = before != state;
    let mut outbox = Outbox {
        dir: dir.to_path_buf(),
        _lock: lock,
        disk,
        options,
        committed: state.clone(),
        state,
        staged: Staged::default(),
        pending: Pending::default(),
        in_flight: BTreeMap::new(),
        readers: BTreeMap::new(),
        snapshots: Snapshots {
            generation: newest.map_or(0, |(generation, _)| generation + 1),
            newest: newest.map_or(Position(0), |(_, position)| position),
            older,
            last_change: Ends(PerLane::from_fn(|lane| logs.get(lane).end())),
            ..Snapshots::default()
        },
        logs,
        damage: None,
    };
    if wants_snapshot || sinks_changed {
        outbox.write_snapshot()?;
    }
    if sinks_changed || damage.is_some() {
        // Changes mean nothing for a sink that the other snapshot does not know; and the log must reach the snapshot's
        // position.
        outbox.write_recovered_state()?;
    }
    Ok((outbox, Recovery { damage }))
}

/// Held from before the files are read: what was read stays true.
pub(crate) fn lock(disk: &dyn Disk, dir: &Path) -> Result<DirLock, OutboxError> {
    disk.lock_dir(dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OutboxError::InUse { dir: dir.to_path_buf() },
        _ => during("open", dir)(error),
    })
}

/// Adds the sinks that are new, and ends what the others no longer take. Returns those that begin with the oldest entry:
/// all new ones if the counters were lost.
fn configure(
    state: &mut State,
    sinks: &[SinkOptions],
    scans: &PerLane<Scan>,
    counters_lost: bool,
) -> Vec<SinkId> {
    let mut begun = Vec::new();
    let numbers = state.numbers;
    for sink in state.sinks.values_mut() {
        let options = sinks.iter().find(|options| options.name == sink.name);
        for lane in Lane::ALL {
            let takes = options.is_some_and(|options| *options.lanes.get(lane));
            take_or_not(sink.lanes.get_mut(lane), takes, numbers.next(lane));
        }
    }
    for options in sinks {
        if state.sink_named(&options.name).is_some() {
            continue;
        }
        let from_oldest = options.start == Start::Oldest || counters_lost;
        let id = SinkId(state.numbers.next_sink);
        state.numbers.next_sink += 1;
        let lanes = PerLane::from_fn(|lane| {
            let next = numbers.next(lane);
            let oldest = scans.get(lane).frames.first().map_or(next, |frame| frame.first);
            let mut progress = Progress::default();
            progress.done.insert_range(0, if from_oldest { oldest } else { next }.saturating_sub(1));
            take_or_not(&mut progress, *options.lanes.get(lane), if from_oldest { 0 } else { next });
            progress
        });
        let sink = SinkState {
            name: Arc::clone(&options.name),
            lanes,
            counters: Counters::default(),
            dropped: PerLane::default(),
        };
        state.sinks.insert(id, sink);
        begun.extend(from_oldest.then_some(id));
    }
    begun
}

/// Counts the entries that are there as accepted for sinks that begin with them.
fn count_queued(state: &mut State, sinks: &[SinkId], logs: &PerLane<LaneLog>) -> Result<(), OutboxError> {
    if sinks.is_empty() {
        return Ok(());
    }
    let mut tallies = BTreeMap::new();
    for (lane, lane_log) in logs.iter() {
        let records = lane_log.read_from(Position(0))?;
        let each = |entry| add_to_tallies(&mut tallies, state, &entry);
        Scan::of(lane, records, Position(u64::MAX), each).map_err(log(lane_log.dir()))?;
    }
    for id in sinks {
        let found = tallies.remove(id).unwrap_or_default();
        if let Some(sink) = state.sinks.get_mut(id) {
            sink.counters.reconcile(&found);
        }
    }
    Ok(())
}

/// `next`: the first number for which this holds.
fn take_or_not(progress: &mut Progress, takes: bool, next: u64) {
    match (progress.until, takes) {
        (Some(until), true) => {
            progress.done.insert_range(until, next.saturating_sub(1));
            progress.until = None;
        }
        (None, false) => progress.until = Some(next),
        _ => {}
    }
}

/// Reads everything.
pub(crate) fn load(disk: &Arc<dyn Disk>, dir: &Path, found: &mut Found) -> Result<Loaded, OutboxError> {
    let snapshot = found.newest.take();
    let has_snapshot = snapshot.is_some();
    let reader = |lane| reader(disk, dir, lane);
    let log = log(dir);
    let from = snapshot.as_ref().map_or(Position(0), |snapshot| snapshot.position.next());
    let position = from.previous();
    let replay = Replay::of(snapshot, records(reader(Lane::Aggregates)?, from)).map_err(&log)?;
    let Replay { mut state, ends, skipped_last_change, is_cut_short, largest, .. } = replay;
    let mut tallies: BTreeMap<SinkId, Tally> = BTreeMap::new();
    let mut newest_numbers = largest;
    let mut scan = |lane, state: &State| {
        let until = if has_snapshot { *ends.0.get(lane) } else { Position(u64::MAX) };
        let each = |entry| add_to_tallies(&mut tallies, state, &entry);
        let scan = Scan::of(lane, records(reader(lane)?, Position(0)), until, each).map_err(&log)?;
        let newest = newest_numbers.next_mut(lane);
        *newest = (*newest).max(scan.last.saturating_add(1));
        Ok::<Scan, OutboxError>(scan)
    };
    let scans = PerLane {
        alerts: scan(Lane::Alerts, &state)?,
        aggregates: scan(Lane::Aggregates, &state)?,
        readings: scan(Lane::Readings, &state)?,
    };
    let is_empty = scans.iter().all(|(_, scan)| scan.newest == Position(0)) && largest.changes == 0;
    let is_new = !has_snapshot && found.damaged == 0 && is_empty;
    let mut damage = None;
    if !has_snapshot && !is_new {
        let next = |number: u64| (number / ERA).saturating_add(1).saturating_mul(ERA);
        state = State::new();
        state.numbers.changes = newest_numbers.changes;
        state.numbers.next_seq = next(newest_numbers.next_seq);
        state.numbers.next_reading = next(newest_numbers.next_reading);
        damage = Some(Damage { lost: None, counters_lost: true, mark_lost: true });
    } else if has_snapshot {
        let (lost, _) = count_lost(&mut state, &tallies, &scans);
        let is_short = is_cut_short || scans.aggregates.newest < position;
        if !lost.is_empty() || is_short || found.damaged > 0 {
            damage = Some(Damage { lost: Some(lost), counters_lost: false, mark_lost: false });
        }
    }
    let wants_snapshot = is_new || skipped_last_change || damage.is_some();
    Ok(Loaded { state, ends, has_ends: has_snapshot, scans, damage, wants_snapshot })
}

fn reader(disk: &Arc<dyn Disk>, dir: &Path, lane: Lane) -> Result<Option<Reader>, OutboxError> {
    match Reader::open_on(Arc::clone(disk), &directory(dir, lane), CONTENT) {
        Err(journal::JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(log(dir)),
    }
}

fn records(
    reader: Option<Reader>,
    from: Position,
) -> impl Iterator<Item = Result<journal::Record, journal::JournalError>> {
    reader.into_iter().flat_map(move |reader| reader.read_from(from))
}

fn add_to_tallies(tallies: &mut BTreeMap<SinkId, Tally>, state: &State, entry: &Numbered) {
    for (id, sink) in &state.sinks {
        if sink.lanes.get(entry.lane).needs(entry.seq) {
            let tally = tallies.entry(*id).or_default();
            tally.add(&entry.shares, entry.size(), &sink.counters.accounts);
        }
    }
}

/// What was lost for each sink, and the ranges as which it is counted.
type Lost = (BTreeMap<Arc<str>, Count>, BTreeMap<SinkId, Vec<DroppedRange>>);

/// Corrects the counters of all sinks by what was found in the logs. No sink waits any more for what is not there.
fn count_lost(state: &mut State, tallies: &BTreeMap<SinkId, Tally>, scans: &PerLane<Scan>) -> Lost {
    let (mut all_lost, mut all_ranges) = (BTreeMap::new(), BTreeMap::new());
    let numbers = state.numbers;
    for (id, sink) in &mut state.sinks {
        let found = tallies.get(id).cloned().unwrap_or_default();
        let lost = sink.counters.reconcile(&found);
        let mut all_missing = Vec::new();
        for lane in Lane::ALL {
            let progress = sink.lanes.get_mut(lane);
            let mut missing = progress.needed(numbers.next(lane));
            missing.remove_all(&scans.get(lane).covered);
            progress.done.insert_all(&missing);
            let others = scans.iter().filter(|(other, _)| shares_numbers(lane, *other));
            others.for_each(|(_, scan)| missing.remove_all(&scan.found));
            all_missing.push((lane, missing));
        }
        if lost != Count::default() {
            let ranges = spread(&all_missing, lost, numbers.now_ms);
            ranges.iter().for_each(|range| sink.dropped.get_mut(range.lane).insert(*range));
            all_lost.insert(Arc::clone(&sink.name), lost);
            all_ranges.insert(*id, ranges);
        }
    }
    (all_lost, all_ranges)
}

fn shares_numbers(lane: Lane, other: Lane) -> bool {
    (lane == Lane::Readings) == (other == Lane::Readings)
}

impl Outbox {
    /// Reads all logs after a damaged frame was found. Entries that cannot be read are counted as lost.
    pub(crate) fn count_after_damage(&mut self) -> Result<(), OutboxError> {
        let mut tallies = BTreeMap::new();
        let mut scan = |lane| {
            let lane_log = self.logs.get(lane);
            let from_memory = lane_log.memory_from;
            let each = |entry: Numbered| {
                if entry.seq < from_memory {
                    add_to_tallies(&mut tallies, &self.state, &entry);
                }
            };
            let records = lane_log.read_from(Position(0))?;
            let mut scan = Scan::of(lane, records, Position(u64::MAX), each).map_err(log(&self.dir))?;
            scan.covered.insert_range(from_memory, u64::MAX);
            for entry in lane_log.in_memory() {
                add_to_tallies(&mut tallies, &self.state, entry);
                scan.found.insert(entry.seq);
            }
            Ok::<Scan, OutboxError>(scan)
        };
        let scans = PerLane {
            alerts: scan(Lane::Alerts)?,
            aggregates: scan(Lane::Aggregates)?,
            readings: scan(Lane::Readings)?,
        };
        let (lost, ranges) = count_lost(&mut self.state, &tallies, &scans);
        let now = Instant::now();
        for (id, ranges) in ranges {
            ranges.into_iter().for_each(|range| self.staged.drop_range(id, range, now));
        }
        for ((id, lane), in_flight) in &mut self.in_flight {
            let Some(sink) = self.state.sinks.get(id) else { continue };
            let progress = sink.lanes.get(*lane);
            in_flight.entries.retain(|seq, _| progress.needs(*seq));
        }
        self.readers.clear();
        self.damage = Some(Arc::new(Damage { lost: Some(lost), ..Damage::default() }));
        Ok(())
    }
}
