//! Every byte of a small outbox flipped, every file cut to every length, filled with garbage or taken away: it always
//! opens, the counters balance, and what comes out went in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod while_open;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use crate::common::{CLOUD, DATABASE, SINKS, aggregate, fast_place, lanes_of, large, open, queued, sinks};
use outbox::{Accounts, Count, Damage, DropReason, Entry, Lane, Outbox, Recovery, Share, Stored, Totals};

/// Every so many times the outbox is used further.
const SOMETIMES: usize = 8;
const PAGE: usize = 4096;

type Files = BTreeMap<PathBuf, Vec<u8>>;
type Queue = BTreeMap<(Lane, u64), Stored>;

/// An outbox before the damage.
struct Before {
    files: Files,
    mark: u64,
    next: [u64; 2],
    sinks: BTreeMap<&'static str, SinkBefore>,
}

struct SinkBefore {
    totals: Totals,
    accounts: Accounts,
    queue: Queue,
}

fn of(account: &str, lane: Lane, length: usize, weight: u32) -> Entry {
    let payload = [account.as_bytes(), &vec![b'x'; length]].concat();
    let shares = vec![Share { account: account.into(), weight }, Share { account: "both".into(), weight: 1 }];
    Entry::new(lane, payload, shares).unwrap()
}

fn everything(outbox: &mut Outbox, sink: &str) -> Queue {
    let all = lanes_of(sink).into_iter().flat_map(|lane| queued(outbox, sink, lane));
    all.map(|stored| ((stored.lane, stored.seq), stored)).collect()
}

/// The lane of the entry that is appended with this mark.
fn lane_of(mark: u64) -> Lane {
    match mark % 4 {
        0 => Lane::Alerts,
        3 => Lane::Readings,
        _ => Lane::Aggregates,
    }
}

/// Some were published and dropped before.
fn fill(outbox: &mut Outbox, marks: std::ops::RangeInclusive<u64>) {
    for mark in marks {
        let account = ["mqtt.floor", "lorawan.roof"][usize::try_from(mark % 2).unwrap()];
        let length = 60 + 20 * (mark as usize % 5);
        let entry = of(account, lane_of(mark), length, u32::try_from(mark).unwrap());
        outbox.append(mark, vec![entry], 7).unwrap();
    }
    let first: Vec<u64> = queued(outbox, CLOUD, Lane::Aggregates).iter().map(|stored| stored.seq).collect();
    outbox.acknowledge(CLOUD, Lane::Aggregates, &first[..1]).unwrap();
    outbox.discard(CLOUD, Lane::Aggregates, &first[1..2], 9).unwrap();
    let readings: Vec<u64> = queued(outbox, DATABASE, Lane::Readings).iter().map(|s| s.seq).collect();
    outbox.acknowledge(DATABASE, Lane::Readings, &readings[..1]).unwrap();
}

fn files(path: &Path) -> Files {
    let mut files = Files::new();
    for file in fs::read_dir(path).unwrap().map(|file| file.unwrap().path()) {
        if file.is_dir() {
            let name = PathBuf::from(file.file_name().unwrap());
            files.extend(self::files(&file).into_iter().map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            files.insert(file.file_name().unwrap().into(), fs::read(&file).unwrap());
        }
    }
    files
}

fn restore(path: &Path, files: &Files) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
    for (name, bytes) in files {
        fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        fs::write(path.join(name), bytes).unwrap();
    }
}

fn next_of(outbox: &Outbox) -> [u64; 2] {
    [outbox.next_seq(Lane::Alerts), outbox.next_seq(Lane::Readings)]
}

fn before(path: &Path, outbox: &mut Outbox) -> Before {
    let files = files(path);
    let sinks = SINKS.map(|sink| {
        let (totals, accounts) =
            (outbox.totals(sink).unwrap().clone(), outbox.accounts(sink).unwrap().clone());
        (sink, SinkBefore { totals, accounts, queue: everything(outbox, sink) })
    });
    Before { files, mark: outbox.mark(), next: next_of(outbox), sinks: sinks.into() }
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

/// The process was killed some time after the newest snapshot.
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
    for sink in SINKS {
        let (totals, accounts) = (outbox.totals(sink).unwrap(), outbox.accounts(sink).unwrap());
        assert!(totals.balanced(), "{totals:?}");
        assert!(accounts.values().all(outbox::Account::balanced), "{accounts:?}");
        assert_eq!(sum(accounts, |account| account.accepted), totals.accepted.weight);
        assert_eq!(sum(accounts, |account| account.queued), totals.queued.weight);
        assert_eq!(sum(accounts, |account| account.dropped_damaged), totals.dropped_damaged.weight);
    }
}

/// How many entries are missing for the sink that misses most, and what was reported.
fn check(path: &Path, before: &Before) -> (u64, Option<Damage>) {
    let (outbox, recovery) = Outbox::open(path, large(), &sinks()).unwrap();
    check_opened(outbox, recovery, before)
}

fn check_opened(mut outbox: Outbox, recovery: Recovery, before: &Before) -> (u64, Option<Damage>) {
    check_counters(&outbox);
    let next = next_of(&outbox);
    assert!(next.iter().zip(&before.next).all(|(now, then)| now >= then), "{next:?} would come again");
    let missing = SINKS.map(|sink| check_sink(&mut outbox, &recovery, before, sink));
    (missing.into_iter().max().unwrap(), recovery.damage)
}

fn check_sink(outbox: &mut Outbox, recovery: &Recovery, before: &Before, name: &str) -> u64 {
    let sink = &before.sinks[name];
    let after = everything(outbox, name);
    assert!(after.iter().all(|(seq, stored)| sink.queue.get(seq) == Some(stored)), "only what went in");
    let missing = (sink.queue.len() - after.len()) as u64;
    let (totals, accounts) = (outbox.totals(name).unwrap(), outbox.accounts(name).unwrap());
    assert_eq!(totals.queued.entries, after.len() as u64);
    match &recovery.damage {
        None => {
            assert_eq!((totals, accounts, outbox.mark()), (&sink.totals, &sink.accounts, before.mark));
        }
        Some(damage) if damage.counters_lost => {
            assert_eq!((&damage.lost, damage.mark_lost, outbox.mark()), (&None, true, 0));
            assert_eq!(totals.accepted.entries, after.len() as u64);
        }
        Some(damage) => {
            let gone = sink.queue.iter().filter(|(seq, _)| !after.contains_key(seq));
            let lost = Count { entries: missing, weight: gone.map(|(_, stored)| stored.weight).sum() };
            let reported = damage.lost.as_ref().unwrap().get(name).copied().unwrap_or_default();
            assert_eq!((reported, damage.mark_lost, outbox.mark()), (lost, false, before.mark));
            assert_eq!((totals.dropped_damaged, totals.accepted), (lost, sink.totals.accepted));
            check_ranges(outbox, name, &sink.queue, &after, lost);
        }
    }
    missing
}

/// What was repaired is whole: it can be used and opened again.
fn check_further_use(path: &Path, before: &Before) {
    let mut outbox = open(path);
    let next = outbox.next_seq(Lane::Aggregates);
    outbox.append(before.mark + 1, vec![aggregate(1)], 0).unwrap();
    let totals = outbox.totals(CLOUD).unwrap().clone();
    drop(outbox);
    let outbox = open(path);
    assert_eq!((outbox.next_seq(Lane::Aggregates), outbox.totals(CLOUD).unwrap()), (next + 1, &totals));
}

/// Every lost entry lies in a range that says so, and nothing else does.
fn check_ranges(outbox: &Outbox, sink: &str, before: &Queue, after: &Queue, lost: Count) {
    let ranges = outbox.dropped(sink);
    let ranges: Vec<_> = ranges.iter().filter(|range| range.reason == DropReason::Damaged).collect();
    assert_eq!(ranges.iter().map(|range| range.weight).sum::<u64>(), lost.weight);
    let told = ranges.iter().flat_map(|range| (range.seq_from..=range.seq_to).map(|seq| (range.lane, seq)));
    let told: Vec<(Lane, u64)> = told.collect();
    let missing: Vec<(Lane, u64)> = before.keys().filter(|seq| !after.contains_key(seq)).copied().collect();
    assert!(missing.iter().all(|lost| told.contains(lost)), "{missing:?} of {told:?}");
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
            restore(&path, &store.files);
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
            let (outbox, recovery) = Outbox::open(path, large(), &sinks()).unwrap();
            let database = &store.sinks[DATABASE].totals;
            if recovery.damage.is_none() && outbox.totals(DATABASE).unwrap() != database {
                // As if power had been cut in the last change, which acknowledged a reading.
                check_counters(&outbox);
                let queued = outbox.totals(DATABASE).unwrap().queued.entries;
                assert_eq!(queued, database.queued.entries + 1, "byte {at} of {name:?}");
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
fn the_log_with_the_changes_opens_at_any_length_with_what_was_committed_by_then() {
    let store = killed_store();
    let of_log = |name: &Path, bytes: &[u8]| {
        if name.starts_with("aggregates") { (0..bytes.len()).collect() } else { Vec::new() }
    };
    for_each(&store, of_log, |path, name, bytes, length| {
        fs::write(path.join(name), &bytes[..length]).unwrap();
        let (mut outbox, recovery) = Outbox::open(path, large(), &sinks()).unwrap();
        check_counters(&outbox);
        let appended = outbox.next_seq(Lane::Alerts) - 1 + outbox.next_seq(Lane::Readings) - 1;
        assert_eq!(appended, outbox.mark(), "entries and mark of one moment");
        assert!(outbox.mark() >= 8, "what the snapshot knows");
        for sink in SINKS {
            let after = everything(&mut outbox, sink);
            assert_eq!(after.len() as u64, outbox.totals(sink).unwrap().queued.entries);
        }
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
                let (mut outbox, recovery) = Outbox::open(path, large(), &sinks()).unwrap();
                check_counters(&outbox);
                for sink in SINKS {
                    let (after, before) = (everything(&mut outbox, sink), &store.sinks[sink]);
                    if is_log(name) {
                        let left = after.keys().filter(|(lane, _)| name.starts_with(lane.as_str()));
                        assert_eq!(left.count(), 0);
                    } else {
                        assert_eq!(after, before.queue);
                        assert_eq!(
                            (outbox.totals(sink).unwrap(), outbox.mark()),
                            (&before.totals, store.mark)
                        );
                    }
                }
                if is_log(name) {
                    let lost = recovery.damage.unwrap().lost.unwrap();
                    assert!(lost.values().any(|lost| lost.entries > 0));
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
        let garbage = |(name, bytes): (&PathBuf, &Vec<u8>)| {
            let bytes = if keep_log && is_log(name) { bytes.clone() } else { vec![0xa5; bytes.len()] };
            (name.clone(), bytes)
        };
        restore(&path, &store.files.iter().map(garbage).collect());
        let (mut outbox, recovery) = Outbox::open(&path, large(), &sinks()).unwrap();
        let lost = Damage { lost: None, counters_lost: true, mark_lost: true };
        assert_eq!(recovery.damage, Some(lost));
        assert_eq!((outbox.mark(), next_of(&outbox)), (0, [1 << 40, 1 << 40]));
        check_counters(&outbox);
        for sink in SINKS {
            let after = everything(&mut outbox, sink);
            if keep_log {
                let before = &store.sinks[sink].queue;
                assert!(before.iter().all(|(seq, stored)| after.get(seq) == Some(stored)), "{sink}");
            } else {
                assert_eq!(after.len(), 0);
            }
            let totals = outbox.totals(sink).unwrap();
            assert_eq!(totals.queued.entries, after.len() as u64);
            assert_eq!(totals.queued.weight, after.values().map(|stored| stored.weight).sum::<u64>());
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
        outbox.append(mark, vec![of("mqtt.floor", Lane::Aggregates, 500, 3)], 7).unwrap();
    }
    queued(&mut outbox, CLOUD, Lane::Aggregates);
    outbox.acknowledge(CLOUD, Lane::Aggregates, &(1..=100).collect::<Vec<_>>()).unwrap();
    let store = before(&path, &mut outbox);
    drop(outbox);
    let (log, bytes) = store.files.iter().find(|(name, _)| name.starts_with("aggregates")).unwrap();
    for at in (PAGE..bytes.len() - 3 * PAGE).step_by(1021) {
        let mut bytes = bytes.clone();
        bytes[at..at + PAGE].fill(0xa5);
        restore(&path, &store.files);
        fs::write(path.join(log), bytes).unwrap();
        let (mut outbox, recovery) = Outbox::open(&path, large(), &sinks()).unwrap();
        check_counters(&outbox);
        for sink in SINKS {
            let (after, before) = (everything(&mut outbox, sink), &store.sinks[sink].queue);
            assert!(after.iter().all(|(seq, stored)| before.get(seq).is_none_or(|old| old == stored)));
            let gone: Vec<u64> =
                before.keys().filter(|seq| !after.contains_key(seq)).map(|(_, seq)| *seq).collect();
            // An entry and its change take 640 bytes: six of them, and two that reach into the page.
            assert!(gone.len() <= 8, "{gone:?} of the page at {at}");
            let damaged = outbox.totals(sink).unwrap().dropped_damaged.entries;
            assert_eq!(damaged, gone.len() as u64, "at {at} for {sink}: {recovery:?}");
        }
        assert_eq!((outbox.next_seq(Lane::Aggregates), outbox.mark()), (301, 300));
    }
}
