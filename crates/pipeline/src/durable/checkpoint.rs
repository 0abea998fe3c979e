//! The engine's state in a file, so that the journal before it can go.
//!
//! Layout, little-endian: magic, format version u32, journal position u64, crc32 u32 of what follows, the engine
//! ([`super::stored`]). Written beside, synced, then renamed. The checkpoint before is kept, and the journal since that
//! one: where the newest is damaged, nothing is lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gateway_core::durable;
use journal::Position;

use super::stored::{self, VERSION};
use crate::engine::Engine;

const MAGIC: &[u8; 8] = b"RISERST\n";
const HEADER: usize = 24;

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("cannot {doing} {}; look at the disk and at the owner of the folder", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Written by a later version.
    #[error("{} has format {found}, this version of riser knows up to {VERSION}; install the version that wrote it", path.display())]
    Newer { path: PathBuf, found: u32 },
    /// The outbox refuses to store what came of the steps in it.
    #[error("no checkpoint can be written before the outbox has stored everything")]
    Outbox(#[from] outbox::OutboxError),
    /// Not what was written.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
}

/// Where the state lies.
#[derive(Debug, Clone)]
pub struct CheckpointFile {
    path: PathBuf,
}

/// A checkpoint that could be read.
pub struct Loaded {
    /// The last step in it.
    pub position: Position,
    pub engine: Engine,
    /// What was wrong with the newest one, where this is the one before.
    pub damage: Option<CheckpointError>,
}

impl CheckpointFile {
    pub fn in_dir(data_dir: &Path) -> Self {
        Self { path: data_dir.join("state.checkpoint") }
    }

    fn previous(&self) -> Self {
        Self { path: self.path.with_extension("checkpoint.previous") }
    }

    /// The newest state that can be read; none where there is no checkpoint yet.
    pub fn load(&self) -> Result<Option<Loaded>, CheckpointError> {
        let damage = match self.load_one() {
            Ok(Some((position, engine))) => return Ok(Some(Loaded { position, engine, damage: None })),
            // A crash between the two renames of `replace`.
            Ok(None) => None,
            Err(damage @ CheckpointError::Damaged { .. }) => Some(damage),
            Err(error) => return Err(error),
        };
        match (self.previous().load_one(), damage) {
            (Ok(Some((position, engine))), damage) => Ok(Some(Loaded { position, engine, damage })),
            (Ok(None), None) => Ok(None),
            (Ok(None), Some(damage)) => Err(damage),
            (Err(error), damage) => Err(damage.unwrap_or(error)),
        }
    }

    fn load_one(&self) -> Result<Option<(Position, Engine)>, CheckpointError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(self.io("read", source)),
        };
        self.parse(&bytes).map(Some)
    }

    pub(crate) fn parse(&self, bytes: &[u8]) -> Result<(Position, Engine), CheckpointError> {
        let (header, body) =
            bytes.split_at_checked(HEADER).ok_or_else(|| self.damaged("it is shorter than its header"))?;
        let mut fields = Fields(header);
        if fields.take::<8>() != *MAGIC {
            return Err(self.damaged("it does not begin like one"));
        }
        let version = fields.take();
        let position = fields.take();
        let sum = u32::from_le_bytes(fields.take());
        let found = u32::from_le_bytes(version);
        // A later version keeps this header and its sum, so that damage is not taken for a newer file.
        if sum != checksum(version, position, body) {
            return Err(self.damaged("its checksum is wrong"));
        }
        if found > VERSION {
            return Err(CheckpointError::Newer { path: self.path.clone(), found });
        }
        let engine = stored::read(found, body).map_err(|error| self.damaged(&error.to_string()))?;
        Ok((Position(u64::from_le_bytes(position)), engine))
    }

    /// The bytes of a checkpoint; apart from writing them, so that the disk is waited for elsewhere.
    pub fn encode(position: Position, engine: &Engine) -> Result<Vec<u8>, postcard::Error> {
        let (version, position) = (VERSION.to_le_bytes(), position.0.to_le_bytes());
        let mut bytes = Vec::with_capacity(64 * 1024);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version);
        bytes.extend_from_slice(&position);
        bytes.extend_from_slice(&[0; 4]);
        stored::write(engine, &mut bytes)?;
        let sum = checksum(version, position, bytes.get(HEADER..).unwrap_or_default());
        if let Some(slot) = bytes.get_mut(HEADER - 4..HEADER) {
            slot.copy_from_slice(&sum.to_le_bytes());
        }
        Ok(bytes)
    }

    /// Puts `bytes` in the place of the checkpoint before, durably; that one is kept beside.
    pub fn replace(&self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let new = self.path.with_extension("checkpoint.new");
        let write = || -> io::Result<()> {
            durable::write_synced(&new, bytes)?;
            durable::rename_if_exists(&self.path, &self.previous().path)?;
            fs::rename(&new, &self.path)?;
            durable::sync_directory_of(&self.path)
        };
        write().map_err(|source| self.io("write", source))
    }

    /// Takes the checkpoints away, where there are any.
    pub fn remove(&self) -> Result<(), CheckpointError> {
        for file in [self, &self.previous()] {
            durable::remove_if_exists(&file.path).map_err(|source| file.io("remove", source))?;
        }
        Ok(())
    }

    /// Puts the `damaged` one of the two files aside for people to look at, and returns where.
    pub fn set_aside(&self, damaged: &Path) -> Result<PathBuf, CheckpointError> {
        let aside = self.path.with_extension("checkpoint.damaged");
        fs::rename(damaged, &aside).map_err(|source| self.io("put aside", source))?;
        Ok(aside)
    }

    fn io(&self, doing: &'static str, source: io::Error) -> CheckpointError {
        CheckpointError::Io { doing, path: self.path.clone(), source }
    }

    fn damaged(&self, reason: &str) -> CheckpointError {
        CheckpointError::Damaged { path: self.path.clone(), reason: reason.to_owned() }
    }
}

fn checksum(version: [u8; 4], position: [u8; 8], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&version);
    sum.update(&position);
    sum.update(body);
    sum.finalize()
}

/// The header, field by field.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes; zeros past the end, which the header's length rules out.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}
