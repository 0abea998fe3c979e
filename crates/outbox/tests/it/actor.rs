//! The outbox on its own thread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeSet;

use crate::common::{entry, large, normal, open, open_with, place, urgent};
use outbox::{Count, Handle, Options, Outbox, OutboxError, Priority, Stored, WhenFull, spawn};

async fn until_durable(handle: &Handle, mark: u64) {
    handle.status().wait_for(|status| status.mark >= mark).await.unwrap();
}

async fn fetch(handle: &Handle, priority: Priority) -> Vec<Stored> {
    handle.fetch(priority, 0, 64).await.unwrap()
}

#[tokio::test]
async fn what_is_appended_can_be_fetched_once_the_status_says_so() {
    let (_dir, path) = place();
    let (handle, thread) = spawn(open(&path)).unwrap();
    assert_eq!(thread.thread().name(), Some("outbox"));
    handle.append(5, vec![normal(1), urgent(2)], 0).await.unwrap();
    let status = handle.status().wait_for(|status| status.newest_seq == 2).await.unwrap().clone();
    assert_eq!((status.mark, status.last_error), (5, None));
    assert_eq!(fetch(&handle, Priority::Urgent).await[0].seq, 2);
    assert_eq!(fetch(&handle, Priority::Normal).await[0].seq, 1);
    assert_eq!(handle.totals().await.unwrap().queued, Count { entries: 2, weight: 3 });
    handle.close().await.unwrap();
    thread.join().unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_not_given_again_although_it_is_not_committed_yet() {
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    handle.append(1, vec![normal(1), normal(2), normal(4)], 0).await.unwrap();
    until_durable(&handle, 1).await;
    assert_eq!(fetch(&handle, Priority::Normal).await.len(), 3);
    handle.acknowledge(vec![1]).await.unwrap();
    handle.discard(vec![3], 0).await.unwrap();
    assert_eq!(fetch(&handle, Priority::Normal).await.iter().map(|s| s.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(handle.fetch(Priority::Normal, 0, 1).await.unwrap()[0].seq, 2);
    handle.close().await.unwrap();
    let totals = Outbox::inspect(&path).unwrap().totals;
    assert_eq!((totals.published.weight, totals.queued.weight, totals.dropped_refused.weight), (1, 2, 4));
}

#[tokio::test]
async fn acknowledgements_are_committed_by_themselves_after_a_while() {
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    handle.append(1, vec![normal(1)], 0).await.unwrap();
    until_durable(&handle, 1).await;
    handle.acknowledge(vec![1]).await.unwrap();
    assert_eq!(handle.totals().await.unwrap().published.entries, 0, "gathered first");
    while handle.totals().await.unwrap().published.entries == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn closing_commits_what_waits_and_turns_away_what_comes_later() {
    let (_dir, path) = place();
    let (handle, thread) = spawn(open(&path)).unwrap();
    let other = handle.clone();
    for mark in 1..=50 {
        handle.append(mark, vec![normal(1)], 0).await.unwrap();
    }
    handle.close().await.unwrap();
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!((found.mark, found.totals.queued.entries), (50, 50));
    assert!(matches!(other.append(51, vec![], 0).await, Err(OutboxError::Closed)));
    assert!(matches!(other.fetch(Priority::Normal, 0, 1).await, Err(OutboxError::Closed)));
    assert!(matches!(other.close().await, Err(OutboxError::Closed)));
    thread.join().unwrap();
}

#[tokio::test]
async fn commits_and_ends_when_the_last_handle_is_dropped() {
    let (_dir, path) = place();
    let (handle, thread) = spawn(open(&path)).unwrap();
    handle.append(1, vec![normal(1)], 0).await.unwrap();
    until_durable(&handle, 1).await;
    handle.acknowledge(vec![1]).await.unwrap();
    drop(handle);
    thread.join().unwrap();
    assert_eq!(Outbox::inspect(&path).unwrap().totals.published.entries, 1);
}

#[tokio::test]
async fn an_append_larger_than_the_room_in_memory_goes_through() {
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    let entries = (0..12).map(|_| entry(Priority::Normal, 1024 * 1024, 1)).collect();
    handle.append(1, entries, 0).await.unwrap();
    handle.append(2, vec![normal(1)], 0).await.unwrap();
    until_durable(&handle, 2).await;
    assert_eq!(handle.totals().await.unwrap().queued.entries, 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_producers_and_a_consumer_see_every_entry_exactly_once() {
    const PRODUCERS: u64 = 4;
    const APPENDS: u64 = 100;
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    for _ in 0..PRODUCERS {
        let handle = handle.clone();
        tokio::spawn(async move {
            for _ in 0..APPENDS {
                handle.append(1, vec![normal(2), urgent(3)], 0).await.unwrap();
            }
        });
    }
    let mut seen = BTreeSet::new();
    let mut status = handle.status();
    let (mut after_urgent, mut after_normal) = (0, 0);
    while seen.len() as u64 != 2 * PRODUCERS * APPENDS {
        let mut found = handle.fetch(Priority::Urgent, after_urgent, 7).await.unwrap();
        after_urgent = found.last().map_or(after_urgent, |stored| stored.seq);
        found.extend(handle.fetch(Priority::Normal, after_normal, 7).await.unwrap());
        after_normal = found.last().map_or(after_normal, |stored| {
            if stored.priority == Priority::Normal { stored.seq } else { after_normal }
        });
        if found.is_empty() {
            status.changed().await.unwrap();
            continue;
        }
        for stored in &found {
            assert!(seen.insert(stored.seq), "{} came twice", stored.seq);
        }
        handle.acknowledge(found.into_iter().map(|stored| stored.seq).collect()).await.unwrap();
    }
    assert!(seen.into_iter().eq(1..=2 * PRODUCERS * APPENDS), "numbers without gaps");
    handle.close().await.unwrap();
    let totals = Outbox::inspect(&path).unwrap().totals;
    let all = Count { entries: 2 * PRODUCERS * APPENDS, weight: 5 * PRODUCERS * APPENDS };
    assert_eq!((totals.accepted, totals.published, totals.queued_bytes), (all, all, 0));
}

#[tokio::test]
async fn a_full_outbox_drops_and_never_blocks_the_producer() {
    let (_dir, path) = place();
    let options = Options { max_bytes: 2000, when_full: WhenFull::DropNewest, ..large() };
    let (handle, _thread) = spawn(open_with(&path, options)).unwrap();
    for mark in 1..=100 {
        handle.append(mark, vec![normal(1)], mark.cast_signed()).await.unwrap();
    }
    until_durable(&handle, 100).await;
    let totals = handle.totals().await.unwrap();
    assert_eq!(totals.queued.entries + totals.dropped_full.entries, 100);
    let dropped = handle.dropped().await.unwrap();
    assert_eq!(dropped.len(), 1);
    assert_eq!(
        (dropped[0].seq_from, dropped[0].seq_to, dropped[0].at_ms),
        (totals.queued.entries + 1, 100, 100)
    );
}
