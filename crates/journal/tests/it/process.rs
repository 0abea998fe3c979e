//! What only another process can show: death by SIGKILL, and a disk that takes no more. The test runs itself again as
//! the child that writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use journal::{Journal, Options, Position, Record};
use tempfile::TempDir;

const DIR: &str = "JOURNAL_TEST_DIR";

/// A shell that runs the ignored test `name` of this program after `setup`.
fn child(name: &str, setup: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{setup} exec \"$0\" --exact process::{name} --ignored --nocapture");
    command.arg("-c").arg(script).arg(env::current_exe().unwrap()).env(DIR, dir);
    command
}

#[test]
fn what_was_appended_survives_sigkill() {
    let dir = TempDir::new().unwrap();
    let mut writer =
        child("child_appends_until_it_is_killed", "", dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = 0;
    for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
        if let Some(position) = line.unwrap().strip_prefix("appended ") {
            told = position.parse().unwrap();
            if told >= 500 {
                break;
            }
        }
    }
    writer.kill().unwrap();
    writer.wait().unwrap();

    let (journal, recovery) = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap();
    assert!(told >= 500);
    assert!(recovery.next > Position(told), "{recovery:?}");
    assert_eq!(recovery.corrupt_records, 0);
    for (expected, record) in (1..).zip(journal.read_from(Position(0)).unwrap()) {
        let Record { position, payload, .. } = record.unwrap();
        assert_eq!((position, payload), (Position(expected), expected.to_string().into_bytes()));
    }
}

#[test]
#[ignore = "run by what_was_appended_survives_sigkill"]
fn child_appends_until_it_is_killed() {
    let Ok(dir) = env::var(DIR) else { return };
    let options = Options { segment_bytes: 2000, content: 0 };
    let (mut journal, _) = Journal::open(Path::new(&dir), options, Position::FIRST).unwrap();
    loop {
        let position = journal.append(journal.next().to_string().as_bytes()).unwrap();
        writeln!(io::stdout(), "appended {position}").unwrap();
    }
}

#[test]
fn a_write_that_does_not_fit_leaves_nothing_behind_and_the_record_is_held() {
    let dir = TempDir::new().unwrap();
    // A limit on the file's size cuts a write short as a full disk does. dash counts blocks of 512 bytes, bash of 1024.
    let status = child("child_appends_beyond_the_limit", "trap '' XFSZ; ulimit -f 64;", dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let (journal, recovery) = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.corrupt_records), (0, 0), "nothing of it was left");
    let records: Vec<_> = journal.read_from(Position(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(records.len() as u64, recovery.next.previous().0);
    assert!(records.iter().all(|record| record.payload == [1; 3000]), "the small one waits for its turn");
}

#[test]
#[ignore = "run by a_write_that_does_not_fit_leaves_nothing_behind_and_the_record_is_held"]
fn child_appends_beyond_the_limit() {
    let Ok(dir) = env::var(DIR) else { return };
    let (mut journal, _) = Journal::open(Path::new(&dir), Options::default(), Position::FIRST).unwrap();
    while journal.write_error().is_none() {
        journal.append(&[1; 3000]).unwrap();
        assert!(journal.next() < Position(100), "100 records of 3,000 bytes do not fit into 64 blocks");
    }
    let trouble = journal.write_error().unwrap();
    assert!(trouble.contains("File too large"), "{trouble}");
    assert_eq!(journal.written().next().next(), journal.next(), "the last one was not written");
    assert!(journal.retry().is_err(), "still full");
    journal.append(b"small").unwrap();
    assert!(journal.sync().is_err());
    assert_eq!(journal.read_from(Position(0)).unwrap().count() as u64, journal.written().0);
}
