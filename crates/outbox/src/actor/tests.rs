//! Staging instead of writing at once, on a clock that the test owns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, advance};

use super::Actor;
use crate::{
    DropReason, Entry, Handle, Lane, Options, Outbox, PerLane, Recovery, Share, SinkOptions, Start, Status,
    Stored, Totals, WhenFull,
};

const CLOUD: &str = "mqtt.upstream";
const SPILL_AFTER: Duration = Duration::from_secs(10);
/// How exactly timers fire.
const TICK: Duration = Duration::from_millis(2);

fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("outbox");
    (dir, path)
}

fn open(path: &Path, spill_after: Duration) -> Outbox {
    let options =
        Options { max_bytes: 1 << 30, when_full: WhenFull::DropOldest, producer_repeats: true, spill_after };
    let lanes = PerLane { aggregates: true, ..PerLane::default() };
    let sink = SinkOptions { name: CLOUD.into(), lanes, start: Start::Now };
    let (outbox, recovery) = Outbox::open(path, options, &[sink]).unwrap();
    assert_eq!(recovery, Recovery::default());
    outbox
}

fn entry(length: usize, weight: u32) -> Entry {
    let shares = vec![Share { account: "mqtt.floor".into(), weight }];
    Entry::new(Lane::Aggregates, vec![b'x'; length], shares).unwrap()
}

/// Runs the actor beside `test` on one thread, until `test` is through; then it is dropped, as in a crash.
async fn beside<T>(outbox: Outbox, test: impl AsyncFnOnce(Handle) -> T) -> T {
    let (handle, actor, commands) = Actor::new(outbox);
    tokio::select! {
        done = test(handle.clone()) => done,
        () = actor.run(commands) => unreachable!("a handle is left"),
    }
}

async fn fetch(handle: &Handle) -> Vec<Stored> {
    handle.sink(CLOUD).fetch(Lane::Aggregates, 0, 2000).await.unwrap()
}

fn totals(status: &Status) -> Totals {
    status.sink(CLOUD).unwrap().totals.clone()
}

/// All bytes on the disk.
fn on_disk(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(path.join("aggregates")).unwrap().map(|file| file.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_touches_the_disk_while_acknowledgements_flow() {
    let (_dir, path) = place();
    let before_it = open(&path, SPILL_AFTER);
    let before = on_disk(&path);
    beside(before_it, async |handle| {
        for mark in 1..=300 {
            handle.append(mark, vec![entry(400, 2)], 0).await.unwrap();
            let found = fetch(&handle).await;
            assert_eq!(found.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [mark]);
            assert_eq!(handle.status().borrow().newest.aggregates, mark);
            advance(SPILL_AFTER / 2).await;
            handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![mark]).await.unwrap();
        }
        assert_eq!(fetch(&handle).await, []);
        assert!(on_disk(&path) == before, "25 minutes and 300 entries later");
        assert_eq!(handle.status().borrow().mark, 0);

        // Nobody acknowledges any more.
        let since = Instant::now();
        handle.append(301, vec![entry(400, 2)], 0).await.unwrap();
        handle.append(302, vec![entry(400, 2)], 0).await.unwrap();
        let mut status = handle.status();
        let status = status.wait_for(|status| status.mark > 0).await.unwrap().clone();
        assert!((SPILL_AFTER..SPILL_AFTER + TICK).contains(&since.elapsed()), "{:?}", since.elapsed());
        assert_eq!(status.mark, 302);
        assert_eq!((totals(&status).published.entries, totals(&status).queued.weight), (300, 4));
        assert_eq!(status.sink(CLOUD).unwrap().accounts["mqtt.floor"].published, 600);
        assert!(on_disk(&path) != before);
    })
    .await;
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!((found.mark, found.sinks[0].totals.queued.entries), (302, 2));
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_nothing_that_the_mark_claims_and_gives_the_same_numbers_again() {
    let (_dir, path) = place();
    let sent = beside(open(&path, SPILL_AFTER), async |handle| {
        handle.append(1, vec![entry(10, 1)], 0).await.unwrap();
        handle.flush().await.unwrap();
        assert_eq!(handle.status().borrow().mark, 1);
        handle.append(2, vec![entry(20, 1), entry(30, 1)], 0).await.unwrap();
        let sent = fetch(&handle).await;
        handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1, 2]).await.unwrap();
        assert_eq!(fetch(&handle).await.len(), 1);
        sent
    })
    .await;
    let mut outbox = open(&path, SPILL_AFTER);
    assert_eq!((outbox.mark(), outbox.next_seq(Lane::Aggregates)), (1, 2));
    assert_eq!(outbox.fetch(CLOUD, Lane::Aggregates, 0, 9).unwrap(), sent[..1]);
    outbox.append(2, vec![entry(20, 1), entry(30, 1)], 0).unwrap();
    assert_eq!(outbox.fetch(CLOUD, Lane::Aggregates, 0, 9).unwrap(), sent);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_what_is_on_the_disk_gets_there_in_time_too() {
    let (_dir, path) = place();
    beside(open(&path, SPILL_AFTER), async |handle| {
        handle.append(1, vec![entry(10, 1), entry(10, 1)], 0).await.unwrap();
        handle.flush().await.unwrap();
        fetch(&handle).await;
        let since = Instant::now();
        handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1]).await.unwrap();
        handle.sink(CLOUD).discard(Lane::Aggregates, vec![2], DropReason::Refused, 0).await.unwrap();
        let mut status = handle.status();
        let status = status.wait_for(|status| totals(status).queued.entries == 0).await.unwrap().clone();
        assert!((SPILL_AFTER..SPILL_AFTER + TICK).contains(&since.elapsed()), "{:?}", since.elapsed());
        assert_eq!((totals(&status).published.entries, totals(&status).dropped_refused.entries), (1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_mebibyte_waits_for_its_acknowledgement() {
    let (_dir, path) = place();
    beside(open(&path, Duration::from_secs(3600)), async |handle| {
        for mark in 1..=100 {
            handle.append(mark, vec![entry(20_000, 1)], 0).await.unwrap();
        }
        assert_eq!(fetch(&handle).await.len(), 100);
        let committed = handle.status().borrow().mark;
        assert!((100 - 53..=100).contains(&committed), "20 kB times {} wait", 100 - committed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn closing_commits_what_was_staged() {
    let (_dir, path) = place();
    let (handle, actor, commands) = Actor::new(open(&path, SPILL_AFTER));
    let ((), closed) = tokio::join!(actor.run(commands), async {
        handle.append(7, vec![entry(10, 1)], 0).await.unwrap();
        handle.close().await
    });
    closed.unwrap();
    assert_eq!(Outbox::inspect(&path).unwrap().mark, 7);
}

#[tokio::test(start_paused = true)]
async fn entries_can_be_fetched_before_the_disk_has_them_and_are_committed_soon() {
    let (_dir, path) = place();
    beside(open(&path, Duration::ZERO), async |handle| {
        let since = Instant::now();
        handle.append(1, vec![entry(10, 1), entry(20, 1)], 0).await.unwrap();
        assert_eq!(fetch(&handle).await.len(), 2);
        assert_eq!((since.elapsed(), handle.status().borrow().mark), (Duration::ZERO, 0));
        handle.status().wait_for(|status| status.mark == 1).await.unwrap();
        assert!(since.elapsed() < Duration::from_millis(30), "{:?}", since.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_acknowledged_at_once_is_counted_and_never_written() {
    let (_dir, path) = place();
    let outbox = open(&path, Duration::ZERO);
    beside(outbox, async |handle| {
        handle.append(1, vec![entry(5_000, 1)], 0).await.unwrap();
        fetch(&handle).await;
        handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1]).await.unwrap();
        handle.status().wait_for(|status| totals(status).published.entries == 1).await.unwrap();
        assert_eq!(handle.status().borrow().mark, 1);
    })
    .await;
    let bytes: usize = on_disk(&path).values().map(Vec::len).sum();
    assert!(bytes < 1_000, "{bytes}");
}
