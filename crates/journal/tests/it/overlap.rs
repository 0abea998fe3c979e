//! Two segments of which the first still has records that were written anew to the second: those of the second count,
//! whatever byte of either is damaged.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use journal::{Journal, Options, Position, Reader, Recovery};
use tempfile::TempDir;

const HEADER: usize = 24;
/// Bytes of a frame with a payload of five bytes.
const FRAME: usize = 16 + 5;
/// Records of the first segment that the second does not have.
const BEFORE: usize = 3;

/// Records 1 to 5 in the first segment, 4 to 6 in the second.
struct Overlap {
    dir: TempDir,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Overlap {
    fn new() -> Overlap {
        let (first, second) = (segment(1, &["old 1", "old 2", "old 3", "old 4", "old 5"]), segment(4, &NEW));
        let overlap = Overlap { dir: TempDir::new().unwrap(), first, second };
        overlap.restore();
        overlap
    }

    fn restore(&self) {
        fs::write(self.path(1), &self.first).unwrap();
        fs::write(self.path(4), &self.second).unwrap();
    }

    fn path(&self, first: u64) -> PathBuf {
        self.dir.path().join(format!("{first:020}.journal"))
    }

    /// What opening finds and tells; a reader beside tells the same, and a second opening finds the same.
    fn open(&self) -> (Vec<String>, Recovery) {
        let told = Reader::open(self.dir.path(), 0).unwrap().check().unwrap();
        let (journal, recovery) = open(self.dir.path(), 1);
        assert_eq!(told, recovery);
        let found = texts(&journal);
        assert_eq!(recovery.records, found.len() as u64);
        drop(journal);
        let (journal, again) = open(self.dir.path(), 1);
        assert_eq!(texts(&journal), found);
        assert_eq!((again.torn_bytes, again.corrupt_headers), (0, 0));
        (found, recovery)
    }
}

const NEW: [&str; 3] = ["new 4", "new 5", "new 6"];
const ALL: [&str; 6] = ["old 1", "old 2", "old 3", "new 4", "new 5", "new 6"];

fn open(dir: &Path, at_least: u64) -> (Journal, Recovery) {
    Journal::open(dir, Options::default(), Position(at_least)).unwrap()
}

/// The bytes of a segment.
fn segment(first: u64, payloads: &[&str]) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path(), first);
    for payload in payloads {
        journal.append(payload.as_bytes()).unwrap();
    }
    fs::read(dir.path().join(format!("{first:020}.journal"))).unwrap()
}

fn texts(journal: &Journal) -> Vec<String> {
    let records = journal.read_from(Position(0)).unwrap().map(Result::unwrap);
    records.map(|record| String::from_utf8(record.payload).unwrap()).collect()
}

fn without(lost: Option<usize>) -> Vec<&'static str> {
    ALL.iter().enumerate().filter(|(index, _)| Some(*index) != lost).map(|(_, text)| *text).collect()
}

#[test]
fn the_later_segment_counts_and_the_earlier_one_is_cut_to_what_is_its_own() {
    let overlap = Overlap::new();
    let (found, recovery) = overlap.open();
    assert_eq!(found, ALL);
    let expected =
        Recovery { first: Some(Position(1)), next: Position(7), records: 6, ..Recovery::default() };
    assert_eq!(recovery, expected, "nothing was lost");
    assert_eq!(fs::metadata(overlap.path(1)).unwrap().len(), (HEADER + BEFORE * FRAME) as u64);
}

#[test]
fn a_damaged_byte_anywhere_costs_one_record_at_most_and_brings_no_old_one_back() {
    let overlap = Overlap::new();
    for (name, bytes, records, offset) in
        [(1, &overlap.first, BEFORE, 0), (4, &overlap.second, NEW.len(), BEFORE)]
    {
        for at in 0..bytes.len() {
            for flip in [0x01, 0xff] {
                overlap.restore();
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                fs::write(overlap.path(name), damaged).unwrap();
                let (found, recovery) = overlap.open();
                let hit = at.checked_sub(HEADER).map(|at| at / FRAME);
                let lost = hit.filter(|hit| *hit < records).map(|hit| hit + offset);
                assert_eq!(found, without(lost), "byte {at} ^ {flip} of segment {name}");
                let reported = recovery.corrupt_records == 1 || recovery.torn_bytes > 0;
                assert_eq!(reported, lost.is_some(), "byte {at} ^ {flip} of segment {name}: {recovery:?}");
                assert_eq!(recovery.corrupt_headers, u64::from(at < HEADER));
            }
        }
    }
}

#[test]
fn cut_or_zeroed_from_any_byte_the_earlier_segment_loses_only_what_was_hit() {
    let overlap = Overlap::new();
    let length = overlap.first.len();
    for at in 0..length {
        let cut = overlap.first[..at].to_vec();
        let mut zeroed = cut.clone();
        zeroed.resize(length + 300, 0);
        for (damage, bytes) in [("cut", cut), ("zeros", zeroed)] {
            overlap.restore();
            fs::write(overlap.path(1), bytes).unwrap();
            let (found, recovery) = overlap.open();
            let whole = (at.saturating_sub(HEADER) / FRAME).min(BEFORE);
            assert_eq!(
                found,
                ALL[..whole].iter().chain(&NEW).copied().collect::<Vec<_>>(),
                "{damage} at {at}"
            );
            assert_eq!(recovery.next, Position(7));
            let between = at < HEADER || (at - HEADER).is_multiple_of(FRAME);
            if whole < BEFORE && !between {
                assert!(recovery.torn_bytes > 0, "{damage} at {at}: {recovery:?}");
            }
        }
    }
}

#[test]
fn cut_or_zeroed_from_any_byte_the_later_segment_brings_no_old_record_back() {
    let overlap = Overlap::new();
    let length = overlap.second.len();
    for at in 0..length {
        let cut = overlap.second[..at].to_vec();
        let mut zeroed = cut.clone();
        zeroed.resize(length + 300, 0);
        for (damage, bytes) in [("cut", cut), ("zeros", zeroed)] {
            overlap.restore();
            fs::write(overlap.path(4), bytes).unwrap();
            let (found, recovery) = overlap.open();
            let whole = at.saturating_sub(HEADER) / FRAME;
            assert_eq!(found, ALL[..BEFORE + whole], "{damage} at {at}");
            assert_eq!(recovery.next, Position((BEFORE + whole + 1) as u64), "{damage} at {at}");
        }
    }
}
