//! Makes records durable, on a thread that does not hold the journal.
//!
//! A sync that failed is never believed again: the system may have forgotten what it could not write, and say of the
//! next sync that all is well. The file is *given up* then, and the journal writes what was in it, and is not durable,
//! to another file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::disk::{Disk, DiskFile};
use crate::error::{JournalError, chain, during};
use crate::segment::{self, Segment};
use crate::{Journal, Position};

/// The newest durable record, known to the journal and to those who sync for it.
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

/// The file of the newest segment, shared with those who sync it.
#[derive(Debug)]
pub(crate) struct SharedFile {
    pub(crate) file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Held while a sync runs. Of two at once, one could fail and the other then succeed for no reason.
    turn: Mutex<()>,
    /// Why nothing more may be written here, and no sync believed. Set by who has the turn.
    given_up: OnceLock<Arc<str>>,
}

impl SharedFile {
    pub(crate) fn new(file: Box<dyn DiskFile>, segment: &Segment) -> Arc<SharedFile> {
        let path = segment.path.clone();
        Arc::new(SharedFile { file, path, turn: Mutex::new(()), given_up: OnceLock::new() })
    }

    pub(crate) fn given_up(&self) -> Option<&Arc<str>> {
        self.given_up.get()
    }

    /// Ends the use of this file. What is durable does not change through it any more.
    pub(crate) fn give_up(&self, why: &JournalError) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let _already = self.given_up.set(chain(why));
    }

    fn sync(&self, disk: &dyn Disk, upto: Position, durable: &Durable) -> Result<Position, JournalError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.get() >= upto {
            return Ok(upto);
        }
        if let Some(why) = self.given_up() {
            return Err(JournalError::GivenUp { path: self.path.clone(), why: Arc::clone(why) });
        }
        if let Err(source) = self.file.sync() {
            let error = during("sync", &self.path)(source);
            // Before anybody hears of it: from then on the journal writes to the file that is the note.
            self.path.parent().into_iter().for_each(|dir| segment::note_trouble(disk, dir));
            let _already = self.given_up.set(chain(&error));
            return Err(error);
        }
        durable.raise(upto);
        Ok(upto)
    }
}

/// What was not durable when [`Journal::sync_handle`] was called. Get a new one for every sync.
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
    /// Where the disk refuses. The journal knows it by then ([`Journal::trouble`]): nothing is durable before
    /// [`Journal::retry`] has written the records anew.
    pub fn sync(self) -> Result<Position, JournalError> {
        self.file.sync(&*self.disk, self.upto, &self.durable)
    }
}

impl Journal {
    /// Makes every record so far durable and returns the newest of them; tries first to write what the disk refused.
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
