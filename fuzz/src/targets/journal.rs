//! A journal's segment that is nothing but damage, or a good one with some bytes changed: it is opened or refused, a
//! record that was not touched is read, and after the repair no end is torn.
//!
//! Where the input's first byte is odd, the rest is the segment. Where it is even, each three bytes of the rest are a
//! change: offset u16, new byte. Checksums stay as they are: with a right one, nothing is damage.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use journal::{Journal, Options, Position, Reader};

const FILE: &str = "00000000000000000001.journal";
const CONTENT: u16 = 0;
const HEADER: usize = 24;
const FRAME_HEADER: usize = 16;
const CHECKSUM: usize = 4;
const PAYLOADS: [&[u8]; 6] = [b"one", b"", b"three", &[0; 40], b"SEGMENT\n", b"six"];

pub(crate) fn run(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    if first % 2 == 1 {
        open_and_repair(rest);
        return;
    }
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    let good = GOOD.get_or_init(good_segment);
    let mut bytes = good.clone();
    for change in rest.chunks_exact(3) {
        let offset = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        if !is_checksum(offset) {
            bytes[offset] = change[2];
        }
    }
    let read = open_and_repair(&bytes);
    for (position, payload, range) in records() {
        if bytes[range.clone()] == good[range] {
            assert!(read.contains(&(position, payload.to_vec())), "{position} of {read:?}");
        }
    }
}

/// The records that are read from a journal of this one segment.
fn open_and_repair(segment: &[u8]) -> Vec<(Position, Vec<u8>)> {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join(FILE), segment).expect("a file");
    let Ok((mut journal, found)) = Journal::open(dir.path(), Options::default(), Position::FIRST) else {
        return Vec::new();
    };
    let read = read_all(dir.path());
    assert_eq!(read.len() as u64, found.records);
    journal.append(b"more").expect("a repaired journal takes records");
    let again = Reader::open(dir.path(), CONTENT).and_then(|reader| reader.check()).expect("a journal");
    assert_eq!((again.records, again.torn_bytes, again.corrupt_headers), (found.records + 1, 0, 0));
    read
}

fn read_all(dir: &Path) -> Vec<(Position, Vec<u8>)> {
    let records = Reader::open(dir, CONTENT).expect("a journal").read_from(Position::FIRST);
    let records = records.map(|record| record.expect("a segment that was opened"));
    records.map(|record| (record.position, record.payload)).collect()
}

fn good_segment() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut journal, _) =
        Journal::open(dir.path(), Options::default(), Position::FIRST).expect("a new journal");
    for payload in PAYLOADS {
        journal.append(payload).expect("room");
    }
    fs::read(dir.path().join(FILE)).expect("the segment")
}

/// Each record of the good segment and where its frame stands.
fn records() -> impl Iterator<Item = (Position, &'static [u8], std::ops::Range<usize>)> {
    let mut end = HEADER;
    PAYLOADS.into_iter().zip(1..).map(move |(payload, position)| {
        let start = end;
        end += FRAME_HEADER + payload.len();
        (Position(position), payload, start..end)
    })
}

fn is_checksum(offset: usize) -> bool {
    (HEADER - CHECKSUM..HEADER).contains(&offset)
        || records().any(|(_, _, range)| (range.start..range.start + CHECKSUM).contains(&offset))
}
