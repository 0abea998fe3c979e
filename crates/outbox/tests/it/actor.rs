//! The outbox on its own thread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeSet;

use crate::common::{CLOUD, aggregate, alert, entry, large, open, open_with, place};
use outbox::{
    Count, DropReason, Handle, Lane, Options, Outbox, OutboxError, Stored, Totals, WhenFull, spawn,
};

async fn until_durable(handle: &Handle, mark: u64) {
    handle.status().wait_for(|status| status.mark >= mark).await.unwrap();
}

fn totals(handle: &Handle) -> Totals {
    handle.status().borrow().sink(CLOUD).unwrap().totals.clone()
}

async fn fetch(handle: &Handle, lane: Lane) -> Vec<Stored> {
    handle.sink(CLOUD).fetch(lane, 0, 64).await.unwrap()
}

#[tokio::test]
async fn what_is_appended_can_be_fetched_once_the_status_says_so() {
    let (_dir, path) = place();
    let (handle, thread) = spawn(open(&path)).unwrap();
    assert_eq!(thread.thread().name(), Some("outbox"));
    handle.append(5, vec![aggregate(1), alert(2)], 0).await.unwrap();
    let status = handle.status().wait_for(|status| status.newest.alerts == 2).await.unwrap().clone();
    assert_eq!((status.mark, status.last_error), (5, None));
    assert_eq!(fetch(&handle, Lane::Alerts).await[0].seq, 2);
    assert_eq!(fetch(&handle, Lane::Aggregates).await[0].seq, 1);
    assert_eq!(totals(&handle).queued, Count { entries: 2, weight: 3 });
    handle.close().await.unwrap();
    thread.join().unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_not_given_again_although_it_is_not_committed_yet() {
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    handle.append(1, vec![aggregate(1), aggregate(2), aggregate(4)], 0).await.unwrap();
    until_durable(&handle, 1).await;
    assert_eq!(fetch(&handle, Lane::Aggregates).await.len(), 3);
    handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1]).await.unwrap();
    handle.sink(CLOUD).discard(Lane::Aggregates, vec![3], DropReason::Refused, 0).await.unwrap();
    assert_eq!(fetch(&handle, Lane::Aggregates).await.iter().map(|s| s.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(handle.sink(CLOUD).fetch(Lane::Aggregates, 0, 1).await.unwrap()[0].seq, 2);
    handle.close().await.unwrap();
    let totals = Outbox::inspect(&path).unwrap().sinks.remove(0).totals;
    assert_eq!((totals.published.weight, totals.queued.weight, totals.dropped_refused.weight), (1, 2, 4));
}

#[tokio::test]
async fn acknowledgements_are_committed_by_themselves_after_a_while() {
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    handle.append(1, vec![aggregate(1)], 0).await.unwrap();
    until_durable(&handle, 1).await;
    fetch(&handle, Lane::Aggregates).await;
    handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1]).await.unwrap();
    assert_eq!(totals(&handle).published.entries, 0, "gathered first");
    let mut status = handle.status();
    let published = |status: &outbox::Status| status.sink(CLOUD).unwrap().totals.published.entries;
    status.wait_for(|status| published(status) == 1).await.unwrap();
}

#[tokio::test]
async fn closing_commits_what_waits_and_turns_away_what_comes_later() {
    let (_dir, path) = place();
    let (handle, thread) = spawn(open(&path)).unwrap();
    let other = handle.clone();
    for mark in 1..=50 {
        handle.append(mark, vec![aggregate(1)], 0).await.unwrap();
    }
    handle.close().await.unwrap();
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!((found.mark, found.sinks[0].totals.queued.entries), (50, 50));
    assert!(matches!(other.append(51, vec![], 0).await, Err(OutboxError::Closed)));
    assert!(matches!(other.sink(CLOUD).fetch(Lane::Aggregates, 0, 1).await, Err(OutboxError::Closed)));
    assert!(matches!(other.close().await, Err(OutboxError::Closed)));
    thread.join().unwrap();
}

#[tokio::test]
async fn commits_and_ends_when_the_last_handle_is_dropped() {
    let (_dir, path) = place();
    let (handle, thread) = spawn(open(&path)).unwrap();
    handle.append(1, vec![aggregate(1)], 0).await.unwrap();
    until_durable(&handle, 1).await;
    fetch(&handle, Lane::Aggregates).await;
    handle.sink(CLOUD).acknowledge(Lane::Aggregates, vec![1]).await.unwrap();
    drop(handle);
    thread.join().unwrap();
    assert_eq!(Outbox::inspect(&path).unwrap().sinks[0].totals.published.entries, 1);
}

#[tokio::test]
async fn an_append_larger_than_the_room_in_memory_goes_through() {
    let (_dir, path) = place();
    let (handle, _thread) = spawn(open(&path)).unwrap();
    let entries = (0..12).map(|_| entry(Lane::Aggregates, 1024 * 1024, 1)).collect();
    handle.append(1, entries, 0).await.unwrap();
    handle.append(2, vec![aggregate(1)], 0).await.unwrap();
    until_durable(&handle, 2).await;
    assert_eq!(totals(&handle).queued.entries, 13);
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
                handle.append(1, vec![aggregate(2), alert(3)], 0).await.unwrap();
            }
        });
    }
    let mut seen = BTreeSet::new();
    let mut status = handle.status();
    let (mut after_alert, mut after_aggregate) = (0, 0);
    while seen.len() as u64 != 2 * PRODUCERS * APPENDS {
        let alerts = handle.sink(CLOUD).fetch(Lane::Alerts, after_alert, 7).await.unwrap();
        after_alert = alerts.last().map_or(after_alert, |stored| stored.seq);
        let aggregates = handle.sink(CLOUD).fetch(Lane::Aggregates, after_aggregate, 7).await.unwrap();
        after_aggregate = aggregates.last().map_or(after_aggregate, |stored| stored.seq);
        if alerts.is_empty() && aggregates.is_empty() {
            status.changed().await.unwrap();
            continue;
        }
        for (lane, found) in [(Lane::Alerts, alerts), (Lane::Aggregates, aggregates)] {
            let seqs: Vec<u64> = found.into_iter().map(|stored| stored.seq).collect();
            assert!(seqs.iter().all(|seq| seen.insert(*seq)), "one came twice: {seqs:?}");
            handle.sink(CLOUD).acknowledge(lane, seqs).await.unwrap();
        }
    }
    assert!(seen.into_iter().eq(1..=2 * PRODUCERS * APPENDS), "numbers without gaps");
    handle.close().await.unwrap();
    let totals = Outbox::inspect(&path).unwrap().sinks.remove(0).totals;
    let all = Count { entries: 2 * PRODUCERS * APPENDS, weight: 5 * PRODUCERS * APPENDS };
    assert_eq!((totals.accepted, totals.published, totals.queued_bytes), (all, all, 0));
}

#[tokio::test]
async fn a_full_outbox_drops_and_never_blocks_the_producer() {
    let (_dir, path) = place();
    let options = Options { max_bytes: 64 * 1024, when_full: WhenFull::DropNewest, ..large() };
    let (handle, _thread) = spawn(open_with(&path, options)).unwrap();
    for mark in 1..=300 {
        handle.append(mark, vec![entry(Lane::Aggregates, 700, 1)], mark.cast_signed()).await.unwrap();
    }
    until_durable(&handle, 300).await;
    let totals = totals(&handle);
    assert_eq!(totals.queued.entries + totals.dropped_full.entries, 300);
    let dropped = handle.dropped(CLOUD).await.unwrap();
    let numbers: u64 = dropped.iter().map(|range| range.seq_to - range.seq_from + 1).sum();
    assert_eq!(numbers, totals.dropped_full.entries);
    assert!(dropped[0].seq_from > 30, "the oldest entries are kept: {dropped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_shows_what_a_flush_has_stored() {
    let (_dir, path) = place();
    let options = Options { producer_repeats: true, ..large() };
    let (handle, _thread) = spawn(open_with(&path, options)).unwrap();
    for mark in 1..=500 {
        handle.append(mark, vec![aggregate(1)], 0).await.unwrap();
        handle.flush().await.unwrap();
        assert_eq!(handle.status().borrow().mark, mark);
    }
}
