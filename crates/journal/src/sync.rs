//! Makes records durable, also on a thread that does not own the journal.
//!
//! A sync that failed is never repeated: the system may have dropped the data that it could not write, and the next sync
//! would succeed without it. The file is *abandoned*, and the journal writes its records that are not durable to another
//! file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::error::{JournalError, chain, during};
use crate::segment::{self, Segment};
use crate::{Journal, Position};

/// The newest durable record, shared by the journal and its sync handles.
#[derive(Debug, Clone)]
pub(crate) struct Durable(Arc<AtomicU64>);

impl Durable {
    pub(crate) fn new(position: Position) -> Durable {
        Durable(Arc::new(AtomicU64::new(position.0)))
    }

    pub(crate) fn get(&self) -> Position {
        Position(self.0.load(Ordering::Acquire))
    }

    pub(crate) fn raise(&self, position: Position) {
        self.0.fetch_max(position.0, Ordering::AcqRel);
    }
}

/// The file of the newest segment, shared with the sync handles.
#[derive(Debug)]
pub(crate) struct SharedFile {
    pub(crate) file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Held during a sync. If two ran at once, one could fail and the other then succeed wrongly.
    sync_lock: Mutex<()>,
    /// Why the file is not used any more. Set only while `sync_lock` is held.
    abandoned: OnceLock<Arc<str>>,
}

impl SharedFile {
    pub(crate) fn new(file: Box<dyn DiskFile>, segment: &Segment) -> Arc<SharedFile> {
        let path = segment.path.clone();
        Arc::new(SharedFile { file, path, sync_lock: Mutex::new(()), abandoned: OnceLock::new() })
    }

    pub(crate) fn abandoned(&self) -> Option<&Arc<str>> {
        self.abandoned.get()
    }

    /// Ends the use of this file. Syncs of it change nothing any more.
    pub(crate) fn abandon(&self, why: &JournalError) {
        let _guard = self.sync_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let _already = self.abandoned.set(chain(why));
    }

    fn sync(&self, disk: &dyn Disk, upto: Position, durable: &Durable) -> Result<Position, JournalError> {
        let _guard = self.sync_lock.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.get() >= upto {
            return Ok(upto);
        }
        if let Some(why) = self.abandoned() {
            return Err(JournalError::Abandoned { path: self.path.clone(), why: Arc::clone(why) });
        }
        if let Err(source) = self.file.sync() {
            let error = during("sync", &self.path)(source);
            // Before the error is visible: from then on the journal may write a segment to this file.
            self.path.parent().into_iter().for_each(|dir| segment::mark_sync_failure(disk, dir));
            let _already = self.abandoned.set(chain(&error));
            return Err(error);
        }
        durable.raise(upto);
        Ok(upto)
    }
}

/// Syncs the records that were written when [`Journal::sync_handle`] was called. Get a new one for every sync.
#[derive(Debug)]
#[must_use = "nothing is synced before `sync` is called"]
pub struct SyncHandle {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) file: Arc<SharedFile>,
    pub(crate) upto: Position,
    pub(crate) durable: Durable,
}

impl SyncHandle {
    /// The newest record that `sync` will make durable.
    pub fn position(&self) -> Position {
        self.upto
    }

    /// Waits until the records are on the disk (`fdatasync`) and returns the newest of them.
    ///
    /// # Errors
    /// If the disk refuses. [`Journal::write_error`] is set then, and nothing more is durable before [`Journal::retry`] has
    /// written the records again.
    pub fn sync(self) -> Result<Position, JournalError> {
        self.file.sync(&*self.disk, self.upto, &self.durable)
    }
}

impl Journal {
    /// Makes every record so far durable and returns the newest; first writes what the disk refused before.
    ///
    /// # Errors
    /// See [`Journal::retry`] and [`SyncHandle::sync`].
    pub fn sync(&mut self) -> Result<Position, JournalError> {
        self.retry()?;
        self.sync_handle().sync()
    }
}

#[cfg(test)]
mod tests;
