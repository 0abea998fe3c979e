//! Damage at every byte of a small journal: it always opens, tells what it lost, and loses no more than what was hit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use journal::{Journal, Options, Position, Recovery};
use tempfile::TempDir;

const HEADER: usize = 24;

/// Five records of different lengths, one of them empty.
fn payloads() -> Vec<Vec<u8>> {
    [3, 40, 0, 17, 9].into_iter().map(|length| (0..length).map(|byte| byte ^ 0x5a).collect()).collect()
}

/// Where each record's frame begins, and where the last one ends.
fn edges() -> Vec<usize> {
    let mut edges = vec![HEADER];
    for payload in payloads() {
        edges.push(edges.last().unwrap() + 16 + payload.len());
    }
    edges
}

/// A journal of one segment; its bytes.
fn write(dir: &Path) -> (PathBuf, Vec<u8>) {
    let (mut journal, _) = Journal::open(dir, Options::default(), Position::FIRST).unwrap();
    for payload in payloads() {
        journal.append(&payload).unwrap();
    }
    let path = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), *edges().last().unwrap());
    (path, bytes)
}

/// Makes these bytes the only segment.
fn damage(path: &Path, bytes: &[u8]) {
    for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(path, bytes).unwrap();
}

/// Opens the journal, appends to it, and checks that what it then holds is still there after another open.
fn open_and_use(dir: &Path) -> (Recovery, Vec<(u64, Vec<u8>)>) {
    let read = |journal: &Journal| -> Vec<_> {
        journal
            .read_from(Position(0))
            .unwrap()
            .map(|r| r.map(|r| (r.position.0, r.payload)).unwrap())
            .collect()
    };
    let (mut journal, recovery) = Journal::open(dir, Options::default(), Position::FIRST).unwrap();
    let found = read(&journal);
    assert_eq!(recovery.records, found.len() as u64);
    let appended = journal.append(b"after").unwrap();
    assert_eq!(appended, recovery.next);
    let all = read(&journal);
    assert_eq!(all.last().unwrap(), &(appended.0, b"after".to_vec()));
    assert_eq!(all[..all.len() - 1], found);
    drop(journal);

    let (journal, again) = Journal::open(dir, Options::default(), Position::FIRST).unwrap();
    assert_eq!(read(&journal), all);
    assert_eq!((again.torn_bytes, again.corrupt_headers), (0, 0), "the first open has repaired it");
    assert_eq!(again.corrupt_records, recovery.corrupt_records, "a damaged record stays counted");
    (recovery, found)
}

fn numbered() -> Vec<(u64, Vec<u8>)> {
    (1..).zip(payloads()).collect()
}

#[test]
fn a_journal_cut_at_any_byte_opens_with_every_whole_record() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = write(dir.path());
    for cut in 0..bytes.len() {
        damage(&path, &bytes[..cut]);
        let (recovery, found) = open_and_use(dir.path());
        let whole = edges()[1..].iter().filter(|end| **end <= cut).count();
        assert_eq!(found, numbered()[..whole], "cut at {cut}");
        let kept = if cut < HEADER { 0 } else { edges()[whole] };
        assert_eq!(recovery.torn_bytes, (cut - kept) as u64, "cut at {cut}");
        assert_eq!(recovery.corrupt_records, 0, "cut at {cut}");
        assert_eq!(recovery.corrupt_headers, u64::from(cut < HEADER), "cut at {cut}");
    }
}

#[test]
fn a_tail_of_zeros_is_cut() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = write(dir.path());
    for cut in HEADER..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[cut..].fill(0);
        damaged.resize(bytes.len() + 500, 0);
        damage(&path, &damaged);
        let (recovery, found) = open_and_use(dir.path());
        assert!(recovery.torn_bytes >= 500, "zeros from {cut}");
        assert_eq!(recovery.corrupt_records, 0, "zeros from {cut}");
        // Zeros over what was zero already are no damage.
        let whole = edges()[1..].iter().filter(|end| damaged[..**end] == bytes[..**end]).count();
        assert_eq!(found, numbered()[..whole], "zeros from {cut}");
    }
}

#[test]
fn a_damaged_byte_anywhere_costs_one_record_at_most() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = write(dir.path());
    for at in 0..bytes.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            damage(&path, &damaged);
            let (recovery, found) = open_and_use(dir.path());
            let hit = edges().iter().rposition(|begin| *begin <= at);
            let expected: Vec<_> =
                (0..).zip(numbered()).filter(|(i, _)| Some(*i) != hit).map(|(_, record)| record).collect();
            assert_eq!(found, expected, "byte {at} ^ {flip}");
            assert_eq!(recovery.corrupt_headers, u64::from(hit.is_none()), "byte {at} ^ {flip}");
            let reported = recovery.corrupt_records == 1 || recovery.torn_bytes > 0;
            assert_eq!(reported, hit.is_some(), "byte {at} ^ {flip}: {recovery:?}");
            let last = hit == Some(payloads().len() - 1);
            assert!(last || recovery.torn_bytes == 0, "byte {at} ^ {flip}: only a tail can look torn");
        }
    }
}

#[test]
fn a_hole_over_several_records_costs_those_and_counts_them() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = write(dir.path());
    let edges = edges();
    let mut damaged = bytes;
    damaged[edges[1] + 2..edges[4] - 2].fill(0xee);
    fs::write(&path, damaged).unwrap();
    let (recovery, found) = open_and_use(dir.path());
    assert_eq!(found, [numbered()[0].clone(), numbered()[4].clone()]);
    assert_eq!(recovery.corrupt_records, 3);
}

#[test]
fn a_damaged_length_that_leads_to_a_later_frame_skips_none_between() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap();
    for byte in 0..6 {
        journal.append(&[byte; 48]).unwrap();
    }
    drop(journal);
    let path = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    // Frames are 64 bytes long: with this bit the first one claims to reach to the third.
    bytes[HEADER + 4] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    let (recovery, found) = open_and_use(dir.path());
    assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    assert_eq!(recovery.corrupt_records, 1);
}

#[test]
fn a_frame_within_a_payload_is_not_taken_for_a_record() {
    let dir = TempDir::new().unwrap();
    let (path, bytes) = write(dir.path());
    let edges = edges();
    let inner = bytes[edges[1]..edges[2]].to_vec();
    fs::remove_file(&path).unwrap();
    let (mut journal, _) = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap();
    journal.append(&inner).unwrap();
    journal.append(b"second").unwrap();
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    // Damage in the outer frame's payload, before the inner frame, which claims position 2 as well.
    *bytes.get_mut(HEADER).unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let (recovery, found) = open_and_use(dir.path());
    assert_eq!(found, [(2, b"second".to_vec())]);
    assert_eq!(recovery.corrupt_records, 1);
}
