//! What producers and sinks rely on, on real files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{
    CLOUD, DATABASE, aggregate, alert, entry, fast_place, large, open, open_for, open_with, place, queued,
    reading, seqs, sink, sinks, totals,
};
use outbox::{
    Account, Accounts, Count, DropReason, Entry, EntryError, Lane, MAX_ACCOUNTS, MAX_IN_FLIGHT,
    MAX_PAYLOAD_BYTES, Options, Outbox, OutboxError, Share, SinkOptions, Start, WhenFull,
};

/// Segments are of 4 KiB then.
const SMALL: u64 = 64 * 1024;

fn small(when_full: WhenFull) -> Options {
    Options { max_bytes: SMALL, when_full, ..large() }
}

fn ranges(outbox: &Outbox, sink: &str) -> Vec<(Lane, u64, u64, DropReason)> {
    outbox.dropped(sink).iter().map(|r| (r.lane, r.seq_from, r.seq_to, r.reason)).collect()
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for path in fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()) {
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

fn on_disk(dir: &Path) -> u64 {
    files(dir).values().map(|bytes| bytes.len() as u64).sum()
}

#[test]
fn each_sink_gets_the_lanes_that_it_takes_in_the_order_of_their_numbers() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let entries = vec![aggregate(1), alert(2), reading(4), aggregate(8), reading(16)];
    outbox.append(1, entries, 0).unwrap();
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Alerts), [2]);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates), [1, 3]);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Readings), []);
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Alerts), []);
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Aggregates), [1, 3]);
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Readings), [1, 2], "they are numbered by themselves");
    assert_eq!(seqs(&mut outbox, "unknown", Lane::Aggregates), []);
    assert_eq!(totals(&outbox, CLOUD).queued, Count { entries: 3, weight: 11 });
    assert_eq!(totals(&outbox, DATABASE).queued, Count { entries: 4, weight: 29 });
    let second = outbox.fetch(CLOUD, Lane::Aggregates, 1, 9).unwrap();
    assert_eq!((second.len(), second[0].seq, second[0].weight), (1, 3, 8));
}

#[test]
fn numbers_mark_counters_and_entries_survive_a_reopen() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(7, vec![aggregate(1), alert(2), reading(4), aggregate(8)], 0).unwrap();
    let before = queued(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &[3]).unwrap();
    let counters = (totals(&outbox, CLOUD), totals(&outbox, DATABASE));
    drop(outbox);

    let mut outbox = open(&path);
    assert_eq!((outbox.mark(), outbox.next_seq(Lane::Alerts), outbox.next_seq(Lane::Readings)), (7, 4, 2));
    assert_eq!((totals(&outbox, CLOUD), totals(&outbox, DATABASE)), counters);
    assert_eq!(queued(&mut outbox, CLOUD, Lane::Aggregates), before[..1]);
    assert_eq!(queued(&mut outbox, DATABASE, Lane::Aggregates), before);
    outbox.append(8, vec![alert(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Alerts), [2, 4]);
}

#[test]
fn a_mark_without_entries_is_stored_and_never_goes_back() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(5, vec![], 0).unwrap();
    outbox.append(3, vec![], 0).unwrap();
    assert_eq!(outbox.mark(), 5);
    drop(outbox);
    assert_eq!(open(&path).mark(), 5);
}

#[test]
fn an_acknowledgement_counts_once_and_only_for_what_is_in_flight_to_that_sink() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![aggregate(1), aggregate(2), aggregate(4)], 0).unwrap();
    outbox.acknowledge(CLOUD, Lane::Aggregates, &[1]).unwrap();
    assert_eq!(totals(&outbox, CLOUD).published.entries, 0, "it was not fetched");
    outbox.fetch(CLOUD, Lane::Aggregates, 0, 2).unwrap();
    outbox.acknowledge(CLOUD, Lane::Aggregates, &[2, 2, 3, 99]).unwrap();
    outbox.acknowledge(CLOUD, Lane::Alerts, &[1]).unwrap();
    outbox.acknowledge(DATABASE, Lane::Aggregates, &[1]).unwrap();
    outbox.discard(CLOUD, Lane::Aggregates, &[2], 0).unwrap();
    assert_eq!(totals(&outbox, CLOUD).published, Count { entries: 1, weight: 2 });
    assert_eq!(totals(&outbox, DATABASE).queued.entries, 3);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates), [1, 3]);
}

#[test]
fn what_a_sink_refuses_is_dropped_for_it_alone() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..4).map(aggregate).collect(), 0).unwrap();
    seqs(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.discard(CLOUD, Lane::Aggregates, &[2, 3], 7).unwrap();
    assert_eq!(ranges(&outbox, CLOUD), [(Lane::Aggregates, 2, 3, DropReason::Refused)]);
    assert_eq!((outbox.dropped(CLOUD)[0].weight, outbox.dropped(CLOUD)[0].at_ms), (3, 7));
    assert_eq!(ranges(&outbox, DATABASE), []);
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Aggregates), [1, 2, 3, 4]);
}

#[test]
fn a_sink_that_is_away_loses_its_oldest_readings_and_aggregates_and_the_other_none() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, small(WhenFull::DropOldest));
    outbox.append(1, vec![alert(1)], 0).unwrap();
    for mark in 2..300 {
        let entries = vec![entry(Lane::Aggregates, 700, 1), entry(Lane::Readings, 100, 1)];
        outbox.append(mark, entries, 0).unwrap();
        for lane in [Lane::Aggregates, Lane::Readings] {
            let found = seqs(&mut outbox, DATABASE, lane);
            assert_eq!(found.len(), 1, "the other one keeps up");
            outbox.acknowledge(DATABASE, lane, &found).unwrap();
        }
    }
    assert_eq!(totals(&outbox, DATABASE).published.entries, 2 * 298);
    assert_eq!(totals(&outbox, DATABASE).dropped(), Count::default());
    let left = seqs(&mut outbox, CLOUD, Lane::Aggregates);
    let first = left[0];
    assert!(left.iter().copied().eq(first..300), "the newest ones are left");
    assert!(left.len() > 40, "{}", left.len());
    assert_eq!(ranges(&outbox, CLOUD), [(Lane::Aggregates, 2, first - 1, DropReason::Full)]);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Alerts), [1], "no alert is dropped for an aggregate");
}

#[test]
fn readings_are_dropped_before_aggregates() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, small(WhenFull::DropOldest));
    outbox.append(1, (0..20).map(|_| entry(Lane::Aggregates, 700, 1)).collect(), 0).unwrap();
    for mark in 2..400 {
        outbox.append(mark, vec![entry(Lane::Readings, 700, 1)], 0).unwrap();
    }
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Aggregates).len(), 20);
    assert!(totals(&outbox, DATABASE).dropped_full.entries > 300);
    assert!(outbox.dropped(DATABASE).iter().all(|range| range.lane == Lane::Readings));
}

#[test]
fn for_an_alert_aggregates_and_then_the_oldest_alerts_are_dropped() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, small(WhenFull::DropOldest));
    for mark in 1..60 {
        outbox.append(mark, vec![entry(Lane::Aggregates, 700, 1)], 0).unwrap();
    }
    for mark in 60..300 {
        outbox.append(mark, vec![entry(Lane::Alerts, 700, 1)], 0).unwrap();
    }
    let alerts = seqs(&mut outbox, CLOUD, Lane::Alerts);
    assert!(alerts.iter().copied().eq(alerts[0]..300), "{alerts:?}");
    assert!(alerts.len() > 40, "{}", alerts.len());
    assert!(seqs(&mut outbox, CLOUD, Lane::Aggregates).len() < 10);
}

#[test]
fn drop_newest_refuses_new_entries_for_the_sink_that_is_away_alone() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, small(WhenFull::DropNewest));
    for mark in 1..300 {
        outbox.append(mark, vec![entry(Lane::Aggregates, 700, 1)], 0).unwrap();
        let found = seqs(&mut outbox, DATABASE, Lane::Aggregates);
        assert_eq!(found, [mark]);
        outbox.acknowledge(DATABASE, Lane::Aggregates, &found).unwrap();
    }
    outbox.append(300, vec![entry(Lane::Alerts, 700, 1)], 0).unwrap();
    let left = seqs(&mut outbox, CLOUD, Lane::Aggregates);
    assert!(left.iter().copied().eq(1..=left.len() as u64), "the oldest ones are left");
    assert!((40..100).contains(&left.len()), "{}", left.len());
    let holes: u64 = outbox.dropped(CLOUD).iter().map(|range| range.seq_to - range.seq_from + 1).sum();
    assert_eq!(holes + left.len() as u64, 299);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Alerts), [300]);
    assert_eq!(outbox.next_seq(Lane::Aggregates), 301);
    assert!(on_disk(&path) < 2 * SMALL);
}

#[test]
fn what_is_in_flight_is_not_dropped() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, small(WhenFull::DropOldest));
    outbox.append(1, (0..3).map(|_| entry(Lane::Aggregates, 700, 1)).collect(), 0).unwrap();
    outbox.fetch(CLOUD, Lane::Aggregates, 0, 2).unwrap();
    for mark in 2..300 {
        outbox.append(mark, vec![entry(Lane::Aggregates, 700, 1)], 0).unwrap();
    }
    let left = seqs(&mut outbox, CLOUD, Lane::Aggregates);
    assert_eq!(left[..2], [1, 2]);
    assert!(left[left.len() - 1] == 301 && left.len() < 100, "{left:?}");
    assert!(on_disk(&path) < 2 * SMALL);
}

#[test]
fn an_entry_that_could_never_fit_is_dropped_and_takes_nothing_with_it() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, small(WhenFull::DropOldest));
    outbox.append(1, vec![aggregate(1), aggregate(1)], 0).unwrap();
    outbox.append(2, vec![entry(Lane::Alerts, 70_000, 9)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates), [1, 2]);
    assert_eq!(ranges(&outbox, CLOUD), [(Lane::Alerts, 3, 3, DropReason::Full)]);
}

#[test]
fn a_smaller_limit_after_a_restart_is_kept_at_the_next_append() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, Options { max_bytes: 8 * SMALL, ..large() });
    for mark in 1..=400 {
        outbox.append(mark, vec![entry(Lane::Aggregates, 700, 1)], 0).unwrap();
    }
    drop(outbox);
    let mut outbox = open_with(&path, small(WhenFull::DropOldest));
    outbox.append(401, vec![alert(1)], 0).unwrap();
    assert!(on_disk(&path) < 2 * SMALL, "{}", on_disk(&path));
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Alerts), [401]);
}

#[test]
fn a_new_sink_begins_with_the_next_entry_or_with_the_oldest() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..6).map(aggregate).collect(), 0).unwrap();
    drop(outbox);
    let oldest = SinkOptions { start: Start::Oldest, ..sink("file.oldest", &[Lane::Aggregates]) };
    let now = sink("file.now", &[Lane::Aggregates]);
    let all = [sinks(), vec![oldest, now]].concat();
    let mut outbox = open_for(&path, large(), &all);
    outbox.append(2, vec![aggregate(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, "file.oldest", Lane::Aggregates), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(seqs(&mut outbox, "file.now", Lane::Aggregates), [7]);
    assert_eq!(totals(&outbox, "file.oldest").queued, Count { entries: 7, weight: 16 });
    assert_eq!(totals(&outbox, "file.now").queued, Count { entries: 1, weight: 1 });
    drop(outbox);
    let mut outbox = open_for(&path, large(), &all);
    assert_eq!(seqs(&mut outbox, "file.now", Lane::Aggregates), [7], "it began before");
}

#[test]
fn what_was_delivered_since_a_time_can_be_sent_again() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    for now in 1..=4 {
        outbox.append(now, vec![aggregate(1), alert(2)], i64::try_from(now).unwrap() * 1000).unwrap();
    }
    let all = seqs(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &all[..3]).unwrap();
    outbox.discard(CLOUD, Lane::Aggregates, &all[3..], 9).unwrap();
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates), []);
    drop(outbox);
    let mut outbox = open(&path);
    assert_eq!(outbox.rewind("nobody", 0).unwrap(), None);
    assert_eq!(outbox.rewind(CLOUD, 2000).unwrap(), Some(Count { entries: 2, weight: 2 }));
    drop(outbox);
    let mut outbox = open(&path);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates), all[1..3], "not what was dropped");
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Alerts).len(), 4, "they were queued before");
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Aggregates), all);
    let totals = totals(&outbox, CLOUD);
    assert!(totals.balanced(), "{totals:?}");
    assert_eq!((totals.accepted.entries, totals.published.entries, totals.queued.entries), (8, 1, 6));
    assert_eq!(outbox.accounts(CLOUD).unwrap()["mqtt.floor"].published, 1);
}

#[test]
fn a_sink_keeps_its_number_until_it_is_forgotten() {
    let (_dir, path) = place();
    let number = open(&path).sink_id(CLOUD);
    assert!(number.is_some());
    let mut outbox = open_for(&path, large(), &sinks()[1..]);
    assert_eq!(outbox.sink_id(CLOUD), number, "it is there until it is forgotten");
    assert!(outbox.forget(CLOUD).unwrap().is_some());
    assert_eq!(outbox.sink_id(CLOUD), None);
    drop(outbox);
    let again = open(&path).sink_id(CLOUD);
    assert!(again.is_some() && again != number, "its counters are new");
}

#[test]
fn what_was_stored_before_a_sink_was_there_is_not_sent_again() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![aggregate(1), aggregate(1)], 0).unwrap();
    drop(outbox);
    let all = [sinks(), vec![sink("file.new", &[Lane::Aggregates])]].concat();
    let mut outbox = open_for(&path, large(), &all);
    outbox.append(2, vec![aggregate(1)], 0).unwrap();
    let seqs_of_new = seqs(&mut outbox, "file.new", Lane::Aggregates);
    outbox.acknowledge("file.new", Lane::Aggregates, &seqs_of_new).unwrap();
    assert_eq!(outbox.rewind("file.new", 0).unwrap(), Some(Count { entries: 1, weight: 1 }));
    assert_eq!(seqs(&mut outbox, "file.new", Lane::Aggregates), seqs_of_new);
}

#[test]
fn a_sink_that_is_no_longer_there_is_forgotten_and_its_space_is_freed() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, Options { max_bytes: 8 * SMALL, ..large() });
    for mark in 1..=100 {
        outbox.append(mark, vec![entry(Lane::Aggregates, 700, 1)], 0).unwrap();
        let seqs = seqs(&mut outbox, DATABASE, Lane::Aggregates);
        outbox.acknowledge(DATABASE, Lane::Aggregates, &seqs).unwrap();
    }
    assert_eq!(outbox.forget(CLOUD).unwrap(), None, "it takes entries");
    let before = on_disk(&path);
    drop(outbox);
    let others = &sinks()[1..];
    let mut outbox = open_for(&path, Options { max_bytes: 8 * SMALL, ..large() }, others);
    assert_eq!(outbox.forget("nobody").unwrap(), None);
    assert_eq!(outbox.forget(CLOUD).unwrap(), Some(Count { entries: 100, weight: 100 }));
    assert_eq!(outbox.totals(CLOUD), None);
    drop(outbox);
    let mut outbox = open_for(&path, Options { max_bytes: 8 * SMALL, ..large() }, others);
    assert_eq!(outbox.totals(CLOUD), None);
    outbox.append(101, vec![aggregate(1)], 0).unwrap();
    outbox.flush().unwrap();
    assert!(on_disk(&path) * 3 < before, "{} of {before}", on_disk(&path));
}

#[test]
fn a_sink_that_is_not_configured_gets_nothing_new_and_keeps_what_is_queued() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![aggregate(1), reading(1)], 0).unwrap();
    drop(outbox);
    let mut outbox = open_for(&path, large(), &sinks()[..1]);
    assert!(!outbox.takes(Lane::Readings));
    outbox.append(2, vec![aggregate(1), reading(1)], 0).unwrap();
    drop(outbox);
    let mut outbox = open(&path);
    outbox.append(3, vec![aggregate(1), reading(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Aggregates), [1, 3]);
    assert_eq!(seqs(&mut outbox, DATABASE, Lane::Readings), [1, 3]);
    assert_eq!(totals(&outbox, DATABASE).accepted.entries, 4);
}

#[test]
fn keeps_the_newest_thousand_ranges_and_counts_all() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..2400).map(|_| aggregate(1)).collect(), 0).unwrap();
    seqs(&mut outbox, CLOUD, Lane::Aggregates);
    for first in (1..=2400).step_by(600) {
        let every_second: Vec<u64> = (first..first + 600).step_by(2).collect();
        outbox.discard(CLOUD, Lane::Aggregates, &every_second, 0).unwrap();
    }
    let kept = outbox.dropped(CLOUD);
    assert_eq!(kept.len(), 1000);
    assert_eq!((kept[0].seq_from, kept[999].seq_to), (401, 2399));
    assert_eq!(totals(&outbox, CLOUD).dropped_refused.entries, 1200);
}

#[test]
fn no_more_than_the_limit_is_ever_in_flight() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..MAX_IN_FLIGHT + 9).map(|_| aggregate(1)).collect(), 0).unwrap();
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates).len(), MAX_IN_FLIGHT);
    assert_eq!(seqs(&mut outbox, CLOUD, Lane::Aggregates).len(), MAX_IN_FLIGHT, "the same ones again");
    let last = MAX_IN_FLIGHT as u64;
    assert_eq!(outbox.fetch(CLOUD, Lane::Aggregates, last, 10).unwrap(), []);
    assert_eq!(outbox.fetch(DATABASE, Lane::Aggregates, last, 1).unwrap()[0].seq, last + 1);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &[1, 2]).unwrap();
    let further = outbox.fetch(CLOUD, Lane::Aggregates, last, 10).unwrap();
    assert_eq!(further.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [last + 1, last + 2]);
}

#[test]
fn one_answer_is_bounded_in_bytes_and_never_empty() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let big = || entry(Lane::Aggregates, 3 * 1024 * 1024, 1);
    outbox.append(1, vec![entry(Lane::Aggregates, 15 * 1024 * 1024, 1), big(), big(), big()], 0).unwrap();
    assert_eq!(outbox.fetch(CLOUD, Lane::Aggregates, 0, 64).unwrap().len(), 1);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &[1]).unwrap();
    assert_eq!(outbox.fetch(CLOUD, Lane::Aggregates, 1, 64).unwrap().len(), 2);
    assert_eq!(outbox.fetch(CLOUD, Lane::Aggregates, 3, 64).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_stored_cannot_be_made() {
    let bytes = MAX_PAYLOAD_BYTES + 1;
    let made = Entry::new(Lane::Alerts, vec![0; bytes], vec![]);
    assert_eq!(made, Err(EntryError::PayloadTooLarge { bytes }));
    let made_with = |shares| Entry::new(Lane::Alerts, vec![], shares);
    let share = |length| Share { account: "a".repeat(length).into(), weight: 1 };
    assert_eq!(made_with(vec![share(129)]), Err(EntryError::AccountTooLong { bytes: 129 }));
    let shares = MAX_ACCOUNTS + 1;
    assert_eq!(made_with(vec![share(1); shares]), Err(EntryError::TooManyShares { shares }));
    assert!(made_with(vec![share(128); MAX_ACCOUNTS]).is_ok());
}

#[test]
fn the_files_stay_as_large_as_the_outbox_may_be() {
    let (_dir, path) = fast_place();
    let max_bytes = 2 * 1024 * 1024;
    let mut outbox = open_with(&path, Options { max_bytes, ..large() });
    for round in 0..400 {
        let entries = (0..100).map(|i| entry(Lane::Aggregates, 300 + 7 * i, 1)).collect();
        outbox.append(round, entries, 0).unwrap();
        let size = on_disk(&path);
        assert!(size < max_bytes + 64 * 1024, "{size}");
    }
    assert!(totals(&outbox, CLOUD).dropped_full.entries > 30_000, "it was filled several times over");
}

#[test]
fn an_outbox_whose_sinks_have_everything_is_small() {
    let (_dir, path) = fast_place();
    let mut outbox = open_with(&path, Options { max_bytes: 4 * 1024 * 1024, ..large() });
    for mark in 1..200 {
        outbox.append(mark, (0..30).map(|_| entry(Lane::Aggregates, 1000, 1)).collect(), 0).unwrap();
        for sink in [CLOUD, DATABASE] {
            let found = seqs(&mut outbox, sink, Lane::Aggregates);
            outbox.acknowledge(sink, Lane::Aggregates, &found).unwrap();
        }
        assert!(on_disk(&path) < 1024 * 1024, "{}", on_disk(&path));
    }
}

#[test]
fn a_second_process_is_refused() {
    let (_dir, path) = place();
    let outbox = open(&path);
    assert!(matches!(Outbox::open(&path, large(), &sinks()), Err(OutboxError::InUse { .. })));
    assert!(matches!(Outbox::inspect(&path), Err(OutboxError::InUse { .. })));
    drop(outbox);
    open(&path);
}

#[test]
fn another_version_is_refused_and_every_file_left_as_it_is() {
    for version in [1, 2, 99_u32] {
        let (_dir, path) = place();
        drop(open(&path));
        let other = path.join("snapshot.0");
        let mut bytes = fs::read(&other).unwrap();
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        let crc = crc32fast::hash(&[&bytes[8..12], &bytes[16..]].concat());
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        fs::write(&other, bytes).unwrap();
        let before = files(&path);
        let error = Outbox::open(&path, large(), &sinks()).unwrap_err();
        assert!(
            matches!(error, OutboxError::OtherVersion { found, supported: 3, .. } if found == version),
            "{error}"
        );
        assert!(matches!(Outbox::inspect(&path), Err(OutboxError::OtherVersion { .. })));
        assert_eq!(files(&path), before);
    }
}

#[test]
fn the_end_of_a_batch_is_known_after_a_restart() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![aggregate(1), aggregate(2), aggregate(4)], 0).unwrap();
    let fix = |end| outbox::Request::FixBatch { sink: CLOUD.into(), lane: Lane::Aggregates, end };
    outbox.apply(&[fix(2)]).unwrap();
    outbox.apply(&[fix(1)]).unwrap();
    for _ in 0..2 {
        drop(outbox);
        outbox = open(&path);
        let ends = outbox.batch_ends(CLOUD);
        assert_eq!((ends.alerts, ends.aggregates, ends.readings), (0, 2, 0));
        assert_eq!(outbox.batch_ends(DATABASE).aggregates, 0);
        assert_eq!(outbox.batch_ends("unknown").aggregates, 0);
        outbox.flush().unwrap();
    }
}

#[test]
fn inspection_refuses_damaged_files_and_leaves_them_as_they_are() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![alert(1)], 0).unwrap();
    outbox.append(2, vec![alert(1)], 0).unwrap();
    outbox.flush().unwrap();
    drop(outbox);
    let logs = fs::read_dir(path.join("alerts")).unwrap().map(|file| file.unwrap().path());
    let log = logs.min().unwrap();
    let middle = fs::read(&log).unwrap().len() / 2;
    for (file, at) in [(path.join("snapshot.0"), 30), (log, middle)] {
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        for byte in &mut damaged[at..at + 20] {
            *byte ^= 1;
        }
        fs::write(&file, &damaged).unwrap();
        let before = files(&path);
        let error = Outbox::inspect(&path).unwrap_err();
        assert!(error.to_string().contains("the next start repairs it"), "{error}");
        assert_eq!(files(&path), before);
        fs::write(&file, whole).unwrap();
    }
    Outbox::inspect(&path).unwrap();
}

#[test]
fn inspection_tells_what_the_outbox_holds_and_changes_nothing() {
    let (_dir, path) = place();
    assert!(Outbox::inspect(&path).is_err());
    assert!(!path.exists());
    let mut outbox = open(&path);
    outbox.append(5, vec![aggregate(1), aggregate(2)], 0).unwrap();
    seqs(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.discard(CLOUD, Lane::Aggregates, &[1], 9).unwrap();
    let (totals, dropped) = (totals(&outbox, CLOUD), outbox.dropped(CLOUD));
    drop(outbox);
    let before = files(&path);
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!((found.mark, found.next_seq, found.sinks.len()), (5, 3, 2));
    let cloud = &found.sinks[0];
    assert_eq!((&*cloud.name, &cloud.totals, &cloud.dropped), (CLOUD, &totals, &dropped));
    assert_eq!(files(&path), before);
}

#[test]
fn each_account_has_counters_of_its_own() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let of = |shares: &[(&str, u32)]| {
        let shares =
            shares.iter().map(|(account, weight)| Share { account: (*account).into(), weight: *weight });
        Entry::new(Lane::Aggregates, vec![], shares.collect()).unwrap()
    };
    let entries =
        vec![of(&[("a", 3), ("b", 4)]), of(&[("b", 5)]), of(&[]), of(&[("a", u32::MAX), ("a", u32::MAX)])];
    outbox.append(1, entries, 0).unwrap();
    seqs(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &[1]).unwrap();
    outbox.discard(CLOUD, Lane::Aggregates, &[2], 0).unwrap();
    drop(outbox);
    let outbox = open(&path);
    let most = 2 * u64::from(u32::MAX);
    let a = Account { accepted: 3 + most, published: 3, queued: most, ..Account::default() };
    let b = Account { accepted: 9, published: 4, dropped_refused: 5, ..Account::default() };
    assert_eq!(*outbox.accounts(CLOUD).unwrap(), Accounts::from([("a".into(), a), ("b".into(), b)]));
    assert_eq!(totals(&outbox, CLOUD).accepted, Count { entries: 4, weight: 12 + most });
    let a = Account { accepted: 3 + most, queued: 3 + most, ..Account::default() };
    assert_eq!(outbox.accounts(DATABASE).unwrap()["a"], a);
}

#[test]
fn accounts_beyond_the_limit_are_one() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let count = MAX_ACCOUNTS as u64 + 44;
    let named = |at: u64| {
        let shares = vec![Share { account: format!("adapter-{at}").into(), weight: 1 }];
        Entry::new(Lane::Aggregates, vec![], shares).unwrap()
    };
    outbox.append(1, (0..count).map(named).collect(), 0).unwrap();
    drop(outbox);
    let mut outbox = open(&path);
    assert_eq!(outbox.accounts(CLOUD).unwrap().len(), MAX_ACCOUNTS);
    assert_eq!(outbox.accounts(CLOUD).unwrap()["other"].queued, 45);
    let all = seqs(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &all).unwrap();
    let accounts = outbox.accounts(CLOUD).unwrap();
    assert!(accounts.values().all(|account| account.queued == 0 && account.balanced()));
    assert_eq!(accounts["other"].published, 45);
}
