//! The durable side of the pipeline: checkpoint and journal, and how the state comes back from them.
//!
//! Promise: after a crash the engine is what it was after the last step in the journal, and every output that the
//! outbox had not stored yet comes out again, with the same identity.

use std::path::Path;

use gateway_core::{Now, Timestamp};
use journal::{Journal, Options, Position, Reader, Record};

use super::checkpoint::{CheckpointError, CheckpointFile, Loaded};
use super::reconcile::FoundAtStart;
use crate::engine::ledger::ExternalAccounts;
use crate::engine::registry::Registry;
use crate::engine::step::{STEP_VERSION, Step};
use crate::engine::{Engine, Outputs, Settings};

/// Why the state could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
}

/// A segment of the journal, in bytes: what is kept longer than needed for want of a finer cut.
const SEGMENT_BYTES: u64 = 4 << 20;

/// What was found on the disk.
pub struct Recovered {
    pub engine: Engine,
    /// The last step that the engine has seen.
    pub position: Position,
    /// The last step in the checkpoint.
    pub checkpoint: Position,
    /// What steps after the outbox's mark gave: still to be handed over.
    pub outputs: Vec<(Position, Outputs)>,
    /// Steps applied from the journal, and their bytes.
    pub replayed: u64,
    pub replayed_bytes: u64,
    /// There was neither checkpoint nor step.
    pub is_new: bool,
    /// Something that was stored is not there any more, or cannot be read.
    pub damaged: bool,
}

/// Opens the journal for writing and brings the state back. `mark` is the last step whose outputs the outbox holds;
/// `again` gets the outputs of every step, for consumers that may lack them all the same.
pub fn open(
    data_dir: &Path,
    settings: Settings,
    mark: u64,
    again: impl FnMut(&Outputs, &Registry),
) -> Result<(Journal, Recovered), StoreError> {
    let begin = load_checkpoint(data_dir, settings)?;
    let dir = journal_dir(data_dir);
    let floor = Position(begin.position.0.max(mark)).next();
    let (journal, found) = Journal::open(&dir, journal_options(), floor)?;
    if found.torn_bytes > 0 {
        tracing::warn!(
            bytes = found.torn_bytes,
            "discarded an incomplete record at the end of the journal; it was not acknowledged"
        );
    }
    if found.corrupt_records > 0 {
        tracing::error!(steps = found.corrupt_records, "the journal is damaged: these steps cannot be read");
    }
    let records = journal.read_from(begin.position.next())?;
    let recovered = replay(begin, records, mark, again);
    Ok((journal, recovered))
}

/// The state without touching anything: for `riser audit` beside a stopped gateway, or without a journal.
pub fn inspect(data_dir: &Path, settings: Settings, mark: u64) -> Result<Recovered, StoreError> {
    let begin = match CheckpointFile::in_dir(data_dir).load()? {
        Some(Loaded { position, engine, damage }) => {
            ReplayStart { position, engine, damaged: damage.is_some() }
        }
        None => ReplayStart::empty(settings, false),
    };
    let dir = journal_dir(data_dir);
    if !dir.is_dir() {
        return Ok(replay(begin, std::iter::empty(), mark, |_, _| {}));
    }
    let records = Reader::open(&dir, STEP_VERSION)?.read_from(begin.position.next());
    Ok(replay(begin, records, mark, |_, _| {}))
}

/// Sets the ledger right as the next start with these settings will.
pub fn reconcile(
    recovered: &mut Recovered,
    external: &ExternalAccounts,
    found: FoundAtStart,
    settings: &Settings,
) {
    let found = FoundAtStart { damaged: found.damaged || recovered.is_new || recovered.damaged, ..found };
    let engine = &mut recovered.engine;
    let now = Now::at(Timestamp::from_millis(i64::MIN));
    let mut step = Step::tick(now, None, engine.registry().next_numbers());
    super::reconcile::reconcile(found, settings, engine, external, &mut step);
    engine.apply(&step, &mut Outputs::default());
}

/// Takes away what a crash would bring back: with the journal off, windows that a checkpoint holds as open may long be
/// published by then.
pub fn forget(data_dir: &Path) -> Result<(), StoreError> {
    Ok(CheckpointFile::in_dir(data_dir).remove()?)
}

pub fn journal_options() -> Options {
    Options { segment_bytes: SEGMENT_BYTES, content: STEP_VERSION }
}

fn journal_dir(data_dir: &Path) -> std::path::PathBuf {
    data_dir.join("journal")
}

/// Where the replay begins.
struct ReplayStart {
    position: Position,
    engine: Engine,
    damaged: bool,
}

impl ReplayStart {
    fn empty(settings: Settings, damaged: bool) -> Self {
        Self { position: Position(0), engine: Engine::new(settings), damaged }
    }
}

fn load_checkpoint(data_dir: &Path, settings: Settings) -> Result<ReplayStart, StoreError> {
    let file = CheckpointFile::in_dir(data_dir);
    match file.load() {
        Ok(Some(Loaded { position, engine, damage })) => {
            if let Some(damage @ CheckpointError::Damaged { path, .. }) = &damage {
                let aside = file.set_aside(path)?;
                let aside = aside.display();
                tracing::error!(
                    "{damage}; it is kept as {aside}; the one before is used, with the journal since"
                );
            }
            Ok(ReplayStart { position, engine, damaged: false })
        }
        Ok(None) => Ok(ReplayStart::empty(settings, false)),
        Err(ref error @ CheckpointError::Damaged { ref path, .. }) => {
            let aside = file.set_aside(path)?;
            tracing::error!(
                "{error}; it is kept as {} and the state is rebuilt from what the journal still holds",
                aside.display()
            );
            Ok(ReplayStart::empty(settings, true))
        }
        Err(error) => Err(error.into()),
    }
}

/// Applies the steps after the checkpoint.
fn replay(
    begin: ReplayStart,
    records: impl Iterator<Item = Result<Record, journal::JournalError>>,
    mark: u64,
    mut again: impl FnMut(&Outputs, &Registry),
) -> Recovered {
    let ReplayStart { position: checkpoint, mut engine, mut damaged } = begin;
    let mut position = checkpoint;
    let mut outputs = Vec::new();
    let (mut replayed, mut replayed_bytes) = (0, 0);
    for record in records {
        let step = match record {
            Ok(Record { position: at, payload, content }) => {
                replayed_bytes += payload.len() as u64;
                Step::read(content, &payload).map(|step| (at, step)).map_err(|error| error.to_string())
            }
            Err(error) => Err(gateway_core::chain(&error)),
        };
        match step {
            Ok((at, step)) => {
                damaged |= at != position.next();
                let mut out = Outputs::default();
                engine.apply(&step, &mut out);
                again(&out, engine.registry());
                if at.0 > mark && !out.is_empty() {
                    outputs.push((at, out));
                }
                position = at;
                replayed += 1;
            }
            Err(error) => {
                damaged = true;
                tracing::error!("a step in the journal cannot be read and is lost: {error}");
            }
        }
    }
    let is_new = checkpoint == Position(0) && replayed == 0;
    // The outbox has seen steps that are not there any more.
    damaged |= !is_new && position.0 < mark;
    Recovered { engine, position, checkpoint, outputs, replayed, replayed_bytes, is_new, damaged }
}
