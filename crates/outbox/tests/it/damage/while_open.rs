//! A page of the log that is spoilt while the outbox is open: its entries are counted as lost when they are read.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use outbox::{Lane, Options, spawn};

use super::{PAGE, check_counters, is_log, of};
use crate::common::{CLOUD, fast_place, large, open, open_with};

/// Entries of the frames that fit into a page, and of those that reach into it.
const A_PAGE: u64 = 16;

/// Spoils a page in the middle of a segment in the middle, while the outbox is open.
fn spoil_a_page(path: &Path) {
    let mut logs: Vec<PathBuf> =
        fs::read_dir(path.join("aggregates")).unwrap().map(|file| file.unwrap().path()).collect();
    logs.retain(|file| is_log(file));
    logs.sort();
    let file = fs::File::options().write(true).open(&logs[logs.len() / 2]).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    file.write_all_at(&[0xa5; PAGE], middle).unwrap();
}

/// More than is kept in memory.
fn large_store(path: &Path) -> u64 {
    let mut outbox = open(path);
    let entries = (0..8000).map(|_| of("mqtt.floor", Lane::Aggregates, 900, 3)).collect();
    outbox.append(1, entries, 5).unwrap();
    8000
}

#[test]
fn damage_found_later_is_counted_on_the_way() {
    let (_dir, path) = fast_place();
    let entries = large_store(&path);
    let mut outbox = open(&path);
    spoil_a_page(&path);
    let mut came = 0;
    loop {
        let found = outbox.fetch(CLOUD, Lane::Aggregates, 0, 500).unwrap();
        if found.is_empty() {
            break;
        }
        came += found.len() as u64;
        outbox
            .acknowledge(CLOUD, Lane::Aggregates, &found.iter().map(|stored| stored.seq).collect::<Vec<_>>())
            .unwrap();
    }
    let lost = outbox.totals(CLOUD).unwrap().dropped_damaged.entries;
    assert!((1..=A_PAGE).contains(&lost), "{lost}");
    assert_eq!(came + lost, entries);
    check_counters(&outbox);
    let ranges = outbox.dropped(CLOUD);
    assert_eq!((ranges.len(), ranges[0].seq_to - ranges[0].seq_from + 1), (1, lost));
    drop(outbox);
    open(&path);
}

#[tokio::test]
async fn the_thread_survives_damage_and_keeps_what_was_not_committed() {
    let (_dir, path) = fast_place();
    let entries = large_store(&path);
    let options = Options { producer_repeats: true, spill_after: Duration::from_secs(3600), ..large() };
    let outbox = open_with(&path, options);
    let (handle, thread) = spawn(outbox).unwrap();
    let sink = handle.sink(CLOUD);
    handle
        .append(2, vec![of("mqtt.floor", Lane::Aggregates, 10, 3), of("b", Lane::Alerts, 10, 4)], 6)
        .await
        .unwrap();
    assert_eq!(sink.fetch(Lane::Alerts, 0, 9).await.unwrap()[0].seq, entries + 2);
    spoil_a_page(&path);
    let mut after = 0;
    let mut came: Vec<u64> = Vec::new();
    while after < entries + 1 {
        let found = sink.fetch(Lane::Aggregates, after, 500).await.unwrap();
        after = found.last().unwrap().seq;
        let seqs: Vec<u64> = found.iter().map(|stored| stored.seq).collect();
        came.extend(&seqs);
        sink.acknowledge(Lane::Aggregates, seqs).await.unwrap();
    }
    sink.acknowledge(Lane::Alerts, vec![entries + 2]).await.unwrap();
    handle.flush().await.unwrap();
    let mut status = handle.status();
    let status = status
        .wait_for(|status| status.sink(CLOUD).unwrap().totals.queued.entries == 0)
        .await
        .unwrap()
        .clone();
    let totals = status.sink(CLOUD).unwrap().totals.clone();
    let lost = status.damage.as_ref().unwrap().lost.as_ref().unwrap()[CLOUD];
    assert!((1..=A_PAGE).contains(&lost.entries), "{lost:?}");
    assert_eq!((status.mark, status.last_error), (2, None));
    assert_eq!(totals.dropped_damaged, lost);
    assert_eq!(came.len() as u64 + lost.entries, entries + 1);
    assert_eq!(totals.published.entries, came.len() as u64 + 1);
    handle.close().await.unwrap();
    thread.join().unwrap();
    check_counters(&open(&path));
}
