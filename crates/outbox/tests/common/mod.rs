//! What several test files need.

#![allow(dead_code, clippy::unwrap_used, reason = "no file uses all of it; a test may panic")]

use std::path::{Path, PathBuf};

use outbox::{Body, Entry, Options, Outbox, Priority, WhenFull};
use tempfile::TempDir;

pub(crate) fn entry(priority: Priority, length: usize, weight: u32) -> Entry {
    let bytes = [b"{\"seq\":".as_slice(), b"}", &vec![b' '; length]].concat();
    Entry::new(priority, "topic".to_owned(), Body::new(bytes, 7).unwrap(), weight).unwrap()
}

/// What `entry` is stored as.
pub(crate) fn body(seq: u64, length: usize) -> Vec<u8> {
    format!("{{\"seq\":{seq}}}{}", " ".repeat(length)).into_bytes()
}

pub(crate) fn normal(weight: u32) -> Entry {
    entry(Priority::Normal, 0, weight)
}

pub(crate) fn urgent(weight: u32) -> Entry {
    entry(Priority::Urgent, 0, weight)
}

pub(crate) fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("outbox.sqlite");
    (dir, path)
}

pub(crate) fn large() -> Options {
    Options { max_bytes: 1 << 30, when_full: WhenFull::DropOldest }
}

pub(crate) fn open(path: &Path) -> Outbox {
    Outbox::open(path, large()).unwrap()
}

/// Everything of a priority, by number.
pub(crate) fn seqs(outbox: &mut Outbox, priority: Priority) -> Vec<u64> {
    outbox.fetch(priority, 0, usize::MAX).unwrap().into_iter().map(|stored| stored.seq).collect()
}
