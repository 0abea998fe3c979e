//! The whole state at one position of the aggregates' log, in a file of its own: the result of all older records.
//!
//! There are two files, written alternately: the older one is there while the newer one is written, and if the newer one
//! is damaged. A file is renamed to its name after it was written and synced. Integers are little-endian.
//! ```text
//! magic "OUTBOX\0\n" | version u32 | crc32 u32 of version and the rest | generation u64 | positions in the three logs u64 | state
//! ```

use std::io;
use std::path::{Path, PathBuf};

use journal::{Disk, Position, replace_file};

use crate::encoding::Decoder;
use crate::error::{OutboxError, during};
use crate::state::State;

pub(crate) const VERSION: u32 = 3;
const MAGIC: &[u8; 8] = b"OUTBOX\0\n";
const NAMES: [&str; 2] = ["snapshot.0", "snapshot.1"];
const UNFINISHED: &str = "snapshot.tmp";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// How many snapshots were written before.
    pub(crate) generation: u64,
    /// The newest record that it includes. All records up to it are durable.
    pub(crate) position: Position,
    pub(crate) state: State,
    /// The newest records of the other logs that it includes.
    pub(crate) alerts_end: Position,
    pub(crate) readings_end: Position,
}

/// The snapshots found at a start.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) newest: Option<Snapshot>,
    /// The position of the other one, if it can be read.
    pub(crate) older: Option<Position>,
    /// How many files are damaged.
    pub(crate) damaged: usize,
}

impl Snapshot {
    fn path(dir: &Path, generation: u64) -> PathBuf {
        let [even, odd] = NAMES;
        dir.join(if generation.is_multiple_of(2) { even } else { odd })
    }

    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), OutboxError> {
        let path = Snapshot::path(dir, self.generation);
        let written = replace_file(disk, &dir.join(UNFINISHED), &path, &self.encode());
        written.map_err(during("write", &path))
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.generation.to_le_bytes());
        body.extend_from_slice(&self.position.0.to_le_bytes());
        body.extend_from_slice(&self.alerts_end.0.to_le_bytes());
        body.extend_from_slice(&self.readings_end.0.to_le_bytes());
        self.state.encode(&mut body);
        let crc = checksum(&VERSION.to_le_bytes(), &body);
        [MAGIC.as_slice(), &VERSION.to_le_bytes(), &crc.to_le_bytes(), &body].concat()
    }

    /// `Ok(None)`: the file is damaged. `Err`: its version, if that is not ours.
    fn decode(bytes: &[u8]) -> Result<Option<Snapshot>, u32> {
        let header = || {
            let (magic, rest) = bytes.split_first_chunk()?;
            let (version, rest) = rest.split_first_chunk()?;
            let (crc, body) = rest.split_first_chunk()?;
            let is_whole = magic == MAGIC && checksum(version, body) == u32::from_le_bytes(*crc);
            is_whole.then_some((u32::from_le_bytes(*version), body))
        };
        let Some((version, body)) = header() else { return Ok(None) };
        if version != VERSION {
            return Err(version);
        }
        let parse = || {
            let (generation, rest) = body.split_first_chunk()?;
            let (position, rest) = rest.split_first_chunk()?;
            let (alerts_end, rest) = rest.split_first_chunk()?;
            let (readings_end, rest) = rest.split_first_chunk()?;
            let mut decoder = Decoder::new(rest);
            let snapshot = Snapshot {
                generation: u64::from_le_bytes(*generation),
                position: Position(u64::from_le_bytes(*position)),
                alerts_end: Position(u64::from_le_bytes(*alerts_end)),
                readings_end: Position(u64::from_le_bytes(*readings_end)),
                state: State::decode(&mut decoder)?,
            };
            decoder.is_empty().then_some(snapshot)
        };
        Ok(parse())
    }

    /// Reads both files.
    ///
    /// # Errors
    /// If one cannot be read, or has another version.
    pub(crate) fn find(disk: &dyn Disk, dir: &Path) -> Result<Found, OutboxError> {
        let mut found = Found::default();
        for name in NAMES {
            let path = dir.join(name);
            let bytes = match disk.read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(during("read", &path))?,
            };
            let other = |version| OutboxError::OtherVersion { path, found: version, supported: VERSION };
            match Snapshot::decode(&bytes).map_err(other)? {
                None => found.damaged += 1,
                Some(snapshot) => found.add(snapshot),
            }
        }
        Ok(found)
    }
}

fn checksum(version: &[u8; 4], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(version);
    crc.update(body);
    crc.finalize()
}

impl Found {
    fn add(&mut self, snapshot: Snapshot) {
        let is_newer = self.newest.as_ref().is_none_or(|newest| snapshot.generation > newest.generation);
        let other = if is_newer { self.newest.replace(snapshot) } else { Some(snapshot) };
        self.older = other.map(|older| older.position);
    }
}
