//! What several test files need.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use outbox::{Body, Entry, Options, Outbox, Priority, Recovery, Share, WhenFull};
use tempfile::TempDir;

/// Whose the entries are.
pub(crate) const ACCOUNT: &str = "mqtt.floor";
/// What the account of an entry takes in it, in bytes.
pub(crate) const SHARE_BYTES: u64 = ACCOUNT.len() as u64 + 5;

pub(crate) fn entry(priority: Priority, length: usize, weight: u32) -> Entry {
    let bytes = [b"{\"seq\":".as_slice(), b"}", &vec![b' '; length]].concat();
    let shares = vec![Share { account: ACCOUNT.into(), weight }];
    Entry::new(priority, "topic".to_owned(), Body::new(bytes, 7).unwrap(), shares).unwrap()
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
    let path = dir.path().join("outbox");
    (dir, path)
}

/// In memory where the machine has a folder for that: for tests that open thousands of files.
pub(crate) fn fast_place() -> (TempDir, PathBuf) {
    let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let path = dir.path().join("outbox");
    (dir, path)
}

pub(crate) fn large() -> Options {
    Options { max_bytes: 1 << 30, when_full: WhenFull::DropOldest, spill_after: Duration::ZERO }
}

pub(crate) fn open(path: &Path) -> Outbox {
    open_with(path, large())
}

/// Opens what must be whole.
pub(crate) fn open_with(path: &Path, options: Options) -> Outbox {
    let (outbox, recovery) = Outbox::open(path, options).unwrap();
    assert_eq!(recovery, Recovery::default());
    outbox
}

/// Everything of a priority, by number.
pub(crate) fn seqs(outbox: &mut Outbox, priority: Priority) -> Vec<u64> {
    outbox.fetch(priority, 0, usize::MAX).unwrap().into_iter().map(|stored| stored.seq).collect()
}
