//! Every byte of a small store flipped, and every length it could be cut to: it always opens, the books balance, and what
//! comes out went in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::common::{entry, fast_place, large, open, open_with, seqs};
use outbox::{
    Accounts, Body, Count, Damage, DropReason, Entry, Options, Outbox, Priority, Recovery, Share, Stored,
    Totals, spawn,
};

const PAGE: usize = 4096;
/// The page where the table of entries begins; without it none can be found.
const QUEUE_ROOT: usize = 2;
/// Entries that fit into a page.
const A_PAGE: u64 = 6;
/// Every so many times the store is used further.
const SOMETIMES: usize = 8;

/// A store before the damage.
struct Before {
    file: Vec<u8>,
    log: Vec<u8>,
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

/// `length`: of a body. Some were published and dropped before.
fn fill(path: &Path, entries: u32, length: usize) -> Outbox {
    let mut outbox = open(path);
    for mark in 1..=u64::from(entries) {
        let priority = if mark % 4 == 0 { Priority::Urgent } else { Priority::Normal };
        let account = ["mqtt.floor", "lorawan.roof"][usize::try_from(mark % 2).unwrap()];
        let weight = u32::try_from(mark).unwrap();
        outbox
            .append(mark, vec![of(account, priority, length + 20 * (mark as usize % 5), weight)], 7)
            .unwrap();
    }
    outbox.acknowledge(&[1, 2]).unwrap();
    outbox.discard(&[3], 9).unwrap();
    outbox
}

fn before(path: &Path, outbox: &mut Outbox) -> Before {
    let log = fs::read(path.with_extension("sqlite-wal")).unwrap_or_default();
    Before {
        file: fs::read(path).unwrap(),
        log,
        totals: outbox.totals().clone(),
        accounts: outbox.accounts().clone(),
        mark: outbox.mark(),
        next_seq: outbox.next_seq(),
        queue: everything(outbox),
    }
}

fn small_store() -> Before {
    let (_dir, path) = fast_place();
    drop(fill(&path, 16, 500));
    let mut outbox = open(&path);
    let mut before = before(&path, &mut outbox);
    drop(outbox);
    before.file = fs::read(&path).unwrap();
    before.log.clear();
    before
}

fn sum(accounts: &Accounts, part: fn(&outbox::Account) -> u64) -> u64 {
    accounts.values().map(part).sum()
}

fn check_books(outbox: &Outbox) {
    let (totals, accounts) = (outbox.totals(), outbox.accounts());
    assert!(totals.balanced(), "{totals:?}");
    assert!(accounts.values().all(outbox::Account::balanced), "{accounts:?}");
    assert_eq!(sum(accounts, |account| account.accepted), totals.accepted.weight);
    assert_eq!(sum(accounts, |account| account.queued), totals.queued.weight);
    assert_eq!(sum(accounts, |account| account.dropped_damaged), totals.dropped_damaged.weight);
}

/// Opens it; how many entries are missing, and what was told.
fn check(path: &Path, before: &Before) -> (u64, Option<Damage>) {
    let (outbox, recovery) = Outbox::open(path, large()).unwrap();
    check_opened(outbox, recovery, before)
}

fn check_opened(mut outbox: Outbox, recovery: Recovery, before: &Before) -> (u64, Option<Damage>) {
    check_books(&outbox);
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
    if let Some(damage) = &recovery.damage {
        assert!(damage.aside.exists());
    }
    (missing, recovery.damage)
}

/// What was repaired is whole: it can be used and opened again.
fn check_further_use(path: &Path, before: &Before) {
    let mut outbox = open(path);
    let next = outbox.next_seq();
    outbox.append(before.mark + 1, vec![entry(Priority::Normal, 1, 1)], 0).unwrap();
    drop(outbox);
    assert_eq!(open(path).next_seq(), next + 1);
}

/// Every lost entry lies in a range that says so.
fn check_ranges(outbox: &Outbox, before: &Before, after: &BTreeMap<u64, Stored>, lost: Count) {
    let mut ranges = outbox.dropped().unwrap();
    ranges.retain(|range| range.reason == DropReason::Damaged);
    assert_eq!(ranges.iter().map(|range| range.weight).sum::<u64>(), lost.weight);
    for seq in before.queue.keys().filter(|seq| !after.contains_key(seq)) {
        assert!(
            ranges.iter().any(|range| (range.seq_from..=range.seq_to).contains(seq)),
            "{seq} in {ranges:?}"
        );
    }
}

/// 1 where everything shall be tried, which takes minutes; else what spares time where neighbours are much alike.
fn stride(usual: usize) -> usize {
    if std::env::var_os("OUTBOX_TEST_EVERY_BYTE").is_some() { 1 } else { usual }
}

/// Runs `one` for every number, on two threads, each with a place of its own.
fn for_each(store: &Before, numbers: impl Iterator<Item = usize> + Send, one: impl Fn(&Path, usize) + Sync) {
    let numbers = Mutex::new(numbers.fuse());
    let run = || {
        let (dir, path) = fast_place();
        loop {
            let next = numbers.lock().unwrap().next();
            let Some(at) = next else { return };
            for left_over in fs::read_dir(dir.path()).unwrap() {
                fs::remove_file(left_over.unwrap().path()).unwrap();
            }
            one(&path, at);
            if at % SOMETIMES == 0 {
                check_further_use(&path, store);
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(run);
        scope.spawn(run);
    });
}

fn put(path: &Path, file: &[u8], log: &[u8]) {
    fs::write(path, file).unwrap();
    if !log.is_empty() {
        fs::write(path.with_extension("sqlite-wal"), log).unwrap();
    }
}

#[test]
fn a_flipped_bit_anywhere_costs_no_more_than_its_page() {
    let store = small_store();
    assert!(store.file.len() >= 8 * PAGE, "entries on several pages");
    for_each(&store, 0..store.file.len(), |path, at| {
        let mut file = store.file.clone();
        file[at] ^= 1 << (at % 8);
        put(path, &file, &[]);
        let (missing, damage) = check(path, &store);
        assert!(missing <= A_PAGE || at / PAGE + 1 == QUEUE_ROOT, "byte {at} costs {missing}: {damage:?}");
    });
}

#[test]
fn a_file_of_any_length_opens() {
    let store = small_store();
    for_each(&store, (0..store.file.len()).step_by(stride(5)), |path, length| {
        put(path, &store.file[..length], &[]);
        let (_, damage) = check(path, &store);
        assert!(damage.is_some(), "cut to {length}");
    });
}

#[test]
fn seqs_and_books_are_new_where_everything_is_garbage() {
    let (_dir, path) = fast_place();
    fs::write(&path, [0xa5; 10_000]).unwrap();
    let (mut outbox, recovery) = Outbox::open(&path, large()).unwrap();
    let damage = recovery.damage.unwrap();
    assert_eq!((damage.lost, damage.counters_lost, damage.mark_lost), (None, true, true));
    assert_eq!(fs::read(damage.aside).unwrap(), [0xa5; 10_000]);
    assert_eq!((outbox.mark(), outbox.next_seq()), (0, 1 << 40));
    assert_eq!(seqs(&mut outbox, Priority::Normal), []);
}

/// A store whose process was killed: much of it is in the log only.
fn killed_store() -> Before {
    let (_dir, path) = fast_place();
    drop(fill(&path, 6, 500));
    let mut outbox = open(&path);
    for mark in 7..=9 {
        outbox.append(mark, vec![of("mqtt.floor", Priority::Normal, 700, 5)], 7).unwrap();
    }
    before(&path, &mut outbox)
}

#[test]
fn a_flipped_bit_in_the_log_costs_no_more_than_two_pages_or_the_last_commit() {
    let store = killed_store();
    assert!(store.log.len() > 6 * PAGE);
    // Headers are tried whole: that of the log has 32 bytes, each page has one of 24 before it.
    let is_header = |at: &usize| *at < 32 || (at - 32) % (24 + PAGE) < 24;
    let log_bytes = (0..store.log.len()).filter(|at| is_header(at) || at % stride(5) == 0);
    for_each(&store, log_bytes, |path, at| {
        let mut log = store.log.clone();
        log[at] ^= 1 << (at % 8);
        put(path, &store.file, &log);
        let (outbox, recovery) = Outbox::open(path, large()).unwrap();
        if recovery.damage.is_none() && outbox.mark() != store.mark {
            // As if power had been cut in the last commit.
            check_books(&outbox);
            assert_eq!((outbox.mark(), outbox.next_seq()), (store.mark - 1, store.next_seq - 1), "byte {at}");
            return;
        }
        let (missing, damage) = check_opened(outbox, recovery, &store);
        assert!(missing <= 2 * A_PAGE, "byte {at} costs {missing}: {damage:?}");
    });
}

#[test]
fn a_log_of_any_length_opens_with_what_was_committed_by_then() {
    let store = killed_store();
    for_each(&store, (0..store.log.len()).step_by(stride(11)), |path, length| {
        put(path, &store.file, &store.log[..length]);
        let (mut outbox, recovery) = Outbox::open(path, large()).unwrap();
        assert_eq!(recovery.damage, None);
        check_books(&outbox);
        assert_eq!(outbox.next_seq(), outbox.mark() + 1, "entries and mark of one moment");
        let after = everything(&mut outbox);
        assert!(after.iter().all(|(seq, stored)| store.queue.get(seq) == Some(stored)));
        assert_eq!(after.len() as u64, outbox.totals().queued.entries);
    });
}

/// Spoils a page in the middle of the file, while it is open.
fn spoil_a_page(path: &Path) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / PAGE as u64 / 2;
    file.seek(SeekFrom::Start(middle * PAGE as u64)).unwrap();
    file.write_all(&[0xa5; PAGE]).unwrap();
}

/// More than SQLite keeps in memory.
fn large_store(path: &Path) -> u64 {
    let mut outbox = open(path);
    let entries = (0..8000).map(|_| of("mqtt.floor", Priority::Normal, 900, 3)).collect();
    outbox.append(1, entries, 5).unwrap();
    8000
}

#[test]
fn damage_found_later_is_repaired_on_the_way() {
    let (_dir, path) = fast_place();
    let entries = large_store(&path);
    let mut outbox = open(&path);
    spoil_a_page(&path);
    let mut came = 0;
    loop {
        let found = outbox.fetch(Priority::Normal, 0, 500).unwrap();
        if found.is_empty() {
            break;
        }
        came += found.len() as u64;
        outbox.acknowledge(&found.iter().map(|stored| stored.seq).collect::<Vec<_>>()).unwrap();
    }
    let lost = outbox.totals().dropped_damaged.entries;
    assert!((1..=A_PAGE).contains(&lost), "{lost}");
    assert_eq!(came + lost, entries);
    check_books(&outbox);
    let ranges = outbox.dropped().unwrap();
    assert_eq!((ranges.len(), ranges[0].seq_to - ranges[0].seq_from + 1), (1, lost));
    drop(outbox);
    open(&path);
}

#[tokio::test]
async fn the_thread_survives_damage_and_keeps_what_was_not_committed() {
    let (_dir, path) = fast_place();
    let entries = large_store(&path);
    let options = Options { spill_after: Duration::from_secs(3600), ..large() };
    let outbox = open_with(&path, options);
    let (handle, thread) = spawn(outbox).unwrap();
    handle
        .append(2, vec![of("mqtt.floor", Priority::Normal, 10, 3), of("b", Priority::Urgent, 10, 4)], 6)
        .await
        .unwrap();
    assert_eq!(handle.fetch(Priority::Urgent, 0, 9).await.unwrap()[0].seq, entries + 2);
    spoil_a_page(&path);
    let mut after = 0;
    let mut came: Vec<u64> = Vec::new();
    while after < entries + 1 {
        let found = handle.fetch(Priority::Normal, after, 500).await.unwrap();
        after = found.last().unwrap().seq;
        let seqs: Vec<u64> = found.iter().map(|stored| stored.seq).collect();
        came.extend(&seqs);
        handle.acknowledge(seqs).await.unwrap();
    }
    handle.acknowledge(vec![entries + 2]).await.unwrap();
    handle.flush().await.unwrap();
    let mut status = handle.status();
    let status = status.wait_for(|status| status.totals.queued.entries == 0).await.unwrap().clone();
    let lost = status.damage.unwrap().lost.unwrap();
    assert!((1..=A_PAGE).contains(&lost.entries), "{lost:?}");
    assert_eq!((status.mark, status.last_error), (2, None));
    assert_eq!(status.totals.dropped_damaged, lost);
    assert_eq!(came.len() as u64 + lost.entries, entries + 1);
    assert_eq!(status.totals.published.entries, came.len() as u64 + 1);
    handle.close().await.unwrap();
    thread.join().unwrap();
    check_books(&open(&path));
}
