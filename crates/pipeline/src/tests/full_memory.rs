//! A disk that refuses while more comes than memory may hold.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use codecs::{Codec, Options};
use gateway_core::{Ack, CodecId, Uplink};
use journal::{DirLock, Disk, DiskFile, Journal, Position, RealDisk};
use testkit::eventually;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{accept_all, at, settings, uplink};
use crate::clock::SystemClock;
use crate::decode::Decoder;
use crate::deliver::actions::Actions;
use crate::deliver::records::Identity;
use crate::durable::reconcile::FoundAtStart;
use crate::durable::store;
use crate::engine::Engine;
use crate::{Durable, DurableStart, JournalMode, Pipeline, Undelivered};

/// A disk that can be full.
#[derive(Debug, Clone, Default)]
struct SmallDisk(Arc<AtomicBool>);

#[derive(Debug)]
struct SmallFile(Box<dyn DiskFile>, SmallDisk);

impl DiskFile for SmallFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.1.0.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.append(bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

impl Disk for SmallDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.create_dir(dir)
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<DirLock> {
        RealDisk.lock_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        RealDisk.list(dir)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        RealDisk.length(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SmallFile(RealDisk.create(path)?, self.clone())))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SmallFile(RealDisk.open(path)?, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
}

fn pipeline(journal: Journal, data_dir: &Path) -> Pipeline {
    let senml = Codec::by_name("senml", &Options::default()).unwrap();
    let sync_every = Duration::from_millis(100);
    let begin = DurableStart {
        mode: JournalMode::On { journal: Box::new(journal), sync_every },
        position: Position(0),
        checkpoint: Position(0),
        since_checkpoint: 0,
        outbox: None,
        ledger_sink: "none".into(),
        history: None,
        takes_readings: true,
    };
    Pipeline {
        engine: Engine::new(settings()),
        decoder: Decoder::new(vec![Arc::new(senml)], accept_all()),
        actions: Actions::default(),
        durable: Durable::new(data_dir, begin),
        read_model: read_model::ReadModel::default(),
        identity: Identity { id: "hq".to_owned(), prefix: "building".to_owned() },
        clock: Arc::new(SystemClock),
        problems: watch::Sender::default(),
        stop: CancellationToken::new(),
        pings: Vec::new(),
        ledger_due: Instant::now(),
    }
}

/// A thousand readings that take about 47 bytes each in the journal: the unit changes with every one.
fn pack() -> String {
    let record = |n: usize| format!(r#"{{"n":"temperature","u":"{:032}","v":{}}}"#, n % 2, n % 50);
    format!("[{}]", (0..1_000).map(record).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn every_message_of_one_large_batch_is_taken_once_the_disk_works_again() {
    const PACKS: usize = 256;
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk::default();
    let journal = Journal::open_on(
        Arc::new(disk.clone()),
        &dir.path().join("journal"),
        store::journal_options(),
        Position(1),
    )
    .unwrap()
    .0;
    let undelivered = Undelivered {
        outputs: Vec::new(),
        remembered: history::Batch::default(),
        models: Vec::new(),
        settings: settings(),
        found: FoundAtStart { damaged: false, ledger_sink: None },
        replayed: false,
    };
    let (uplinks, uplink_receiver) = mpsc::channel(8);
    let (_control, control_receiver) = mpsc::channel(8);
    let running =
        tokio::spawn(pipeline(journal, dir.path()).run(undelivered, uplink_receiver, control_receiver));
    disk.0.store(true, Ordering::SeqCst);
    let (taken, text) = (Arc::new(AtomicUsize::new(0)), pack());
    let one = |_| {
        let taken = Arc::clone(&taken);
        let ack = Ack::new(move |_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        Uplink { codec: CodecId(0), ack, ..uplink("logger", &text, at(0)) }
    };
    uplinks.send((0..PACKS).map(one).collect()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    disk.0.store(false, Ordering::SeqCst);
    let all = || std::future::ready(taken.load(Ordering::SeqCst) == PACKS);
    eventually(Duration::from_secs(60), all).await;
    drop(uplinks);
    running.await.unwrap();
}
