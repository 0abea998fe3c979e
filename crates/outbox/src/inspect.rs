//! Reads an outbox that no process has open, without changing it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use journal::{Disk, Reader, RealDisk};

use crate::accounts::Accounts;
use crate::error::{OutboxError, during, log};
use crate::recovery::{CONTENT, load};
use crate::snapshot::Snapshot;
use crate::store::Outbox;
use crate::totals::{DroppedRange, Totals};

/// The state of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    pub totals: Totals,
    pub accounts: Accounts,
    /// The mark of the last append.
    pub mark: u64,
    /// The number that the next entry gets.
    pub next_seq: u64,
    /// The newest 1,000 dropped ranges, oldest first.
    pub dropped: Vec<DroppedRange>,
}

impl Outbox {
    /// Reads all of an outbox that no process has open, and checks it. Nothing is changed.
    ///
    /// # Errors
    /// If there is none, or it cannot be read, is damaged, is in use, or has a newer version.
    pub fn inspect(dir: &Path) -> Result<Inspection, OutboxError> {
        Outbox::inspect_on(Arc::new(RealDisk), dir)
    }

    /// [`Outbox::inspect`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// See [`Outbox::inspect`].
    pub fn inspect_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Inspection, OutboxError> {
        let _lock = disk.lock_dir(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OutboxError::InUse { dir: dir.to_path_buf() },
            _ => during("open", dir)(error),
        })?;
        let mut found = Snapshot::find(&*disk, dir)?;
        let reader = Reader::open_on(disk, dir, CONTENT).map_err(log(dir))?;
        let recovery = reader.check().map_err(log(dir))?;
        let loaded = load(&mut found, &reader, &recovery, dir)?;
        if let Some(damage) = loaded.damage {
            let finding = match damage.lost {
                Some(lost) => format!("{} messages are missing", lost.entries),
                None => "its counters cannot be read".to_owned(),
            };
            return Err(OutboxError::Damaged { dir: dir.to_path_buf(), finding });
        }
        let state = loaded.state;
        Ok(Inspection {
            totals: state.counters.totals,
            accounts: Arc::unwrap_or_clone(state.counters.accounts),
            mark: state.numbers.mark,
            next_seq: state.numbers.next_seq,
            dropped: state.dropped.all().to_vec(),
        })
    }
}
