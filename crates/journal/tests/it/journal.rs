//! What a caller relies on, on real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use journal::{Journal, JournalError, MAX_PAYLOAD_BYTES, Options, Position, Reader, Recovery};
use tempfile::TempDir;

fn open(dir: &Path) -> (Journal, Recovery) {
    Journal::open(dir, Options::default(), Position::FIRST).unwrap()
}

fn open_small(dir: &Path) -> (Journal, Recovery) {
    Journal::open(dir, Options { segment_bytes: 100, content: 0 }, Position::FIRST).unwrap()
}

fn records(journal: &Journal, from: u64) -> Vec<(u64, Vec<u8>)> {
    journal
        .read_from(Position(from))
        .unwrap()
        .map(|record| record.map(|r| (r.position.0, r.payload)).unwrap())
        .collect()
}

fn positions(journal: &Journal) -> Vec<u64> {
    records(journal, 0).into_iter().map(|(position, _)| position).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn gives_back_what_was_appended_after_a_reopen() {
    let dir = TempDir::new().unwrap();
    let (mut journal, recovery) = open(dir.path());
    assert_eq!(recovery, Recovery { next: Position(1), ..Recovery::default() });
    assert_eq!(journal.append(b"one").unwrap(), Position(1));
    assert_eq!(journal.append(b"").unwrap(), Position(2));
    drop(journal);

    let (journal, recovery) = open(dir.path());
    let expected =
        Recovery { first: Some(Position(1)), next: Position(3), records: 2, ..Recovery::default() };
    assert_eq!(recovery, expected);
    assert_eq!(records(&journal, 0), [(1, b"one".to_vec()), (2, vec![])]);
    assert_eq!(records(&journal, 2), [(2, vec![])]);
    assert_eq!(records(&journal, 3), []);
}

#[test]
fn begins_a_new_segment_when_one_is_full_and_reads_from_any_of_them() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    for _ in 0..10 {
        journal.append(&[7; 20]).unwrap();
    }
    // 24 bytes of header and two frames of 36 make 96.
    assert_eq!(segments(dir.path()).len(), 5);
    for from in 1..=10 {
        assert_eq!(records(&journal, from).len() as u64, 11 - from);
    }
    let on_disk: u64 = segments(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(journal.len_bytes(), on_disk);
    assert_eq!(journal.appended_bytes(), 10 * 36);
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    journal.append(b"small").unwrap();
    journal.append(&[1; 5000]).unwrap();
    journal.append(b"small").unwrap();
    assert_eq!(segments(dir.path()).len(), 3);
    assert_eq!(positions(&journal), [1, 2, 3]);
}

#[test]
fn truncation_deletes_only_segments_that_are_wholly_before() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    for _ in 0..6 {
        journal.append(&[7; 20]).unwrap();
    }
    journal.truncate_before(Position(4)).unwrap();
    assert_eq!(positions(&journal), [3, 4, 5, 6]);
    journal.truncate_before(Position(5)).unwrap();
    assert_eq!(positions(&journal), [5, 6]);
}

#[test]
fn positions_go_on_after_everything_was_truncated_and_reopened() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    for _ in 0..5 {
        journal.append(&[7; 20]).unwrap();
    }
    journal.truncate_before(Position(100)).unwrap();
    assert_eq!(positions(&journal), []);
    assert_eq!(journal.len_bytes(), 24);
    drop(journal);

    let (mut journal, recovery) = open_small(dir.path());
    assert_eq!(recovery, Recovery { next: Position(6), ..Recovery::default() });
    assert_eq!(journal.append(b"x").unwrap(), Position(6));
}

#[test]
fn no_position_goes_below_the_floor() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path());
    journal.append(b"old").unwrap();
    drop(journal);

    let at_least = |floor| Journal::open(dir.path(), Options::default(), Position(floor)).unwrap();
    let (mut journal, recovery) = at_least(50);
    assert_eq!((recovery.first, recovery.next), (Some(Position(1)), Position(50)));
    assert_eq!(journal.append(b"new").unwrap(), Position(50));
    drop(journal);

    let (journal, recovery) = at_least(10);
    assert_eq!(recovery.next, Position(51));
    assert_eq!(recovery.corrupt_records, 0);
    assert_eq!(positions(&journal), [1, 50]);
}

#[test]
fn the_last_position_is_refused_and_not_wrapped() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), Options::default(), Position(u64::MAX - 1)).unwrap();
    assert_eq!(journal.append(b"x").unwrap(), Position(u64::MAX - 1));
    assert!(matches!(journal.append(b"x"), Err(JournalError::Exhausted { .. })));
    drop(journal);
    let (mut journal, _) = open(dir.path());
    assert!(matches!(journal.append(b"x"), Err(JournalError::Exhausted { .. })));
    journal.truncate_before(Position(u64::MAX)).unwrap();
}

#[test]
fn refuses_a_record_that_is_too_large_and_goes_on() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path());
    let largest = vec![9; MAX_PAYLOAD_BYTES];
    let too_large = vec![9; MAX_PAYLOAD_BYTES + 1];
    assert!(matches!(journal.append(&too_large), Err(JournalError::TooLarge { .. })));
    assert_eq!(journal.append(&largest).unwrap(), Position(1));
    assert_eq!(records(&journal, 1), [(1, largest)]);
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path());
    journal.append(b"x").unwrap();
    let second = Journal::open(dir.path(), Options::default(), Position::FIRST);
    assert!(matches!(second, Err(JournalError::InUse { .. })));
    assert_eq!(Reader::open(dir.path(), 0).unwrap().read_from(Position(0)).count(), 1);
    drop(journal);
    open(dir.path());
}

#[test]
fn a_newer_format_is_refused_and_no_file_is_changed() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    for _ in 0..4 {
        journal.append(&[7; 20]).unwrap();
    }
    drop(journal);
    let paths = segments(dir.path());
    OpenOptions::new().append(true).open(&paths[0]).unwrap().write_all(b"torn").unwrap();
    let mut newer = fs::read(&paths[1]).unwrap();
    newer[8] = 2;
    let crc = crc32fast::hash(&newer[..20]);
    newer[20..24].copy_from_slice(&crc.to_le_bytes());
    fs::write(&paths[1], newer).unwrap();

    let before: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let error = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap_err();
    assert!(matches!(error, JournalError::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    let after: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_renamed_segment_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    fs::rename(&segments(dir.path())[0], dir.path().join("00000000000000000009.journal")).unwrap();
    let error = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap_err();
    assert!(matches!(error, JournalError::Renamed { header: Position(1), .. }), "{error}");
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = TempDir::new().unwrap();
    for name in ["1.journal", "0000000000000000000a.journal", "notes.txt", "00000000000000000000.journal"] {
        fs::write(dir.path().join(name), b"mine").unwrap();
    }
    let (mut journal, recovery) = open_small(dir.path());
    assert_eq!(recovery.torn_bytes, 0);
    journal.append(b"x").unwrap();
    journal.truncate_before(Position(100)).unwrap();
    assert_eq!(segments(dir.path()).len(), 5);
}

#[test]
fn a_reader_reports_damage_without_repairing_it() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path());
    journal.append(b"kept").unwrap();
    drop(journal);
    let path = &segments(dir.path())[0];
    OpenOptions::new().append(true).open(path).unwrap().write_all(&[0; 100]).unwrap();
    let before = fs::read(path).unwrap();

    let reader = Reader::open(dir.path(), 0).unwrap();
    let found = reader.check().unwrap();
    assert_eq!((found.records, found.torn_bytes, found.next), (1, 100, Position(2)));
    assert_eq!(reader.read_from(Position(0)).count(), 1);
    assert_eq!(fs::read(path).unwrap(), before);

    let (_, recovery) = open(dir.path());
    assert_eq!(recovery, found);
    assert_eq!(fs::read(path).unwrap().len(), before.len() - 100);
}

#[test]
fn a_missing_directory_is_an_error_for_a_reader() {
    let dir = TempDir::new().unwrap();
    assert!(Reader::open(&dir.path().join("none"), 0).is_err());
    assert!(!dir.path().join("none").exists());
}

#[test]
fn sync_tells_what_is_durable() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path());
    assert_eq!(journal.sync().unwrap(), Position(0));
    for _ in 0..30 {
        journal.append(&[7; 20]).unwrap();
    }
    let handle = journal.sync_handle();
    journal.append(b"after").unwrap();
    assert_eq!((journal.durable(), journal.written()), (Position(0), Position(31)));
    let synced = std::thread::spawn(move || handle.sync()).join().unwrap().unwrap();
    assert_eq!((synced, journal.durable()), (Position(30), Position(30)));
    assert_eq!(journal.sync().unwrap(), Position(31));
    drop(journal);
    let (journal, _) = open(dir.path());
    assert_eq!(journal.durable(), Position(31), "open syncs what it found");
}

#[test]
fn a_new_segment_makes_durable_what_is_before_it() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    let mut durable = Vec::new();
    for _ in 0..5 {
        journal.append(&[7; 20]).unwrap();
        durable.push(journal.durable().0);
    }
    // The record that begins a segment is synced with it.
    assert_eq!(durable, [0, 0, 3, 3, 5]);
}

#[test]
fn a_handle_outlives_the_truncation_of_what_it_syncs() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open_small(dir.path());
    for _ in 0..5 {
        journal.append(&[7; 20]).unwrap();
    }
    let handle = journal.sync_handle();
    journal.truncate_before(Position(100)).unwrap();
    assert_eq!(handle.sync().unwrap(), Position(5));
    assert_eq!(journal.sync().unwrap(), Position(5));
}
