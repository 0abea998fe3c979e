//! Damage to an outbox that runs, from its files to the log.

use std::fs::{self, File};
use std::future::ready;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outbox::{Entry, Lane, Options, Outbox, PerLane, Share, SinkOptions, Start, WhenFull};
use testkit::eventually;
use tokio::sync::watch;

use super::gather;

/// The log of one thread, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// More entries than the outbox keeps in memory.
const ENTRIES: u64 = 8000;
const PAGE: u64 = 4096;
const SINK: &str = "cloud";

fn open(path: &Path) -> Outbox {
    let options = Options {
        max_bytes: 1 << 30,
        when_full: WhenFull::DropOldest,
        producer_repeats: false,
        spill_after: Duration::ZERO,
    };
    let lanes = PerLane { aggregates: true, ..PerLane::default() };
    let sink = SinkOptions { name: SINK.into(), lanes, start: Start::Now };
    let (outbox, recovery) = Outbox::open(path, options, &[sink]).unwrap();
    assert_eq!(recovery.damage, None);
    outbox
}

fn entry() -> Entry {
    let share = Share { account: "mqtt.floor".into(), weight: 3 };
    Entry::new(Lane::Aggregates, vec![b'x'; 900], vec![share]).unwrap()
}

fn spoil_a_page_in_the_middle(path: &Path) {
    let mut segments: Vec<_> =
        fs::read_dir(path.join("aggregates")).unwrap().map(|file| file.unwrap().path()).collect();
    segments.retain(|file| file.extension().is_some_and(|extension| extension == "journal"));
    segments.sort();
    let file = File::options().write(true).open(&segments[segments.len() / 2]).unwrap();
    let pages = file.metadata().unwrap().len() / PAGE;
    file.write_all_at(&[0xa5; PAGE as usize], pages / 2 * PAGE).unwrap();
}

#[tokio::test]
async fn damage_found_while_the_outbox_runs_is_logged_once_and_is_no_problem_of_the_moment() {
    let log = Log::default();
    let writer = log.clone();
    let to_log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(to_log);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outbox");
    open(&path).append(1, (0..ENTRIES).map(|_| entry()).collect(), 0).unwrap();
    let (handle, thread) = outbox::spawn(open(&path)).unwrap();
    let (pipeline, receiver) = watch::channel(Vec::new());
    let mut problems = gather(receiver, Some(handle.status()));

    spoil_a_page_in_the_middle(&path);
    let mut after = 0;
    while after < ENTRIES {
        let found = handle.sink(SINK).fetch(Lane::Aggregates, after, 500).await.unwrap();
        after = found.last().unwrap().seq;
        let seqs = found.iter().map(|stored| stored.seq).collect();
        handle.sink(SINK).acknowledge(Lane::Aggregates, seqs).await.unwrap();
    }
    handle.flush().await.unwrap();
    let lost = handle.status().borrow().sink(SINK).unwrap().totals.dropped_damaged;
    assert!(lost.entries > 0);
    let logged = format!("messages={} readings={}", lost.entries, lost.weight);
    eventually(Duration::from_secs(10), || ready(log.text().contains(&logged))).await;

    // The outbox's status changes, and is looked at again.
    handle.append(2, vec![entry()], 0).await.unwrap();
    handle.flush().await.unwrap();
    pipeline.send(vec!["journal: full".to_owned()]).unwrap();
    problems.changed().await.unwrap();
    assert_eq!(*problems.borrow_and_update(), ["journal: full"]);
    assert_eq!(log.text().matches("the outbox was damaged").count(), 1, "{}", log.text());
    handle.close().await.unwrap();
    thread.join().unwrap();
}
