//! The durable side of the pipeline: checkpoint and journal, and how the state comes back from them.
//!
//! Promise: after a crash the engine is what it was after the last step in the journal, and every output that the
//! outbox had not stored yet comes out again, with the same identity.

use std::path::Path;

use journal::{Journal, Options, Position, Reader};

use super::checkpoint::{CheckpointError, CheckpointFile};
use super::engine::{Engine, Outputs, Settings};
use super::step::Step;

/// Why the state could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
}

/// What was found on the disk.
pub(crate) struct Recovered {
    pub(crate) engine: Engine,
    /// The last step that the engine has seen.
    pub(crate) position: Position,
    /// What steps after the outbox's mark gave: still to be handed over.
    pub(crate) outputs: Vec<(Position, Outputs)>,
    /// Steps applied from the journal.
    pub(crate) replayed: u64,
    /// There was neither checkpoint nor step.
    pub(crate) is_new: bool,
}

/// Opens the journal for writing and brings the state back. `mark` is the last step whose outputs the outbox holds.
pub(crate) fn open(
    data_dir: &Path,
    settings: Settings,
    mark: u64,
) -> Result<(Journal, Recovered), StoreError> {
    let (position, engine) = load_checkpoint(data_dir, settings)?;
    let dir = journal_dir(data_dir);
    let floor = Position(position.0.max(mark)).next();
    let (journal, found) = Journal::open(&dir, Options::default(), floor)?;
    if found.torn_bytes > 0 || found.corrupt_records > 0 {
        tracing::warn!(
            torn_bytes = found.torn_bytes,
            lost_records = found.corrupt_records,
            "the journal was damaged; what could be read is used"
        );
    }
    let recovered = replay(engine, position, journal.read_from(position.next())?, mark);
    Ok((journal, recovered))
}

/// The state without touching anything: for `riser audit` beside a stopped gateway, or without a journal.
pub(crate) fn inspect(data_dir: &Path, settings: Settings, mark: u64) -> Result<Recovered, StoreError> {
    let file = CheckpointFile::in_dir(data_dir);
    let (position, engine) = file.load()?.unwrap_or_else(|| (Position(0), Engine::new(settings)));
    let dir = journal_dir(data_dir);
    if !dir.is_dir() {
        let is_new = position == Position(0);
        return Ok(Recovered { engine, position, outputs: Vec::new(), replayed: 0, is_new });
    }
    Ok(replay(engine, position, Reader::open(&dir)?.read_from(position.next()), mark))
}

/// Takes away what a crash would bring back: with the journal off, windows that a checkpoint holds as open may long be
/// published by then.
pub(crate) fn forget(data_dir: &Path) -> Result<(), StoreError> {
    Ok(CheckpointFile::in_dir(data_dir).remove()?)
}

fn journal_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("journal")
}

fn load_checkpoint(data_dir: &Path, settings: Settings) -> Result<(Position, Engine), StoreError> {
    let file = CheckpointFile::in_dir(data_dir);
    match file.load() {
        Ok(found) => Ok(found.unwrap_or_else(|| (Position(0), Engine::new(settings)))),
        Err(error @ CheckpointError::Damaged { .. }) => {
            let aside = file.set_aside()?;
            tracing::error!(
                "{error}; it is kept as {} and the state is rebuilt from what the journal still holds",
                aside.display()
            );
            Ok((Position(0), Engine::new(settings)))
        }
        Err(error) => Err(error.into()),
    }
}

fn replay(
    mut engine: Engine,
    mut position: Position,
    records: impl Iterator<Item = Result<(Position, Vec<u8>), journal::JournalError>>,
    mark: u64,
) -> Recovered {
    let mut outputs = Vec::new();
    let mut replayed = 0;
    let without_checkpoint = position == Position(0);
    for record in records {
        let step = record.map_err(|error| error.to_string()).and_then(|(at, bytes)| {
            postcard::from_bytes::<Step>(&bytes).map(|step| (at, step)).map_err(|error| error.to_string())
        });
        match step {
            Ok((at, step)) => {
                let mut out = Outputs::default();
                engine.apply(&step, &mut out);
                if at.0 > mark && !out.is_empty() {
                    outputs.push((at, out));
                }
                position = at;
                replayed += 1;
            }
            Err(error) => tracing::error!("a step in the journal cannot be read and is lost: {error}"),
        }
    }
    Recovered { engine, position, outputs, replayed, is_new: without_checkpoint && replayed == 0 }
}
