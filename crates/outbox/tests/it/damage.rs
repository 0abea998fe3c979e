//! Every byte of a small store flipped, every file cut to every length, filled with garbage or taken away: it always
//! opens, the counters balance, and what comes out went in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod while_open;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::common::{entry, fast_place, large, open, seqs};
use outbox::{
    Accounts, Body, Count, Damage, DropReason, Entry, Outbox, Priority, Recovery, Share, Stored, Totals,
};

/// Every so many times the store is used further.
const SOMETIMES: usize = 8;
const PAGE: usize = 4096;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A store before the damage.
struct Before {
    files: Files,
    totals: Totals,
    accounts: Accounts,
    mark: u64,
    next_seq: u64,
    queue: BTreeMap<u64, Stored>,
}

fn of(account: &str, priority: Priority, length: usize, weight: u32) -> Entry {
    let body = Body::new([b"{\"seq\":".as_slice(), &vec![b'x'; length], b"}"].concat(), 7).unwrap();
    let shares = vec![Share { account: account.into(), weight }, Share { account: "both".into(), weight: 1 }];
    Entry::new(priority, format!("topic/{account}"), body, shares).unwrap()
}

fn everything(outbox: &mut Outbox) -> BTreeMap<u64, Stored> {
    let mut all = outbox.fetch(Priority::Urgent, 0, usize::MAX).unwrap();
    all.extend(outbox.fetch(Priority::Normal, 0, usize::MAX).unwrap());
    all.into_iter().map(|stored| (stored.seq, stored)).collect()
}

/// Some were published and dropped before.
fn fill(outbox: &mut Outbox, marks: std::ops::RangeInclusive<u64>) {
    for mark in marks.clone() {
        let priority = if mark % 4 == 0 { Priority::Urgent } else { Priority::Normal };
        let account = ["mqtt.floor", "lorawan.roof"][usize::try_from(mark % 2).unwrap()];
        let weight = u32::try_from(mark).unwrap();
        let length = 60 + 20 * (mark as usize % 5);
        outbox.append(mark, vec![of(account, priority, length, weight)], 7).unwrap();
    }
    let first = *marks.start();
    outbox.acknowledge(&[first, first + 1]).unwrap();
    outbox.discard(&[first + 2], 9).unwrap();
}

fn before(path: &Path, outbox: &mut Outbox) -> Before {
    let names = fs::read_dir(path).unwrap().map(|file| file.unwrap().file_name());
    Before {
        files: names.map(|name| (name.clone().into(), fs::read(path.join(name)).unwrap())).collect(),
        totals: outbox.totals().clone(),
        accounts: outbox.accounts().clone(),
        mark: outbox.mark(),
        next_seq: outbox.next_seq(),
        queue: everything(outbox),
    }
}

/// All of it is in the newest snapshot.
fn flushed_store() -> Before {
    let (_dir, path) = fast_place();
    let mut outbox = open(&path);
    fill(&mut outbox, 1..=8);
    outbox.flush().unwrap();
    fill(&mut outbox, 9..=16);
    outbox.flush().unwrap();
    before(&path, &mut outbox)
}

/// A store whose process was killed some time after the newest snapshot.
fn killed_store() -> Before {
    let (_dir, path) = fast_place();
    let mut outbox = open(&path);
    fill(&mut outbox, 1..=8);
    outbox.flush().unwrap();
    fill(&mut outbox, 9..=16);
    before(&path, &mut outbox)
}

fn sum(accounts: &Accounts, part: fn(&outbox::Account) -> u64) -> u64 {
    accounts.values().map(part).sum()
}

fn check_counters(outbox: &Outbox) {
    let (totals, accounts) = (outbox.totals(), outbox.accounts());
    assert!(totals.balanced(), "{totals:?}");
    assert!(accounts.values().all(outbox::Account::balanced), "{accounts:?}");
    assert_eq!(sum(accounts, |account| account.accepted), totals.accepted.weight);
    assert_eq!(sum(accounts, |account| account.queued), totals.queued.weight);
    assert_eq!(sum(accounts, |account| account.dropped_damaged), totals.dropped_damaged.weight);
}

/// How many entries are missing, and what was told.
fn check(path: &Path, before: &Before) -> (u64, Option<Damage>) {
    let (outbox, recovery) = Outbox::open(path, large()).unwrap();
    check_opened(outbox, recovery, before)
}

fn check_opened(mut outbox: Outbox, recovery: Recovery, before: &Before) -> (u64, Option<Damage>) {
    check_counters(&outbox);
    let after = everything(&mut outbox);
    assert!(after.iter().all(|(seq, stored)| before.queue.get(seq) == Some(stored)), "only what went in");
    let missing = (before.queue.len() - after.len()) as u64;
    assert!(outbox.next_seq() >= before.next_seq, "{} would come again", outbox.next_seq());
    let totals = outbox.totals();
    assert_eq!(totals.queued.entries, after.len() as u64);
    match &recovery.damage {
        None => {
            assert_eq!(
                (totals, outbox.accounts(), outbox.mark()),
                (&before.totals, &before.accounts, before.mark)
            );
        }
        Some(damage) if damage.counters_lost => {
            assert_eq!((damage.lost, damage.mark_lost, outbox.mark()), (None, true, 0));
            assert_eq!(totals.accepted.entries, after.len() as u64);
        }
        Some(damage) => {
            let weight =
                before.queue.values().filter(|stored| !after.contains_key(&stored.seq)).map(|s| s.weight);
            let lost = Count { entries: missing, weight: weight.sum() };
            assert_eq!((damage.lost, damage.mark_lost, outbox.mark()), (Some(lost), false, before.mark));
            assert_eq!((totals.dropped_damaged, totals.accepted), (lost, before.totals.accepted));
            check_ranges(&outbox, before, &after, lost);
        }
    }
    (missing, recovery.damage)
}

/// What was repaired is whole: it can be used and opened again.
fn check_further_use(path: &Path, before: &Before) {
    let mut outbox = open(path);
    let next = outbox.next_seq();
    outbox.append(before.mark + 1, vec![entry(Priority::Normal, 1, 1)], 0).unwrap();
    let totals = outbox.totals().clone();
    drop(outbox);
    let outbox = open(path);
    assert_eq!((outbox.next_seq(), outbox.totals()), (next + 1, &totals));
}

/// Every lost entry lies in a range that says so, and nothing else does.
fn check_ranges(outbox: &Outbox, before: &Before, after: &BTreeMap<u64, Stored>, lost: Count) {
    let ranges = outbox.dropped().iter().filter(|range| range.reason == DropReason::Damaged);
    let ranges: Vec<_> = ranges.collect();
    assert_eq!(ranges.iter().map(|range| range.weight).sum::<u64>(), lost.weight);
    let told: Vec<u64> = ranges.iter().flat_map(|range| range.seq_from..=range.seq_to).collect();
    let missing: Vec<u64> = before.queue.keys().filter(|seq| !after.contains_key(seq)).copied().collect();
    assert_eq!(told, missing);
}

/// What is tried, for each file: all of it, where nothing else is said.
fn for_each(
    store: &Before,
    cases: impl Fn(&Path, &[u8]) -> Vec<usize>,
    one: impl Fn(&Path, &Path, &[u8], usize) + Sync,
) {
    let cases = store.files.iter().flat_map(|(name, bytes)| {
        cases(name, bytes).into_iter().map(move |at| (name.as_path(), bytes.as_slice(), at))
    });
    let cases = Mutex::new(cases.collect::<Vec<_>>());
    let run = || {
        let (_dir, path) = fast_place();
        loop {
            let next = cases.lock().unwrap().pop();
            let Some((name, bytes, at)) = next else { return };
            fs::remove_dir_all(&path)
                .or_else(
                    |error| {
                        if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
                    },
                )
                .unwrap();
            fs::create_dir(&path).unwrap();
            for (name, bytes) in &store.files {
                fs::write(path.join(name), bytes).unwrap();
            }
            one(&path, name, bytes, at);
            if at.is_multiple_of(SOMETIMES) {
                check_further_use(&path, store);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(run);
        scope.spawn(run);
    });
}

fn is_log(name: &Path) -> bool {
    name.extension().is_some_and(|extension| extension == "journal")
}

#[test]
fn a_flipped_bit_anywhere_costs_one_entry_at_most() {
    let store = flushed_store();
    for_each(
        &store,
        |_, bytes| (0..bytes.len()).collect(),
        |path, name, bytes, at| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            fs::write(path.join(name), bytes).unwrap();
            let (missing, damage) = check(path, &store);
            assert!(missing <= 1, "byte {at} of {name:?} costs {missing}: {damage:?}");
            assert!(missing == 0 || is_log(name));
        },
    );
}

#[test]
fn a_flipped_bit_after_the_snapshot_costs_one_entry_or_the_last_change() {
    let store = killed_store();
    for_each(
        &store,
        |_, bytes| (0..bytes.len()).collect(),
        |path, name, bytes, at| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            fs::write(path.join(name), bytes).unwrap();
            let (outbox, recovery) = Outbox::open(path, large()).unwrap();
            if recovery.damage.is_none() && *outbox.totals() != store.totals {
                // As if power had been cut in the last change, which discarded an entry.
                check_counters(&outbox);
                assert_eq!(
                    outbox.totals().queued.entries,
                    store.totals.queued.entries + 1,
                    "byte {at} of {name:?}"
                );
                return;
            }
            let (missing, damage) = check_opened(outbox, recovery, &store);
            assert!(missing <= 1, "byte {at} of {name:?} costs {missing}: {damage:?}");
        },
    );
}

#[test]
fn files_of_any_length_open_and_what_the_snapshot_knows_is_counted() {
    let store = flushed_store();
    for_each(
        &store,
        |_, bytes| (0..bytes.len()).collect(),
        |path, name, bytes, length| {
            fs::write(path.join(name), &bytes[..length]).unwrap();
            let (missing, damage) = check(path, &store);
            assert!(damage.is_some() || !is_log(name), "{name:?} cut to {length}");
            assert!(missing == 0 || is_log(name));
        },
    );
}

#[test]
fn a_log_of_any_length_opens_with_what_was_committed_by_then() {
    let store = killed_store();
    let of_log =
        |name: &Path, bytes: &[u8]| if is_log(name) { (0..bytes.len()).collect() } else { Vec::new() };
    for_each(&store, of_log, |path, name, bytes, length| {
        fs::write(path.join(name), &bytes[..length]).unwrap();
        let (mut outbox, recovery) = Outbox::open(path, large()).unwrap();
        check_counters(&outbox);
        assert_eq!(outbox.next_seq(), outbox.mark() + 1, "entries and mark of one moment");
        assert!(outbox.mark() >= 8, "what the snapshot knows");
        let after = everything(&mut outbox);
        assert_eq!(after.len() as u64, outbox.totals().queued.entries);
        if outbox.mark() > 8 {
            assert_eq!(recovery.damage, None, "as after a power cut");
        }
    });
}

#[test]
fn files_that_are_garbage_or_gone_cost_what_was_in_them() {
    for store in [flushed_store(), killed_store()] {
        for_each(
            &store,
            |_, _| vec![0, 8, 16, 24],
            |path, name, bytes, at| {
                match at {
                    0 => fs::write(path.join(name), vec![0xa5; bytes.len()]).unwrap(),
                    8 => fs::write(path.join(name), []).unwrap(),
                    16 => fs::remove_file(path.join(name)).unwrap(),
                    _ => fs::write(path.join(name), vec![0; 100_000]).unwrap(),
                }
                let (mut outbox, recovery) = Outbox::open(path, large()).unwrap();
                check_counters(&outbox);
                let after = everything(&mut outbox);
                if is_log(name) {
                    assert!(recovery.damage.unwrap().lost.unwrap().entries > 0);
                    assert_eq!(after.len(), 0);
                } else {
                    assert_eq!(after, store.queue);
                    assert_eq!((outbox.totals(), outbox.mark()), (&store.totals, store.mark));
                }
            },
        );
    }
}

#[test]
fn numbers_and_counters_are_new_where_everything_is_garbage_or_no_snapshot_is_left() {
    let store = killed_store();
    for keep_log in [false, true] {
        let (_dir, path) = fast_place();
        fs::create_dir(&path).unwrap();
        for (name, bytes) in &store.files {
            let garbage = vec![0xa5; bytes.len()];
            fs::write(path.join(name), if keep_log && is_log(name) { bytes } else { &garbage }).unwrap();
        }
        let (mut outbox, recovery) = Outbox::open(&path, large()).unwrap();
        let lost = Damage { lost: None, counters_lost: true, mark_lost: true };
        assert_eq!(recovery.damage, Some(lost));
        assert_eq!((outbox.mark(), outbox.next_seq()), (0, 1 << 40));
        check_counters(&outbox);
        if keep_log {
            assert_eq!(everything(&mut outbox), store.queue);
        } else {
            assert_eq!(seqs(&mut outbox, Priority::Normal), []);
        }
        drop(outbox);
        check_further_use(&path, &store);
    }
}

#[test]
fn several_damaged_changes_cost_no_more_than_their_page() {
    let (_dir, path) = fast_place();
    let mut outbox = open(&path);
    for mark in 1..=300 {
        outbox.append(mark, vec![of("mqtt.floor", Priority::Normal, 500, 3)], 7).unwrap();
    }
    outbox.acknowledge(&(1..=100).collect::<Vec<_>>()).unwrap();
    let store = before(&path, &mut outbox);
    drop(outbox);
    let (log, bytes) = store.files.iter().find(|(name, _)| is_log(name)).unwrap();
    for at in (PAGE..bytes.len() - 3 * PAGE).step_by(1021) {
        let mut bytes = bytes.clone();
        bytes[at..at + PAGE].fill(0xa5);
        fs::write(path.join(log), bytes).unwrap();
        let (mut outbox, recovery) = Outbox::open(&path, large()).unwrap();
        check_counters(&outbox);
        let after = everything(&mut outbox);
        assert!(after.iter().all(|(seq, stored)| store.queue.get(seq).is_none_or(|old| old == stored)));
        let gone: Vec<u64> = store.queue.keys().filter(|seq| !after.contains_key(seq)).copied().collect();
        // An entry and its change take 640 bytes: six of them, and two that reach into the page.
        assert!(gone.len() <= 8, "{gone:?} of the page at {at}");
        let gone = gone.len() as u64;
        assert_eq!(outbox.totals().dropped_damaged.entries, gone, "at {at}: {recovery:?}");
        assert_eq!((outbox.next_seq(), outbox.mark()), (301, 300));
        drop(outbox);
        for (name, bytes) in &store.files {
            fs::write(path.join(name), bytes).unwrap();
        }
        for file in fs::read_dir(&path).unwrap() {
            let file = file.unwrap();
            if !store.files.contains_key(Path::new(&file.file_name())) {
                fs::remove_file(file.path()).unwrap();
            }
        }
    }
}
