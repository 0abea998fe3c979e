//! What only another process can show: death by SIGKILL, and a disk that takes no more for a while. The test runs itself
//! again as the child that writes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::time::Duration;

use crate::common::{ACCOUNT, CLOUD, entry, large, open, open_with, place, seqs, totals};
use outbox::{Entry, Handle, Lane, Options, Outbox, OutboxError, Status, Totals, spawn};

const FILE: &str = "OUTBOX_TEST_FILE";

/// A shell that runs the ignored test `name` of this program after `setup`.
fn child(name: &str, setup: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{setup} exec \"$0\" --exact process::{name} --ignored --nocapture");
    command.arg("-c").arg(script).arg(env::current_exe().unwrap()).env(FILE, file);
    command
}

#[test]
fn what_was_durable_survives_sigkill_and_the_mark_fits_the_entries() {
    let (_dir, path) = place();
    let mut writer =
        child("child_appends_until_it_is_killed", "", &path).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = 0;
    for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
        if let Some(mark) = line.unwrap().strip_prefix("durable ") {
            told = mark.parse().unwrap();
            if told >= 30 {
                break;
            }
        }
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(told >= 30);

    let found = Outbox::inspect(&path).unwrap();
    assert!(found.mark >= told, "{found:?}");
    let mut outbox = open(&path);
    assert_eq!(
        (outbox.mark(), outbox.next_seq(Lane::Aggregates), &totals(&outbox, CLOUD)),
        (found.mark, found.next_seq, &found.sinks[0].totals)
    );
    // The child appends two entries a mark and acknowledges the first of them.
    assert_eq!(outbox.next_seq(Lane::Aggregates), 2 * found.mark + 1);
    assert!(found.sinks[0].totals.balanced());
    assert!(found.sinks[0].totals.published.entries + 2 >= told);
    let queued = seqs(&mut outbox, CLOUD, Lane::Aggregates).len() as u64;
    assert_eq!(queued, found.sinks[0].totals.queued.entries);
}

#[test]
#[ignore = "run by what_was_durable_survives_sigkill_and_the_mark_fits_the_entries"]
fn child_appends_until_it_is_killed() {
    let Ok(file) = env::var(FILE) else { return };
    let mut outbox = open(Path::new(&file));
    for mark in 1_u64.. {
        let entries = vec![entry(Lane::Aggregates, 100, 1), entry(Lane::Aggregates, 2000, 1)];
        outbox.append(mark, entries, 0).unwrap();
        outbox.fetch(CLOUD, Lane::Aggregates, 2 * (mark - 1), 2).unwrap();
        outbox.acknowledge(CLOUD, Lane::Aggregates, &[2 * mark - 1]).unwrap();
        writeln!(io::stdout(), "durable {mark}").unwrap();
    }
}

#[test]
fn keeps_everything_while_the_disk_refuses_and_goes_on_afterwards() {
    let (_dir, path) = place();
    // A soft limit on the size of files is a full disk that the child can make larger again.
    let setup = "trap '' XFSZ; ulimit -S -f 600;";
    let output = child("child_meets_a_full_disk", setup, &path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!(found.sinks[0].totals.accepted.entries, found.mark);
    assert!(found.mark > 100, "the child did its work");
    assert!(found.sinks[0].totals.balanced());
    assert_eq!(found.sinks[0].totals.published.entries, 1);
    let mut outbox = open(&path);
    let first = outbox.fetch(CLOUD, Lane::Aggregates, 0, 1).unwrap();
    assert_eq!((first[0].seq, first[0].payload.len()), (2, 20_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by keeps_everything_while_the_disk_refuses_and_goes_on_afterwards"]
async fn child_meets_a_full_disk() {
    let Ok(file) = env::var(FILE) else { return };
    let (handle, thread) = spawn(open(&PathBuf::from(file))).unwrap();
    let mut status = handle.status();
    let mark = append_until_refused(&handle).await;
    assert!(mark > 1, "the first ones fit");
    assert_eq!(
        handle.sink(CLOUD).fetch(Lane::Aggregates, 0, 1).await.unwrap()[0].seq,
        1,
        "what is there can be read"
    );
    handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1]).await.unwrap();

    // More than may wait in memory: the producer has to wait too.
    let producer = tokio::spawn({
        let handle = handle.clone();
        async move {
            for further in mark + 1..=mark + 600 {
                handle.append(further, vec![large_entry()], 0).await.unwrap();
            }
            mark + 600
        }
    });
    status.wait_for(|status| status.mark < mark && status.last_error.is_some()).await.unwrap();
    assert_eq!(of_cloud(&handle.status().borrow()).published.entries, 0);
    assert!(!producer.is_finished());

    let more = Command::new("prlimit")
        .args(["--pid", &process::id().to_string(), "--fsize=unlimited:unlimited"])
        .status()
        .expect("prlimit, of util-linux");
    assert!(more.success());
    let last = producer.await.unwrap();
    status.wait_for(|status| status.mark == last && status.last_error.is_none()).await.unwrap();
    handle.close().await.unwrap();
    thread.join().unwrap();
}

#[test]
fn closing_on_a_full_disk_says_so_and_leaves_the_mark_before_what_is_lost() {
    let (_dir, path) = place();
    let output =
        child("child_closes_on_a_full_disk", "trap '' XFSZ; ulimit -S -f 600;", &path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let refused: u64 =
        stdout.lines().find_map(|line| line.strip_prefix("refused ")).unwrap().parse().unwrap();
    let outbox = open(&path);
    assert_eq!((outbox.mark(), totals(&outbox, CLOUD).queued.entries), (refused - 1, refused - 1));
}

#[tokio::test]
#[ignore = "run by closing_on_a_full_disk_says_so_and_leaves_the_mark_before_what_is_lost"]
async fn child_closes_on_a_full_disk() {
    let Ok(file) = env::var(FILE) else { return };
    let (handle, thread) = spawn(open(&PathBuf::from(file))).unwrap();
    let refused = append_until_refused(&handle).await;
    // Whoever waits for room, or for an answer, is told as well.
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move {
            loop {
                if let Err(error) = handle.append(refused + 1, vec![large_entry()], 0).await {
                    return error;
                }
            }
        }
    });
    while handle.try_append(refused + 1, vec![large_entry()], 0).is_ok() {}
    let closed = tokio::time::timeout(Duration::from_secs(10), handle.close()).await.expect("no hanging");
    assert!(closed.is_err());
    assert!(matches!(waiting.await.unwrap(), OutboxError::Closed));
    assert!(matches!(handle.sink(CLOUD).fetch(Lane::Aggregates, 0, 1).await, Err(OutboxError::Closed)));
    thread.join().unwrap();
    writeln!(io::stdout(), "\nrefused {refused}").unwrap();
}

#[test]
fn what_is_staged_outlives_a_commit_that_fails() {
    let (_dir, path) = place();
    let setup = "trap '' XFSZ; ulimit -S -f 600;";
    let output = child("child_stages_on_a_full_disk", setup, &path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!(
        (found.mark, found.sinks[0].totals.accepted.entries, found.sinks[0].totals.published.entries),
        (200, 200, 2)
    );
    assert!(found.sinks[0].totals.balanced());
    assert_eq!(found.sinks[0].accounts[ACCOUNT].published, 2);
    let mut outbox = open(&path);
    let first = outbox.fetch(CLOUD, Lane::Aggregates, 0, 1).unwrap();
    assert_eq!((first[0].seq, first[0].payload.len()), (3, 20_000));
}

#[tokio::test]
#[ignore = "run by what_is_staged_outlives_a_commit_that_fails"]
async fn child_stages_on_a_full_disk() {
    let Ok(file) = env::var(FILE) else { return };
    let options = Options { producer_repeats: true, spill_after: Duration::from_millis(50), ..large() };
    let (handle, thread) = spawn(open_with(&PathBuf::from(file), options)).unwrap();
    let mut status = handle.status();
    // More than fits onto the disk, less than may wait in memory.
    for mark in 1..=200 {
        handle.append(mark, vec![large_entry()], 0).await.unwrap();
    }
    status.wait_for(|status| status.last_error.is_some()).await.unwrap();
    assert!(handle.flush().await.is_err());
    let before = status.borrow_and_update().clone();
    assert!(before.mark < 200 && before.newest.aggregates > before.mark, "{before:?}");
    let staged = handle.sink(CLOUD).fetch(Lane::Aggregates, before.mark, 1000).await.unwrap();
    assert_eq!(staged[0].seq, before.mark + 1, "what could not be committed can be sent");
    handle.sink(CLOUD).fetch(Lane::Aggregates, 0, 2).await.unwrap();
    handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1, 2]).await.unwrap();
    assert_eq!(of_cloud(&handle.status().borrow()), of_cloud(&before));

    let more = Command::new("prlimit")
        .args(["--pid", &process::id().to_string(), "--fsize=unlimited:unlimited"])
        .status()
        .expect("prlimit, of util-linux");
    assert!(more.success());
    let stored = |status: &Status| status.mark == 200 && of_cloud(status).published.entries == 2;
    status.wait_for(|status| stored(status) && status.last_error.is_none()).await.unwrap();
    handle.close().await.unwrap();
    thread.join().unwrap();
}

fn large_entry() -> Entry {
    entry(Lane::Aggregates, 20_000, 1)
}

/// Appends one entry a mark, each once the one before is durable; the mark that the disk did not take.
async fn append_until_refused(handle: &Handle) -> u64 {
    let mut status = handle.status();
    for mark in 1.. {
        handle.append(mark, vec![large_entry()], 0).await.unwrap();
        let settled = status.wait_for(|status| status.mark == mark || status.last_error.is_some());
        if settled.await.unwrap().last_error.is_some() {
            return mark;
        }
    }
    unreachable!("the limit is far below what fits into the marks")
}

fn of_cloud(status: &Status) -> Totals {
    status.sink(CLOUD).unwrap().totals.clone()
}
