//! What a caller sees while the disk is in trouble, step by step.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::thread;

use crate::simulated_disk::{Fault, SimulatedDisk};
use journal::{Disk, Journal, JournalError, MAX_HELD_BYTES, Options, Position};

const DIR: &str = "/journal";
const FIRST: &str = "/journal/00000000000000000001.journal";
const ALWAYS: Fault = Fault::Refuse { after: 0, times: u32::MAX, no_space: false };

fn open(disk: &SimulatedDisk, segment_bytes: u64) -> Journal {
    let options = Options { segment_bytes, content: 0 };
    Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), options, Position::FIRST).unwrap().0
}

fn positions(journal: &Journal) -> Vec<u64> {
    journal.read_from(Position(0)).unwrap().map(|record| record.unwrap().position.0).collect()
}

#[test]
fn a_full_disk_is_told_and_what_was_taken_meanwhile_is_written_when_there_is_room() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 1 << 20);
    disk.set_free(50);
    for _ in 0..4 {
        journal.append(&[7; 20]).unwrap();
    }
    assert_eq!(&*journal.write_error().unwrap(), format!("cannot write {FIRST}: no storage space"));
    assert_eq!(
        (journal.written(), journal.durable(), journal.next()),
        (Position(1), Position(0), Position(5))
    );
    assert!(journal.retry().is_err());
    assert_eq!(positions(&journal), [1]);

    disk.heal();
    journal.retry().unwrap();
    assert_eq!((journal.write_error(), journal.written()), (None, Position(4)));
    assert_eq!(positions(&journal), [1, 2, 3, 4]);
    assert_eq!(disk.length(Path::new(FIRST)).unwrap(), 24 + 4 * 36, "nothing is left of the short write");
}

#[test]
fn while_there_is_trouble_an_append_does_not_touch_the_disk() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 1 << 20);
    disk.set_fault(ALWAYS);
    journal.append(b"refused").unwrap();
    disk.heal();
    journal.append(b"waits").unwrap();
    assert_eq!(journal.written(), Position(0));
    assert!(journal.write_error().is_some(), "only `retry` asks the disk again");
    journal.retry().unwrap();
    assert_eq!(journal.written(), Position(2));
}

#[test]
fn memory_is_bounded_and_what_does_not_fit_is_not_taken() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 64 << 20);
    disk.set_free(0);
    let payload = vec![1; 130_000];
    let error = loop {
        assert!(journal.held_bytes() <= MAX_HELD_BYTES);
        if let Err(error) = journal.append(&payload) {
            break error;
        }
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    let taken = journal.next().previous();
    assert!(!journal.has_capacity() && !journal.wants_sync(), "a sync would not help");
    assert!(taken > Position(60));
    journal.append(b"small").unwrap();

    disk.heal();
    journal.retry().unwrap();
    assert!(!journal.has_capacity(), "written, but not durable");
    assert!(journal.wants_sync());
    assert_eq!(journal.sync().unwrap(), taken.next());
    assert!(journal.has_capacity() && !journal.wants_sync());
    assert_eq!(journal.held_bytes(), 0);
    assert_eq!(positions(&journal).len() as u64, taken.next().0);
}

#[test]
fn one_record_is_taken_however_large_while_nothing_is_held() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 1 << 20);
    disk.set_fault(ALWAYS);
    journal.append(&vec![1; 16 << 20]).unwrap();
    assert!(journal.held_bytes() > MAX_HELD_BYTES);
    assert!(matches!(journal.append(b""), Err(JournalError::Full { .. })));
    disk.heal();
    assert_eq!(journal.sync().unwrap(), Position(1));
}

#[test]
fn a_failed_sync_is_not_mended_by_a_later_one_but_by_writing_anew() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 1 << 20);
    journal.append(b"durable").unwrap();
    journal.sync().unwrap();
    journal.append(b"forgotten").unwrap();
    let (first, second) = (journal.sync_handle(), journal.sync_handle());
    disk.set_fault(Fault::SyncFails);
    assert!(first.sync().is_err());
    journal.append(b"later").unwrap();
    // The disk would now say that all is well.
    assert!(matches!(second.sync(), Err(JournalError::Abandoned { .. })));
    assert!(matches!(journal.sync_handle().sync(), Err(JournalError::Abandoned { .. })));
    assert_eq!((journal.durable(), journal.written()), (Position(1), Position(1)));
    assert!(journal.write_error().unwrap().contains("cannot sync"));

    journal.retry().unwrap();
    assert_eq!((journal.durable(), journal.write_error()), (Position(3), None));
    assert_eq!(positions(&journal), [1, 2, 3]);
    assert!(disk.length(Path::new("/journal/00000000000000000002.journal")).is_ok());
    let after = open(&disk.after_power_cut(1), 1 << 20);
    assert_eq!(positions(&after), [1, 2, 3]);
}

#[test]
fn a_process_that_dies_at_any_call_while_it_writes_anew_leaves_nothing_in_doubt() {
    for calls in 0..10 {
        let disk = SimulatedDisk::new(calls.into());
        let mut journal = open(&disk, 1 << 20);
        journal.append(b"durable").unwrap();
        journal.sync().unwrap();
        journal.append(b"forgotten, but still shown").unwrap();
        disk.set_fault(Fault::SyncFails);
        assert!(journal.sync().is_err());
        disk.set_fault(Fault::Dead { after: calls });
        let finished = journal.retry().is_ok();
        assert_eq!(finished, calls >= 6, "create, header, frame, sync, rename, sync the directory");

        let disk = disk.after_kill();
        disk.heal();
        let journal = open(&disk, 1 << 20);
        assert_eq!(positions(&journal), [1, 2]);
        drop(journal);
        let after = open(&disk.after_power_cut(calls.into()), 1 << 20);
        assert_eq!(positions(&after), [1, 2], "died after {calls} calls: what was read at start was durable");
    }
}

#[test]
fn a_sync_that_ends_after_the_records_were_written_elsewhere_succeeds() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 1 << 20);
    journal.append(b"one").unwrap();
    let late = journal.sync_handle();
    disk.set_fault(Fault::SyncFails);
    assert!(journal.sync().is_err());
    journal.retry().unwrap();
    assert_eq!(late.sync().unwrap(), Position(1));
}

#[test]
fn truncation_on_a_full_disk_makes_the_room_that_the_rest_needs() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 100);
    for _ in 0..6 {
        journal.append(&[7; 20]).unwrap();
    }
    disk.set_free(10);
    for _ in 0..4 {
        journal.append(&[7; 20]).unwrap();
    }
    assert!(journal.write_error().is_some());
    assert_eq!(journal.written(), Position(6));
    // A caller may be done with records that are not even written: they stay until they are.
    journal.truncate_before(Position(9)).unwrap();
    assert_eq!(positions(&journal), [5, 6]);
    journal.retry().unwrap();
    assert_eq!((journal.write_error(), journal.written()), (None, Position(10)));
    journal.truncate_before(Position(11)).unwrap();
    assert_eq!(positions(&journal), []);
    assert_eq!(journal.append(b"next").unwrap(), Position(11));
}

#[test]
fn a_new_segment_that_could_not_be_begun_does_not_hide_what_is_appended_after() {
    for calls in 0..8 {
        let disk = SimulatedDisk::new(calls.into());
        let mut journal = open(&disk, 1 << 20);
        journal.append(b"old").unwrap();
        disk.set_fault(Fault::Refuse { after: calls, times: 1, no_space: false });
        let _may_fail = journal.truncate_before(Position(2));
        disk.heal();
        // The attempt may have left a segment that begins at this record's position.
        assert_eq!(journal.append(b"new").unwrap(), Position(2));
        assert_eq!(journal.sync().unwrap(), Position(2));
        let after = open(&disk.after_power_cut(calls.into()), 1 << 20);
        assert_eq!(positions(&after).last(), Some(&2), "call {calls} was refused");
    }
}

#[test]
fn a_process_that_dies_while_it_mends_several_segments_leaves_nothing_in_doubt() {
    for calls in 0..30 {
        let disk = SimulatedDisk::new(calls.into());
        let mut journal = open(&disk, 100);
        for _ in 0..4 {
            journal.append(&[7; 20]).unwrap();
        }
        disk.set_fault(Fault::SyncFails);
        assert!(journal.sync().is_err());
        damage_header(&disk, Path::new(FIRST));

        let disk = disk.after_kill();
        disk.set_fault(Fault::Dead { after: calls });
        let options = Options { segment_bytes: 100, content: 0 };
        let opened = Journal::open_on(Arc::new(disk.clone()), Path::new(DIR), options, Position::FIRST);
        assert!(opened.is_ok() || calls < 25, "the calls that it takes");
        drop(opened);
        let disk = disk.after_kill();
        disk.heal();
        drop(open(&disk, 100));
        let after = open(&disk.after_power_cut(calls.into()), 100);
        assert_eq!(positions(&after), [1, 2, 3, 4], "died after {calls} calls");
    }
}

/// Turns a bit of the first byte, durably.
fn damage_header(disk: &SimulatedDisk, path: &Path) {
    let mut bytes = disk.read(path).unwrap();
    bytes[0] ^= 1;
    let file = disk.create(path).unwrap();
    assert_eq!(file.append(&bytes).unwrap(), bytes.len());
    file.sync().unwrap();
}

#[test]
fn syncs_on_another_thread_that_fail_while_records_are_appended_lose_none() {
    let disk = SimulatedDisk::new(1);
    let mut journal = open(&disk, 5000);
    for round in 0..200_u64 {
        let handle = journal.sync_handle();
        if round % 5 == 0 {
            disk.set_fault(Fault::SyncFails);
        }
        let syncing = thread::spawn(move || handle.sync());
        for _ in 0..10 {
            journal.append(&[7; 20]).unwrap();
        }
        let _may_fail = syncing.join().unwrap();
        let (durable, written) = (journal.durable().0, journal.written().0);
        // The fault is for the one that fails, not for who looks at what it leaves.
        disk.heal();
        let after = open(&disk.after_power_cut(round), 5000);
        assert!(positions(&after).len() as u64 >= durable, "round {round}");
        let after = open(&disk.after_kill(), 5000);
        assert!(positions(&after).len() as u64 >= written, "round {round}");
        journal.retry().unwrap();
    }
    assert_eq!(journal.sync().unwrap(), Position(2000));
    assert_eq!(positions(&journal), (1..=2000).collect::<Vec<_>>());
}
