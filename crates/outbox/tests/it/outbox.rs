//! What a caller relies on, on a real disk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{
    SHARE_BYTES, body, entry, fast_place, large, normal, open, open_with, place, seqs, urgent,
};
use outbox::{
    Account, Accounts, Body, Count, DropReason, DroppedRange, ENTRY_OVERHEAD, Entry, EntryError,
    MAX_ACCOUNTS, MAX_BODY_BYTES, MAX_IN_FLIGHT, MAX_TOPIC_BYTES, Options, Outbox, OutboxError, Priority,
    Share, WhenFull,
};

/// Room for `entries` of the smallest kind that `common::entry` makes, with a seq of one digit.
fn room_for(entries: u64, when_full: WhenFull) -> Options {
    let size = ENTRY_OVERHEAD + SHARE_BYTES + 5 + body(1, 0).len() as u64;
    Options { max_bytes: entries * size, when_full, spill_after: Duration::ZERO }
}

fn ranges(outbox: &Outbox) -> Vec<(u64, u64, u64, DropReason)> {
    outbox.dropped().iter().map(|r| (r.seq_from, r.seq_to, r.weight, r.reason)).collect()
}

#[test]
fn gives_urgent_and_normal_entries_in_the_order_of_their_numbers() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(10, vec![normal(1), urgent(2), entry(Priority::Normal, 3, 4)], 0).unwrap();
    outbox.append(11, vec![urgent(5)], 0).unwrap();
    assert_eq!(outbox.mark(), 11);
    assert_eq!(seqs(&mut outbox, Priority::Urgent), [2, 4]);
    let found = outbox.fetch(Priority::Normal, 1, 10).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].seq, found[0].priority, found[0].weight), (3, Priority::Normal, 4));
    assert_eq!((found[0].topic.as_str(), &found[0].bytes), ("topic", &body(3, 3)));
    assert_eq!(outbox.fetch(Priority::Normal, u64::MAX, 10).unwrap(), []);
}

#[test]
fn numbers_mark_counters_and_entries_survive_a_reopen() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(7, vec![normal(1), normal(2), normal(4)], 0).unwrap();
    outbox.acknowledge(&[1, 2, 3]).unwrap();
    outbox.append(8, vec![normal(8)], 0).unwrap();
    let totals = outbox.totals().clone();
    drop(outbox);

    let mut outbox = open(&path);
    assert_eq!((outbox.mark(), outbox.next_seq(), outbox.totals()), (8, 5, &totals));
    assert_eq!(totals.published, Count { entries: 3, weight: 7 });
    assert_eq!(totals.queued, Count { entries: 1, weight: 8 });
    assert!(totals.balanced());
    assert_eq!(seqs(&mut outbox, Priority::Normal), [4]);
}

#[test]
fn a_mark_without_entries_is_stored_and_never_goes_back() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(u64::MAX, vec![], 0).unwrap();
    outbox.append(3, vec![], 0).unwrap();
    drop(outbox);
    assert_eq!(open(&path).mark(), u64::MAX);
}

#[test]
fn an_acknowledgement_counts_once_and_only_for_what_is_queued() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![normal(3)], 0).unwrap();
    outbox.acknowledge(&[1, 1, 2, 0, u64::MAX]).unwrap();
    outbox.acknowledge(&[1]).unwrap();
    assert_eq!(outbox.totals().published, Count { entries: 1, weight: 3 });
    assert_eq!(outbox.totals().queued_bytes, 0);
    assert!(outbox.totals().balanced());
}

#[test]
fn what_the_consumer_refuses_is_dropped_and_recorded() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![normal(3), normal(4)], 0).unwrap();
    outbox.discard(&[2, 9], 777).unwrap();
    let range = DroppedRange { seq_from: 2, seq_to: 2, weight: 4, reason: DropReason::Refused, at_ms: 777 };
    assert_eq!(outbox.dropped(), [range]);
    assert_eq!(outbox.totals().dropped_refused, Count { entries: 1, weight: 4 });
    assert!(outbox.totals().balanced());
}

#[test]
fn drop_oldest_takes_the_oldest_normal_entries_first() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, room_for(3, WhenFull::DropOldest));
    outbox.append(1, vec![urgent(1), normal(2), normal(4)], 0).unwrap();
    outbox.append(2, vec![normal(8)], 50).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Urgent), [1]);
    assert_eq!(ranges(&outbox), [(2, 2, 2, DropReason::Full)]);
    assert_eq!(outbox.dropped()[0].at_ms, 50);
    assert_eq!(outbox.totals().dropped_full, Count { entries: 1, weight: 2 });
}

#[test]
fn drop_oldest_takes_urgent_entries_only_when_no_normal_one_is_left() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, room_for(3, WhenFull::DropOldest));
    outbox.append(1, vec![urgent(1), normal(1), urgent(1)], 0).unwrap();
    outbox.append(2, vec![urgent(1)], 0).unwrap();
    assert_eq!(ranges(&outbox), [(2, 2, 1, DropReason::Full)]);
    outbox.append(3, vec![urgent(1)], 0).unwrap();
    assert_eq!(ranges(&outbox), [(1, 2, 2, DropReason::Full)]);
    outbox.append(4, vec![normal(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Urgent), [3, 4, 5], "no urgent one goes for a normal one");
    assert_eq!(ranges(&outbox), [(1, 2, 2, DropReason::Full), (6, 6, 1, DropReason::Full)]);
}

#[test]
fn drop_newest_refuses_new_normal_entries_which_leave_a_hole() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, room_for(2, WhenFull::DropNewest));
    outbox.append(1, vec![normal(1), normal(2), normal(4)], 0).unwrap();
    assert_eq!(ranges(&outbox), [(3, 3, 4, DropReason::Full)]);
    outbox.append(2, vec![urgent(8)], 0).unwrap();
    assert_eq!(
        ranges(&outbox),
        [(2, 3, 6, DropReason::Full)],
        "the newest normal one goes for an urgent one"
    );
    outbox.append(3, vec![urgent(1), urgent(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Urgent), [4, 5]);
    assert_eq!(seqs(&mut outbox, Priority::Normal), []);
    assert!(outbox.totals().balanced());
}

#[test]
fn what_is_in_flight_is_not_dropped() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, room_for(3, WhenFull::DropOldest));
    outbox.append(1, vec![normal(1), normal(1), normal(1)], 0).unwrap();
    assert_eq!(outbox.fetch(Priority::Normal, 0, 2).unwrap().len(), 2);
    outbox.append(2, vec![normal(1), normal(1)], 0).unwrap();
    assert_eq!(ranges(&outbox), [(3, 4, 2, DropReason::Full)]);
    outbox.acknowledge(&[1]).unwrap();
    outbox.append(3, vec![normal(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Normal), [2, 5, 6]);
}

#[test]
fn an_entry_that_could_never_fit_is_dropped_and_takes_nothing_with_it() {
    let (_dir, path) = place();
    let mut outbox = open_with(&path, room_for(2, WhenFull::DropOldest));
    outbox.append(1, vec![normal(1), normal(1)], 0).unwrap();
    outbox.append(2, vec![entry(Priority::Urgent, 10_000, 9)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Normal), [1, 2]);
    assert_eq!(ranges(&outbox), [(3, 3, 9, DropReason::Full)]);
}

#[test]
fn a_smaller_limit_after_a_restart_is_kept_at_the_next_append() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..9).map(|_| normal(1)).collect(), 0).unwrap();
    drop(outbox);
    let options = room_for(3, WhenFull::DropOldest);
    let mut outbox = open_with(&path, options);
    outbox.append(2, vec![urgent(1)], 0).unwrap();
    assert!(outbox.totals().queued_bytes <= options.max_bytes);
    assert_eq!(ranges(&outbox), [(1, 8, 8, DropReason::Full)]);
}

#[test]
fn keeps_the_newest_thousand_ranges_and_counts_all() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..2400).map(|_| normal(1)).collect(), 0).unwrap();
    for first in (1..=2400).step_by(600) {
        let every_second: Vec<u64> = (first..first + 600).step_by(2).collect();
        outbox.discard(&every_second, 0).unwrap();
    }
    let kept = outbox.dropped();
    assert_eq!(kept.len(), 1000);
    assert_eq!((kept[0].seq_from, kept[999].seq_to), (401, 2399));
    assert_eq!(outbox.totals().dropped_refused.entries, 1200);
}

#[test]
fn no_more_than_the_limit_is_ever_in_flight() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, (0..1500).map(|_| normal(1)).collect(), 0).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Normal).len(), MAX_IN_FLIGHT);
    assert_eq!(
        seqs(&mut outbox, Priority::Normal).len(),
        MAX_IN_FLIGHT,
        "the same ones may be fetched again"
    );
    assert_eq!(outbox.fetch(Priority::Normal, 1024, 10).unwrap(), []);
    outbox.acknowledge(&[1, 2]).unwrap();
    let further = outbox.fetch(Priority::Normal, 1024, 10).unwrap();
    assert_eq!(further.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1025, 1026]);
}

#[test]
fn one_answer_is_bounded_in_bytes_and_never_empty() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let big = || entry(Priority::Normal, 3 * 1024 * 1024, 1);
    outbox.append(1, vec![entry(Priority::Normal, 15 * 1024 * 1024, 1), big(), big(), big()], 0).unwrap();
    assert_eq!(outbox.fetch(Priority::Normal, 0, 64).unwrap().len(), 1);
    assert_eq!(outbox.fetch(Priority::Normal, 1, 64).unwrap().len(), 2);
    assert_eq!(outbox.fetch(Priority::Normal, 3, 64).unwrap().len(), 1);
}

#[test]
fn what_cannot_be_stored_cannot_be_made() {
    assert_eq!(Body::new(vec![0; 3], 4), Err(EntryError::SeqOutside { seq_at: 4, bytes: 3 }));
    let bytes = MAX_BODY_BYTES + 1;
    assert_eq!(Body::new(vec![0; bytes], 0), Err(EntryError::BodyTooLarge { bytes }));
    let bytes = MAX_TOPIC_BYTES + 1;
    let body = Body::new(vec![], 0).unwrap();
    let entry = Entry::new(Priority::Normal, "t".repeat(bytes), body.clone(), vec![]);
    assert_eq!(entry, Err(EntryError::TopicTooLong { bytes }));
    let made_with = |shares| Entry::new(Priority::Normal, String::new(), body.clone(), shares);
    let share = |length| Share { account: "a".repeat(length).into(), weight: 1 };
    assert_eq!(made_with(vec![share(129)]), Err(EntryError::AccountTooLong { bytes: 129 }));
    let shares = MAX_ACCOUNTS + 1;
    assert_eq!(made_with(vec![share(1); shares]), Err(EntryError::TooManyShares { shares }));
    assert!(made_with(vec![share(128); MAX_ACCOUNTS]).is_ok());
}

/// Bytes of all files.
fn on_disk(dir: &Path) -> u64 {
    fs::read_dir(dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn the_files_stay_about_as_large_as_the_queue_may_be() {
    let (_dir, path) = fast_place();
    let max_bytes = 2 * 1024 * 1024;
    let mut outbox = open_with(&path, Options { max_bytes, ..large() });
    for round in 0..400 {
        let entries = (0..100).map(|i| entry(Priority::Normal, 300 + 7 * i, 1)).collect();
        outbox.append(round, entries, 0).unwrap();
        let size = on_disk(&path);
        assert!(size < 2 * max_bytes + 8 * 1024 * 1024, "{size}");
    }
    assert!(outbox.totals().dropped_full.entries > 30_000, "it was filled several times over");
}

#[test]
fn entries_that_stay_for_long_do_not_keep_everything_behind_them() {
    let (_dir, path) = fast_place();
    let mut outbox = open_with(&path, Options { max_bytes: 4 * 1024 * 1024, ..large() });
    // An alert, and entries in flight: none of them may be dropped for normal ones.
    outbox.append(1, vec![urgent(7), normal(1), normal(1)], 0).unwrap();
    assert_eq!(seqs(&mut outbox, Priority::Normal), [2, 3]);
    for mark in 2..1000 {
        outbox.append(mark, (0..30).map(|_| entry(Priority::Normal, 2000, 1)).collect(), 0).unwrap();
    }
    assert!(on_disk(&path) < 17 * 1024 * 1024, "{}", on_disk(&path));
    drop(outbox);
    let mut outbox = open(&path);
    assert_eq!(seqs(&mut outbox, Priority::Urgent), [1]);
    let oldest = outbox.fetch(Priority::Normal, 0, 3).unwrap();
    assert_eq!((oldest[0].seq, oldest[1].seq, &oldest[1].bytes), (2, 3, &body(3, 0)));
    assert!(oldest[2].seq > 20_000);
}

#[test]
fn a_second_process_is_refused() {
    let (_dir, path) = place();
    let outbox = open(&path);
    assert!(matches!(Outbox::open(&path, large()), Err(OutboxError::InUse { .. })));
    assert!(matches!(Outbox::inspect(&path), Err(OutboxError::InUse { .. })));
    drop(outbox);
    open(&path);
}

#[test]
fn a_newer_version_is_refused_and_every_file_left_as_it_is() {
    let (_dir, path) = place();
    drop(open(&path));
    let newer = path.join("snapshot.0");
    let mut bytes = fs::read(&newer).unwrap();
    bytes[8..12].copy_from_slice(&99_u32.to_le_bytes());
    let crc = crc32fast::hash(&[&bytes[8..12], &bytes[16..]].concat());
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&newer, bytes).unwrap();
    let before = files(&path);
    let error = Outbox::open(&path, large()).unwrap_err();
    assert!(matches!(error, OutboxError::NewerVersion { found: 99, supported: 1, .. }), "{error}");
    assert!(matches!(Outbox::inspect(&path), Err(OutboxError::NewerVersion { .. })));
    assert_eq!(files(&path), before);
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn inspection_refuses_damaged_files_and_leaves_them_as_they_are() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    outbox.append(1, vec![normal(1)], 0).unwrap();
    outbox.append(2, vec![normal(1)], 0).unwrap();
    drop(outbox);
    for (file, at) in [("snapshot.0", 30), ("00000000000000000001.journal", 60)] {
        let file = path.join(file);
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
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
    outbox.append(5, vec![normal(1), normal(2)], 0).unwrap();
    outbox.discard(&[1], 9).unwrap();
    let (totals, dropped) = (outbox.totals().clone(), outbox.dropped().to_vec());
    drop(outbox);
    let before = files(&path);
    let found = Outbox::inspect(&path).unwrap();
    assert_eq!((found.totals, found.mark, found.next_seq, found.dropped), (totals, 5, 3, dropped));
    assert_eq!(files(&path), before);
}

#[test]
fn each_account_has_counters_of_its_own() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let of = |shares: &[(&str, u32)]| {
        let shares =
            shares.iter().map(|(account, weight)| Share { account: (*account).into(), weight: *weight });
        let body = Body::new(vec![], 0).unwrap();
        Entry::new(Priority::Normal, "t".to_owned(), body, shares.collect()).unwrap()
    };
    let entries =
        vec![of(&[("a", 3), ("b", 4)]), of(&[("b", 5)]), of(&[]), of(&[("a", u32::MAX), ("a", u32::MAX)])];
    outbox.append(1, entries, 0).unwrap();
    outbox.acknowledge(&[1]).unwrap();
    outbox.discard(&[2], 0).unwrap();
    drop(outbox);
    let outbox = open(&path);
    let most = 2 * u64::from(u32::MAX);
    let a = Account { accepted: 3 + most, published: 3, queued: most, ..Account::default() };
    let b = Account { accepted: 9, published: 4, dropped_refused: 5, ..Account::default() };
    assert_eq!(*outbox.accounts(), Accounts::from([("a".into(), a), ("b".into(), b)]));
    assert_eq!(outbox.totals().accepted, Count { entries: 4, weight: 12 + most });
    assert_eq!(Outbox::inspect(&path).map_err(|error| matches!(error, OutboxError::InUse { .. })), Err(true));
}

#[test]
fn accounts_beyond_the_limit_are_one() {
    let (_dir, path) = place();
    let mut outbox = open(&path);
    let count = MAX_ACCOUNTS as u64 + 44;
    let named = |at: u64| {
        let shares = vec![Share { account: format!("adapter-{at}").into(), weight: 1 }];
        Entry::new(Priority::Normal, "t".to_owned(), Body::new(vec![], 0).unwrap(), shares).unwrap()
    };
    outbox.append(1, (0..count).map(named).collect(), 0).unwrap();
    drop(outbox);
    let mut outbox = open(&path);
    assert_eq!(outbox.accounts().len(), MAX_ACCOUNTS);
    assert_eq!(outbox.accounts()["other"].queued, 45);
    outbox.acknowledge(&(1..=count).collect::<Vec<_>>()).unwrap();
    assert!(outbox.accounts().values().all(|account| account.queued == 0 && account.balanced()));
    assert_eq!(outbox.accounts()["other"].published, 45);
}
