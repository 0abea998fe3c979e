//! Makes records durable, on a thread that does not hold the journal.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{JournalError, during};
use crate::{Journal, Position};

/// A segment with records that no sync has covered.
#[derive(Debug, Clone)]
pub(crate) struct Unsynced {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<File>,
    /// Its newest record.
    pub(crate) last: Position,
}

/// What was not durable when [`Journal::sync_handle`] was called. Get a new one for every sync.
#[derive(Debug)]
#[must_use = "nothing is synced before `sync` is called"]
pub struct SyncHandle {
    pub(crate) segments: Vec<Unsynced>,
    pub(crate) upto: Position,
    pub(crate) durable: Arc<AtomicU64>,
}

impl SyncHandle {
    /// The newest record that `sync` will make durable.
    pub fn position(&self) -> Position {
        self.upto
    }

    /// Waits until the records are on the disk (`fdatasync`) and returns the newest of them.
    ///
    /// # Errors
    /// Where the disk refuses. The kernel may have forgotten the records by then, and a second sync may succeed all
    /// the same: take a checkpoint of the state instead of trying again.
    pub fn sync(self) -> Result<Position, JournalError> {
        for segment in &self.segments {
            segment.file.sync_data().map_err(during("sync", &segment.path))?;
        }
        self.durable.fetch_max(self.upto.0, Ordering::AcqRel);
        Ok(self.upto)
    }
}

impl Journal {
    /// Makes every record so far durable (`fdatasync`) and returns the newest of them.
    ///
    /// # Errors
    /// See [`SyncHandle::sync`].
    pub fn sync(&mut self) -> Result<Position, JournalError> {
        self.sync_handle().sync()
    }
}
