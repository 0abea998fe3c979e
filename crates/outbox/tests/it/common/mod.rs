//! What several test files need.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use outbox::{Entry, Lane, Options, Outbox, PerLane, Share, SinkOptions, Start, Stored, Totals, WhenFull};
use tempfile::TempDir;

/// Takes alerts and aggregates.
pub(crate) const CLOUD: &str = "mqtt.upstream";
/// Takes aggregates and readings.
pub(crate) const DATABASE: &str = "influxdb.local";
pub(crate) const SINKS: [&str; 2] = [CLOUD, DATABASE];
/// The account of the entries.
pub(crate) const ACCOUNT: &str = "mqtt.floor";

pub(crate) fn sink(name: &str, lanes: &[Lane]) -> SinkOptions {
    SinkOptions {
        name: name.into(),
        lanes: PerLane::from_fn(|lane| lanes.contains(&lane)),
        start: Start::Now,
    }
}

pub(crate) fn sinks() -> Vec<SinkOptions> {
    vec![sink(CLOUD, &[Lane::Alerts, Lane::Aggregates]), sink(DATABASE, &[Lane::Aggregates, Lane::Readings])]
}

/// The lanes that a sink takes.
pub(crate) fn lanes_of(sink: &str) -> Vec<Lane> {
    let options = sinks().into_iter().find(|options| &*options.name == sink).unwrap();
    options.lanes.iter().filter(|(_, takes)| **takes).map(|(lane, _)| lane).collect()
}

pub(crate) fn entry(lane: Lane, length: usize, weight: u32) -> Entry {
    let shares = vec![Share { account: ACCOUNT.into(), weight }];
    Entry::new(lane, vec![b'x'; length], shares).unwrap()
}

pub(crate) fn aggregate(weight: u32) -> Entry {
    entry(Lane::Aggregates, 40, weight)
}

pub(crate) fn alert(weight: u32) -> Entry {
    entry(Lane::Alerts, 40, weight)
}

pub(crate) fn reading(weight: u32) -> Entry {
    entry(Lane::Readings, 40, weight)
}

pub(crate) fn place() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("outbox");
    (dir, path)
}

/// In memory where the machine has a folder for that: for tests that open thousands of files.
pub(crate) fn fast_place() -> (TempDir, PathBuf) {
    let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let path = dir.path().join("outbox");
    (dir, path)
}

pub(crate) fn large() -> Options {
    Options {
        max_bytes: 1 << 30,
        when_full: WhenFull::DropOldest,
        producer_repeats: false,
        spill_after: Duration::ZERO,
    }
}

pub(crate) fn open(path: &Path) -> Outbox {
    open_with(path, large())
}

/// Opens what must be whole.
pub(crate) fn open_with(path: &Path, options: Options) -> Outbox {
    open_for(path, options, &sinks())
}

pub(crate) fn open_for(path: &Path, options: Options, sinks: &[SinkOptions]) -> Outbox {
    let (outbox, recovery) = Outbox::open(path, options, sinks).unwrap();
    assert_eq!(recovery.damage, None);
    outbox
}

/// Everything in a lane that a sink needs.
pub(crate) fn queued(outbox: &mut Outbox, sink: &str, lane: Lane) -> Vec<Stored> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let found = outbox.fetch(sink, lane, after, usize::MAX).unwrap();
        let Some(last) = found.last() else { return all };
        after = last.seq;
        all.extend(found);
    }
}

/// The numbers of everything in a lane that a sink needs.
pub(crate) fn seqs(outbox: &mut Outbox, sink: &str, lane: Lane) -> Vec<u64> {
    queued(outbox, sink, lane).into_iter().map(|stored| stored.seq).collect()
}

pub(crate) fn totals(outbox: &Outbox, sink: &str) -> Totals {
    outbox.totals(sink).unwrap().clone()
}
