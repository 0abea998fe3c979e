//! Random use of a journal on a disk that fails, loses and lies. After every step: what would a power cut leave now,
//! and what the death of the process?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::simulated_disk::{Fault, SimulatedDisk};
use journal::{Journal, JournalError, Options, Position, Reader, Recovery, SyncHandle};
use proptest::prelude::*;

const DIR: &str = "/journal";

#[derive(Debug, Clone, Copy)]
enum Step {
    Append(usize),
    TakeHandle,
    UseHandle(usize),
    Sync,
    Retry,
    Truncate { back: u64 },
    Fault(Fault),
    LeaveFree(usize),
    Heal,
    Restart { after: End, newer: bool, floor_ahead: Option<u64>, fault: Fault, again_after: End },
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    PowerCut { seed: u64 },
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Kill), any::<u64>().prop_map(|seed| End::PowerCut { seed })]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (0..12u32, 1..8u32, any::<bool>()).prop_map(|(after, times, no_space)| Fault::Refuse {
            after,
            times,
            no_space
        }),
        Just(Fault::SyncFails),
        (0..12u32).prop_map(|after| Fault::Dead { after }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let restart = (
        end(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.3, 0..5u64),
        prop_oneof![Just(Fault::None), fault()],
        end(),
    );
    prop_oneof![
        12 => (0..100usize).prop_map(Step::Append),
        2 => Just(Step::TakeHandle),
        2 => any::<usize>().prop_map(Step::UseHandle),
        2 => Just(Step::Sync),
        2 => Just(Step::Retry),
        1 => (0..20u64).prop_map(|back| Step::Truncate { back }),
        3 => fault().prop_map(Step::Fault),
        1 => (0..300usize).prop_map(Step::LeaveFree),
        1 => Just(Step::Heal),
        2 => restart.prop_map(|(after, newer, floor_ahead, fault, again_after)| {
            Step::Restart { after, newer, floor_ahead, fault, again_after }
        }),
    ]
}

/// Content and payload of the records, by position.
type Records = BTreeMap<u64, (u16, Vec<u8>)>;

/// A journal, and what it must hold.
struct World {
    disk: SimulatedDisk,
    /// `None` only while it is opened again.
    journal: Option<Journal>,
    handles: Vec<SyncHandle>,
    content: u16,
    /// What was appended and not lost.
    taken: Records,
    /// Records before this one may have been deleted.
    kept_from: u64,
    payloads: u64,
    durable: Position,
}

impl World {
    fn new(seed: u64) -> World {
        let disk = SimulatedDisk::new(seed);
        let (journal, _) = open(&disk, 0, 1).unwrap();
        World {
            disk,
            journal: Some(journal),
            handles: Vec::new(),
            content: 0,
            taken: Records::new(),
            kept_from: 0,
            payloads: 0,
            durable: Position(0),
        }
    }

    fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().unwrap()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Append(length) => self.append(length),
            Step::TakeHandle => {
                let handle = self.journal().sync_handle();
                self.handles.push(handle);
            }
            Step::UseHandle(_) if self.handles.is_empty() => {}
            Step::UseHandle(which) => {
                let handle = self.handles.swap_remove(which % self.handles.len());
                let position = handle.position();
                if handle.sync().is_ok() {
                    assert!(self.journal().durable() >= position);
                }
            }
            Step::Sync => {
                let last = self.journal().next().previous();
                if self.journal().sync().is_ok() {
                    assert_eq!(self.journal().durable(), last);
                }
            }
            Step::Retry => {
                let _may_fail = self.journal().retry();
            }
            Step::Truncate { back } => {
                let position = self.journal().next().0.saturating_sub(back);
                self.kept_from = self.kept_from.max(position);
                let _may_fail = self.journal().truncate_before(Position(position));
            }
            Step::Fault(fault) => self.disk.set_fault(fault),
            Step::LeaveFree(bytes) => self.disk.set_free(bytes),
            Step::Heal => self.disk.heal(),
            Step::Restart { after, newer, floor_ahead, fault, again_after } => {
                self.content += u16::from(newer);
                self.restart(after, floor_ahead, fault, again_after);
            }
        }
    }

    fn append(&mut self, length: usize) {
        self.payloads += 1;
        let mut payload = self.payloads.to_string().into_bytes();
        payload.resize(payload.len() + length, b'.');
        let next = self.journal().next();
        assert_eq!(self.journal().append(&payload).unwrap(), next);
        self.taken.insert(next.0, (self.content, payload));
    }

    fn restart(&mut self, after: End, floor_ahead: Option<u64>, fault: Fault, again_after: End) {
        let (written, durable) = (self.journal().written(), self.journal().durable());
        self.handles.clear();
        self.journal = None;
        let mut safe = if after == End::Kill { written } else { durable };
        let floor = floor_ahead.map_or(1, |ahead| safe.0 + 1 + ahead);
        self.disk = end_of(&self.disk, after);
        self.disk.set_fault(fault);
        let opened = open(&self.disk, self.content, floor).unwrap_or_else(|error| {
            assert_ne!(fault, Fault::None, "{error}");
            // A sync that was refused while opening may have forgotten what was never synced before.
            if again_after != End::Kill || matches!(fault, Fault::Refuse { .. }) {
                safe = durable;
            }
            self.disk = end_of(&self.disk, again_after);
            self.disk.heal();
            open(&self.disk, self.content, floor).expect("the disk works again")
        });
        self.disk.heal();
        let (journal, recovery) = opened;
        assert!(recovery.next.0 >= floor);
        let found = read(&self.disk, self.content);
        check_found(&found, &recovery, &self.taken, self.kept_from..=safe.0);
        // What else was not synced is lost, and its positions may be given again.
        let (next, kept_from) = (recovery.next.0, self.kept_from);
        self.taken.retain(|position, _| {
            *position < next && (*position < kept_from || found.contains_key(position))
        });
        self.kept_from = kept_from.min(next);
        self.durable = journal.durable();
        self.journal = Some(journal);
    }

    /// What the journal says of itself, and what would come back.
    fn check(&mut self) {
        let (journal, seed) = (self.journal.as_ref().unwrap(), self.payloads);
        let (durable, written, next) = (journal.durable(), journal.written(), journal.next());
        assert!(self.durable <= durable && durable <= written && written < next);
        self.durable = durable;
        if journal.write_error().is_none() {
            assert_eq!(written, next.previous());
        }
        assert_eq!(journal.held_bytes() == 0, durable == next.previous());

        let seen = read(&self.disk.after_kill(), self.content);
        check_records(&seen, &self.taken, self.kept_from..=written.0);
        let after_power_cut = self.disk.after_power_cut(seed);
        self.check_reopened(&after_power_cut, durable);
        let after_kill = self.disk.after_kill();
        self.check_reopened(&after_kill, written);
    }

    /// A new process finds all up to `safe`, and what it finds no power cut takes from it.
    fn check_reopened(&self, disk: &SimulatedDisk, safe: Position) {
        disk.heal();
        let told = Reader::open_on(Arc::new(disk.clone()), Path::new(DIR), self.content).unwrap().check();
        let (journal, recovery) = open(disk, self.content, 1).unwrap();
        assert_eq!(told.unwrap(), recovery, "the reader tells the same");
        let found = read(disk, self.content);
        check_found(&found, &recovery, &self.taken, self.kept_from..=safe.0);
        assert_eq!(journal.durable(), recovery.next.previous());
        let later = disk.after_power_cut(self.payloads ^ 1);
        assert_eq!(read(&later, self.content), found, "open has made it durable");
    }

    /// The disk works again.
    fn recovers(&mut self) {
        self.disk.heal();
        self.journal().retry().unwrap();
        let last = self.journal().next().previous();
        assert_eq!(self.journal().write_error(), None);
        assert_eq!(self.journal().written(), last);
        assert_eq!(self.journal().sync().unwrap(), last);
        assert_eq!((self.journal().durable(), self.journal().held_bytes()), (last, 0));
    }
}

fn options(content: u16) -> Options {
    Options { segment_bytes: 300, content }
}

fn open(disk: &SimulatedDisk, content: u16, floor: u64) -> Result<(Journal, Recovery), JournalError> {
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), options(content), Position(floor))
}

fn end_of(disk: &SimulatedDisk, end: End) -> SimulatedDisk {
    let disk = match end {
        End::Kill => disk.after_kill(),
        End::PowerCut { seed } => disk.after_power_cut(seed),
    };
    disk.heal();
    disk
}

fn read(disk: &SimulatedDisk, content: u16) -> Records {
    disk.heal();
    let reader = Reader::open_on(Arc::new(disk.clone()), Path::new(DIR), content).unwrap();
    let mut records = Records::new();
    for record in reader.read_from(Position(0)) {
        let record = record.unwrap();
        let last = records.last_key_value().map_or(0, |(last, _)| *last);
        assert!(last < record.position.0, "in order");
        records.insert(record.position.0, (record.content, record.payload));
    }
    records
}

/// None invented, and all there that must be.
fn check_records(found: &Records, taken: &Records, must: std::ops::RangeInclusive<u64>) {
    for (position, record) in found {
        assert_eq!(taken.get(position), Some(record), "record {position}");
    }
    let missing = taken.iter().find(|(position, _)| must.contains(position) && !found.contains_key(position));
    assert_eq!(missing, None);
}

fn check_found(found: &Records, recovery: &Recovery, taken: &Records, must: std::ops::RangeInclusive<u64>) {
    assert_eq!(recovery.records, found.len() as u64);
    assert_eq!(recovery.first.map(|first| first.0), found.first_key_value().map(|(first, _)| *first));
    let last = found.last_key_value().map_or(0, |(last, _)| *last);
    assert!(
        recovery.next.0 > last && recovery.next.0 > *must.end(),
        "{recovery:?} {last} {must:?} {found:?} {taken:?}"
    );
    let holes = taken.range(*must.start()..last.max(*must.start()));
    let holes = holes.filter(|(position, _)| !found.contains_key(position)).count() as u64;
    assert!(holes <= recovery.corrupt_records, "{holes} lost, {recovery:?}");
    check_records(found, taken, must);
}

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { default.cases } else { 1200 }, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn loses_nothing_that_it_called_safe(seed in any::<u64>(), steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(seed);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.recovers();
        world.check();
    }
}
