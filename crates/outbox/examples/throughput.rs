//! What an outbox costs: entries a second, CPU time and bytes given to the disk for each entry, for appends that are
//! acknowledged soon after. `cargo run --release -p outbox --example throughput -- FOLDER`; the folder lies on the disk
//! that is to be measured. Last it prints the bytes beyond the records themselves: those handed to the kernel, and the
//! whole pages that it writes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement may panic")]
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures time and prints")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use outbox::{Entry, Handle, Lane, Options, Outbox, PerLane, Share, SinkOptions, Start, WhenFull, spawn};

const ENTRY_BYTES: usize = 450;
const SINK: &str = "mqtt.upstream";

fn entry() -> Entry {
    let shares = vec![Share { account: "mqtt.floor".into(), weight: 3 }];
    Entry::new(Lane::Aggregates, vec![b'x'; ENTRY_BYTES], shares).unwrap()
}

fn open(path: &Path, spill_after: Duration) -> Outbox {
    let options =
        Options { max_bytes: 1 << 28, when_full: WhenFull::DropOldest, producer_repeats: true, spill_after };
    let lanes = PerLane { aggregates: true, ..PerLane::default() };
    let sink = SinkOptions { name: SINK.into(), lanes, start: Start::Now };
    Outbox::open(path, options, &[sink]).unwrap().0
}

/// Bytes that the kernel was given to write for this process, in whole pages.
fn written() -> u64 {
    io_count("write_bytes: ")
}

/// Bytes that this process has handed to the kernel.
fn handed_over() -> u64 {
    io_count("wchar: ")
}

fn io_count(name: &str) -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

/// CPU time of this process, in ticks of 10 ms.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn report(what: &str, entries: u64, run: impl FnOnce()) {
    let (before, cpu, since) = (written(), ticks(), Instant::now());
    run();
    let seconds = since.elapsed().as_secs_f64();
    println!(
        "{what:<58} {:>9.0} entries/s {:>7.1} us CPU {:>7.0} bytes written an entry",
        entries as f64 / seconds,
        (ticks() - cpu) as f64 * 10_000.0 / entries as f64,
        (written() - before) as f64 / entries as f64
    );
}

async fn send_all(handle: &Handle, batch: u64, batches: u64) {
    let mut status = handle.status();
    let mut after = 0;
    for mark in 1..=batches {
        handle.append(mark, (0..batch).map(|_| entry()).collect(), 0).await.unwrap();
        while after < mark * batch {
            let found = handle.sink(SINK).fetch(Lane::Aggregates, after, 64).await.unwrap();
            let Some(last) = found.last() else {
                status.changed().await.unwrap();
                continue;
            };
            after = last.seq;
            handle
                .sink(SINK)
                .acknowledge(Lane::Aggregates, found.iter().map(|stored| stored.seq).collect())
                .await
                .unwrap();
        }
    }
    handle.flush().await.unwrap();
}

fn main() {
    let folder = PathBuf::from(env::args().nth(1).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    for (spill_after, batch, batches) in [(0, 1, 2_000), (0, 64, 500), (10, 1, 20_000), (10, 64, 500)] {
        let path = folder.join(format!("spill-{spill_after}-{batch}"));
        runtime.block_on(async {
            let (handle, thread) = spawn(open(&path, Duration::from_secs(spill_after))).unwrap();
            let (entries, mut done) = (batch * batches, false);
            let what = format!("spill_after {spill_after} s, {batch} entries an append, acknowledged");
            let since = (written(), ticks(), Instant::now());
            send_all(&handle, batch, batches).await;
            report_since(&what, entries, since);
            done |= handle.close().await.is_ok();
            assert!(done);
            thread.join().unwrap();
        });
    }
    let path = folder.join("backlog");
    let mut outbox = open(&path, Duration::ZERO);
    report("a backlog of 50,000 is appended, 50 at a time", 50_000, || {
        for mark in 1..=1_000 {
            outbox.append(mark, (0..50).map(|_| entry()).collect(), 0).unwrap();
        }
    });
    drop(outbox);
    let since = Instant::now();
    let mut outbox = open(&path, Duration::ZERO);
    println!("it is opened in {:.0} ms", since.elapsed().as_secs_f64() * 1e3);
    report("it is fetched and acknowledged, 64 at a time", 50_000, || {
        loop {
            let found = outbox.fetch(SINK, Lane::Aggregates, 0, 64).unwrap();
            if found.is_empty() {
                break;
            }
            outbox
                .acknowledge(
                    SINK,
                    Lane::Aggregates,
                    &found.iter().map(|stored| stored.seq).collect::<Vec<_>>(),
                )
                .unwrap();
        }
    });
    for count in [1, 10, 100, 1_000] {
        report_overhead(&folder, count);
    }
}

/// What is written beyond the records when `count` windows close together: to a sink that is away, and to one that
/// acknowledges them after they were written, all at once.
fn report_overhead(folder: &Path, count: u64) {
    let closes = 20_000 / count;
    for acknowledges in [false, true] {
        let path = folder.join(format!("overhead-{count}-{acknowledges}"));
        let mut outbox = open(&path, Duration::ZERO);
        let (before, pages) = (handed_over(), written());
        for mark in 1..=closes {
            outbox.append(mark, (0..count).map(|_| entry()).collect(), 0).unwrap();
            if acknowledges {
                let found = outbox.fetch(SINK, Lane::Aggregates, 0, 10_000).unwrap();
                let seqs: Vec<u64> = found.iter().map(|stored| stored.seq).collect();
                outbox.acknowledge(SINK, Lane::Aggregates, &seqs).unwrap();
            }
        }
        let records = closes * count * ENTRY_BYTES as u64;
        let each = |bytes: u64| bytes.saturating_sub(records) as f64 / (closes * count) as f64;
        let what = if acknowledges { "written, then acknowledged" } else { "for a sink that is away" };
        println!(
            "{count:>5} aggregates together, {what:<28} {:>7.1} bytes beyond the record, {:>7.0} in pages",
            each(handed_over() - before),
            each(written() - pages)
        );
    }
}

fn report_since(what: &str, entries: u64, (before, cpu, since): (u64, u64, Instant)) {
    let seconds = since.elapsed().as_secs_f64();
    println!(
        "{what:<58} {:>9.0} entries/s {:>7.1} us CPU {:>7.0} bytes written an entry",
        entries as f64 / seconds,
        (ticks() - cpu) as f64 * 10_000.0 / entries as f64,
        (written() - before) as f64 / entries as f64
    );
}
