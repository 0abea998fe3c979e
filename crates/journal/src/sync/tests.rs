//! Two syncs of one file at once.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{Durable, SharedFile, SyncHandle};
use crate::disk::{DiskFile, RealDisk};
use crate::error::JournalError;
use crate::{Position, segment::Segment};

/// Its first sync fails, but not before a second one had the time to succeed for no reason.
#[derive(Debug)]
struct FailsSlowly {
    first_runs: Sender<()>,
    second: Mutex<Option<Receiver<()>>>,
    second_runs: Sender<()>,
}

impl DiskFile for FailsSlowly {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn set_len(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let Some(second) = self.second.lock().unwrap().take() else {
            self.second_runs.send(()).unwrap();
            return Ok(());
        };
        self.first_runs.send(()).unwrap();
        // Where syncs take turns nothing ever comes.
        let _nothing = second.recv_timeout(Duration::from_millis(200));
        Err(io::Error::other("failed"))
    }
}

#[test]
fn a_sync_beside_one_that_fails_is_not_believed() {
    let dir = tempfile::TempDir::new().unwrap();
    let (first_runs, first_ran) = channel();
    let (second_runs, second) = channel();
    let file = FailsSlowly { first_runs, second: Mutex::new(Some(second)), second_runs };
    let file = SharedFile::new(Box::new(file), &Segment::named(dir.path(), Position::FIRST));
    let durable = Durable::new(Position(0));
    let handle = || SyncHandle {
        disk: Arc::new(RealDisk),
        file: Arc::clone(&file),
        upto: Position(3),
        durable: durable.clone(),
    };

    let first = handle();
    let first = thread::spawn(move || first.sync());
    first_ran.recv().unwrap();
    let second = handle().sync();
    assert!(matches!(first.join().unwrap(), Err(JournalError::Io { .. })));
    assert!(matches!(second, Err(JournalError::Abandoned { .. })), "{second:?}");
    assert_eq!(durable.get(), Position(0));
    assert!(dir.path().join(Path::new("segment.tmp")).exists(), "a note for the next process");
}
