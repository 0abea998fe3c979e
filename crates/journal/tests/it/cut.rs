//! Segments deleted in the middle, and records that the caller never committed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use journal::{Journal, Options, Position, RealDisk, Recovery};
use tempfile::TempDir;

fn options() -> Options {
    Options { segment_bytes: 100, content: 0 }
}

/// Twelve records in several segments.
fn filled(dir: &Path) -> Journal {
    let (mut journal, _) = Journal::open(dir, options(), Position::FIRST).unwrap();
    for number in 1..=12_u8 {
        journal.append(&[number; 10]).unwrap();
    }
    journal.sync().unwrap();
    journal
}

fn open_cut(dir: &Path, newest: u64) -> (Journal, Recovery) {
    Journal::open_cut(Arc::new(RealDisk), dir, options(), Position(newest + 1), Position(newest)).unwrap()
}

fn positions(journal: &Journal) -> Vec<u64> {
    journal.read_from(Position(0)).unwrap().map(|record| record.unwrap().position.0).collect()
}

#[test]
fn a_segment_deleted_in_the_middle_is_no_damage() {
    let dir = TempDir::new().unwrap();
    let mut journal = filled(dir.path());
    let segments: Vec<_> = journal.segments().map(|(first, _)| first).collect();
    assert!(segments.len() > 3, "{segments:?}");
    journal.remove_segment(segments[1]).unwrap();
    journal.remove_segment(*segments.last().unwrap()).unwrap();
    let gone = segments[1].0..segments[2].0;
    let left: Vec<u64> = (1..=12).filter(|position| !gone.contains(position)).collect();
    assert_eq!(positions(&journal), left);
    drop(journal);

    let (journal, recovery) = Journal::open(dir.path(), options(), Position::FIRST).unwrap();
    assert_eq!((recovery.corrupt_records, recovery.torn_bytes, recovery.next), (0, 0, Position(13)));
    assert_eq!(positions(&journal), left);
}

#[test]
fn records_after_any_position_can_be_cut_off_and_their_positions_are_used_again() {
    for newest in 0..=13 {
        let dir = TempDir::new().unwrap();
        drop(filled(dir.path()));
        let (mut journal, recovery) = open_cut(dir.path(), newest);
        let left: Vec<u64> = (1..=newest.min(12)).collect();
        assert_eq!(positions(&journal), left, "cut after {newest}");
        assert_eq!((recovery.corrupt_records, recovery.next), (0, Position(newest + 1)));
        assert_eq!(journal.append(b"new").unwrap(), Position(newest + 1));
        drop(journal);
        let (journal, _) = Journal::open(dir.path(), options(), Position::FIRST).unwrap();
        assert_eq!(positions(&journal), [left, vec![newest + 1]].concat());
    }
}

#[test]
fn a_damaged_record_before_the_cut_stays_lost() {
    let dir = TempDir::new().unwrap();
    let journal = filled(dir.path());
    let (first, _) = journal.segments().next().unwrap();
    drop(journal);
    let path = dir.path().join(format!("{:020}.journal", first.0));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - 13;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (journal, _) = open_cut(dir.path(), 2);
    let found = positions(&journal);
    assert!(found.iter().all(|position| *position <= 2), "{found:?}");
}
