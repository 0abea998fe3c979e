//! Versions of what the records hold, and of the segments themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use journal::{Journal, JournalError, Options, Position, Reader, Record, Recovery};
use tempfile::TempDir;

/// A segment as it has been written since the first version: content 0, and one record.
const FIRST_FORMAT: &[u8] = b"SEGMENT\n\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xb1\x26\xc3\x32\
    \xbd\xe9\x0d\x82\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00one";

fn open(dir: &Path, content: u16) -> (Journal, Recovery) {
    Journal::open(dir, Options { content, ..Options::default() }, Position::FIRST).unwrap()
}

fn records(dir: &Path, content: u16) -> Vec<(u64, u16, Vec<u8>)> {
    let records = Reader::open(dir, content).unwrap().read_from(Position(0));
    records
        .map(Result::unwrap)
        .map(|Record { position, content, payload }| (position.0, content, payload))
        .collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// One record of each content from 0 to `newest`.
fn write_each(dir: &Path, newest: u16) {
    for content in 0..=newest {
        open(dir, content).0.append(&[content as u8]).unwrap();
    }
}

#[test]
fn a_segment_of_the_first_format_is_read_and_written_as_ever() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("00000000000000000001.journal"), FIRST_FORMAT).unwrap();
    assert_eq!(records(dir.path(), 0), [(1, 0, b"one".to_vec())]);
    let (_, recovery) = open(dir.path(), 0);
    assert_eq!((recovery.next, recovery.corrupt_headers, recovery.torn_bytes), (Position(2), 0, 0));

    let other = TempDir::new().unwrap();
    open(other.path(), 0).0.append(b"one").unwrap();
    assert_eq!(fs::read(&segments(other.path())[0]).unwrap(), FIRST_FORMAT);
}

#[test]
fn each_record_comes_back_with_its_content_and_none_is_mixed() {
    let dir = TempDir::new().unwrap();
    write_each(dir.path(), 2);
    open(dir.path(), 2).0.append(b"more").unwrap();
    let expected = [(1, 0, vec![0]), (2, 1, vec![1]), (3, 2, vec![2]), (4, 2, b"more".to_vec())];
    assert_eq!(records(dir.path(), 2), expected);
    assert_eq!(segments(dir.path()).len(), 3);
}

#[test]
fn a_segment_of_older_content_without_records_gives_its_name_to_the_new_one() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path(), 0));
    let (mut journal, _) = open(dir.path(), 1);
    assert_eq!(journal.append(b"new").unwrap(), Position(1));
    assert_eq!(records(dir.path(), 1), [(1, 1, b"new".to_vec())]);
    assert_eq!(journal.len_bytes(), fs::metadata(&segments(dir.path())[0]).unwrap().len());
}

#[test]
fn newer_content_is_refused_and_no_file_is_changed() {
    let dir = TempDir::new().unwrap();
    write_each(dir.path(), 1);
    let paths = segments(dir.path());
    let mut torn = fs::read(&paths[0]).unwrap();
    torn.extend(b"torn");
    fs::write(&paths[0], torn).unwrap();
    let before: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();

    let options = Options { content: 0, ..Options::default() };
    let error = Journal::open(dir.path(), options, Position::FIRST).unwrap_err();
    assert!(matches!(error, JournalError::NewerContent { found: 1, supported: 0, .. }), "{error}");
    assert!(Reader::open(dir.path(), 0).unwrap().check().is_err());
    let after: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_damaged_header_does_not_change_what_the_records_are_taken_for() {
    let dir = TempDir::new().unwrap();
    write_each(dir.path(), 3);
    let whole = records(dir.path(), 3);
    for path in segments(dir.path()) {
        let bytes = fs::read(&path).unwrap();
        for at in 0..24 {
            for flip in [0x01, 0x02, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                fs::write(&path, damaged).unwrap();
                assert_eq!(records(dir.path(), 3), whole, "byte {at} ^ {flip} of {}", path.display());
            }
        }
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn records_behind_a_header_of_zeros_are_taken_for_the_callers_own() {
    let dir = TempDir::new().unwrap();
    open(dir.path(), 5).0.append(b"kept").unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[..24].fill(0);
    fs::write(path, bytes).unwrap();
    assert_eq!(open(dir.path(), 5).1.corrupt_headers, 1);
    assert_eq!(records(dir.path(), 5), [(1, 5, b"kept".to_vec())]);
}
