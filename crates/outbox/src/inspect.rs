//! Reads an outbox that no process has open, without changing it.

use std::path::Path;
use std::sync::Arc;

use journal::{Disk, RealDisk};

use crate::accounts::Accounts;
use crate::error::OutboxError;
use crate::recovery::{load, lock};
use crate::snapshot::Snapshot;
use crate::store::Outbox;
use crate::totals::{DroppedRange, Totals};

/// The state of an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The mark of the last append.
    pub mark: u64,
    /// The number that the next alert or aggregate gets.
    pub next_seq: u64,
    /// All sinks, also those that are no longer configured.
    pub sinks: Vec<SinkInspection>,
}

/// The state of one sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkInspection {
    pub name: Arc<str>,
    /// See [`Outbox::sink_id`].
    pub id: u64,
    pub totals: Totals,
    pub accounts: Accounts,
    /// The newest 1,000 ranges of each lane that were dropped, oldest first.
    pub dropped: Vec<DroppedRange>,
}

impl Outbox {
    /// Reads all of an outbox that no process has open, and checks it. Nothing is changed.
    ///
    /// # Errors
    /// If there is none, or it cannot be read, is damaged, is in use, or has another version.
    pub fn inspect(dir: &Path) -> Result<Inspection, OutboxError> {
        Outbox::inspect_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), dir)
    }

    /// [`Outbox::inspect`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// See [`Outbox::inspect`].
    pub fn inspect_on(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Inspection, OutboxError> {
        let _lock = lock(&**disk, dir)?;
        let mut found = Snapshot::find(&**disk, dir)?;
        let loaded = load(disk, dir, &mut found)?;
        if let Some(damage) = loaded.damage {
            let finding = match damage.lost {
                Some(lost) => {
                    let entries: u64 = lost.values().map(|lost| lost.entries).sum();
                    format!("{entries} messages are missing")
                }
                None => "its counters cannot be read".to_owned(),
            };
            return Err(OutboxError::Damaged { dir: dir.to_path_buf(), finding });
        }
        let sinks = loaded.state.sinks.into_iter().map(|(id, sink)| SinkInspection {
            name: sink.name,
            id: id.0,
            totals: sink.counters.totals,
            accounts: Arc::unwrap_or_clone(sink.counters.accounts),
            dropped: sink.dropped.iter().flat_map(|(_, ranges)| ranges.all().to_vec()).collect(),
        });
        Ok(Inspection {
            mark: loaded.state.numbers.mark,
            next_seq: loaded.state.numbers.next_seq,
            sinks: sinks.collect(),
        })
    }
}
