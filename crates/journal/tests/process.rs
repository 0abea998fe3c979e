//! What only another process can show: death by SIGKILL, and a disk that takes no more. The test runs itself again as
//! the child that writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use journal::{Journal, JournalError, Options, Position};
use tempfile::TempDir;

const DIR: &str = "JOURNAL_TEST_DIR";

/// A shell that runs the ignored test `name` of this program after `setup`.
fn child(name: &str, setup: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{setup} exec \"$0\" --exact {name} --ignored --nocapture");
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
        let (position, bytes) = record.unwrap();
        assert_eq!((position, bytes), (Position(expected), expected.to_string().into_bytes()));
    }
}

#[test]
#[ignore = "run by what_was_appended_survives_sigkill"]
fn child_appends_until_it_is_killed() {
    let Ok(dir) = env::var(DIR) else { return };
    let options = Options { segment_bytes: 2000 };
    let (mut journal, _) = Journal::open(Path::new(&dir), options, Position::FIRST).unwrap();
    loop {
        let position = journal.append(journal.next().to_string().as_bytes()).unwrap();
        writeln!(io::stdout(), "appended {position}").unwrap();
    }
}

#[test]
fn a_write_that_does_not_fit_is_taken_back_and_the_journal_goes_on() {
    let dir = TempDir::new().unwrap();
    // A limit on the file's size cuts a write short as a full disk does. dash counts blocks of 512 bytes, bash of 1024.
    let status = child("child_appends_beyond_the_limit", "trap '' XFSZ; ulimit -f 64;", dir.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let (journal, recovery) = Journal::open(dir.path(), Options::default(), Position::FIRST).unwrap();
    assert_eq!((recovery.torn_bytes, recovery.corrupt_records), (0, 0), "nothing of it was left");
    let last = journal.read_from(Position(0)).unwrap().last().unwrap().unwrap();
    assert_eq!(last.1, b"small");
    assert_eq!(last.0.next(), recovery.next);
}

#[test]
#[ignore = "run by a_write_that_does_not_fit_is_taken_back_and_the_journal_goes_on"]
fn child_appends_beyond_the_limit() {
    let Ok(dir) = env::var(DIR) else { return };
    let (mut journal, _) = Journal::open(Path::new(&dir), Options::default(), Position::FIRST).unwrap();
    let mut refused = None;
    for appended in 0..100 {
        if let Err(error) = journal.append(&[1; 3000]) {
            refused = Some((appended, error));
            break;
        }
    }
    let (appended, error) = refused.expect("100 records of 3,000 bytes do not fit into 64 blocks");
    assert!(matches!(error, JournalError::Append { .. }), "{error}");
    assert_eq!(journal.next(), Position(appended + 1));
    assert!(journal.append(&[1; 3000]).is_err(), "still full");
    assert_eq!(journal.append(b"small").unwrap(), Position(appended + 1));
    assert_eq!(journal.read_from(Position(0)).unwrap().count() as u64, appended + 1);
}
