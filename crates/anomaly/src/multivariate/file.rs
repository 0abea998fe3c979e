//! A model in a file: `<device>.model`, the device's name percent-encoded.
//!
//! Layout, little-endian: magic, schema version u32, crc32 u32 of the version and what follows, then postcard. Written
//! beside, synced, then renamed, so that there is always a whole one.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gateway_core::{Timestamp, durable};
use serde::{Deserialize, Serialize};

use super::model::Model;

const MAGIC: &[u8; 8] = b"RISERMV\n";
/// Raised whenever the stored form changes.
pub const SCHEMA_VERSION: u32 = 1;
const HEADER: usize = 16;
/// No model is larger; a larger file is none.
const MAX_BYTES: u64 = 64 * 1024;
/// Longest encoded name of a device in a file's name, which may have 255 bytes; what is longer is cut and told apart by
/// its checksum.
const MAX_NAME: usize = 200;

/// A model with whose it is and what it was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The device.
    pub device: Box<str>,
    /// Start of the first window of the history.
    pub from: Timestamp,
    /// End of its last window.
    pub to: Timestamp,
    /// Windows that it was fitted on.
    pub windows: u32,
    /// The model.
    pub model: Model,
}

/// Why a model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {doing} {}; look at the disk and at the owner of the folder", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Written by a later version.
    #[error("{} has format {found}, this version of riser knows up to {SCHEMA_VERSION}; install the version that wrote it, or run `riser train` again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Not what was written.
    #[error("{} is damaged: {reason}; `riser train` writes it anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where the model of `device` lies in the folder of models.
#[must_use]
pub fn path(folder: &Path, device: &str) -> PathBuf {
    let mut name = String::new();
    for byte in device.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() > MAX_NAME {
        name.truncate(MAX_NAME);
        name.push_str(&format!("~{:08x}", crc32fast::hash(device.as_bytes())));
    }
    folder.join(format!("{name}.model"))
}

/// Writes a model into the folder, which is made where it is not there, durably; returns where it lies.
///
/// # Errors
/// Where the disk refuses.
pub fn write(folder: &Path, stored: &Stored) -> Result<PathBuf, FileError> {
    let path = path(folder, &stored.device);
    let bytes = encode(stored).map_err(|error| damaged(&path, &error.to_string()))?;
    fs::create_dir_all(folder)
        .and_then(|()| durable::replace(&path, &bytes))
        .map_err(|source| FileError::Io { doing: "write", path: path.clone(), source })?;
    Ok(path)
}

/// Reads the model in this file.
///
/// # Errors
/// Where it cannot be read, a later version wrote it, or it is damaged.
pub fn read(path: &Path) -> Result<Stored, FileError> {
    let io = |source| FileError::Io { doing: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(damaged(path, "it is larger than any model"));
    }
    parse(path, &bytes)
}

/// All models in the folder, and what was wrong with the others; none where there is no folder.
pub fn read_all(folder: &Path) -> (Vec<Stored>, Vec<FileError>) {
    let (mut models, mut problems) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (models, problems),
        Err(source) => {
            problems.push(FileError::Io { doing: "list", path: folder.to_owned(), source });
            return (models, problems);
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "model"));
    paths.sort();
    for path in paths {
        match read(&path) {
            Ok(stored) => models.push(stored),
            Err(problem) => problems.push(problem),
        }
    }
    (models, problems)
}

fn encode(stored: &Stored) -> Result<Vec<u8>, postcard::Error> {
    let body = postcard::to_stdvec(stored)?;
    let version = SCHEMA_VERSION.to_le_bytes();
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&version);
    bytes.extend_from_slice(&checksum(version, &body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Stored, FileError> {
    let short = || damaged(path, "it is shorter than its header");
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    if magic != MAGIC {
        return Err(damaged(path, "it does not begin like one"));
    }
    // A later version keeps this header and its sum, so that damage is not taken for a newer file.
    if u32::from_le_bytes(*sum) != checksum(*version, body) {
        return Err(damaged(path, "its checksum is wrong"));
    }
    let found = u32::from_le_bytes(*version);
    if found > SCHEMA_VERSION {
        return Err(FileError::Newer { path: path.to_owned(), found });
    }
    let (stored, rest) =
        postcard::take_from_bytes::<Stored>(body).map_err(|error| damaged(path, &error.to_string()))?;
    if !rest.is_empty() || !stored.model.is_sound() {
        return Err(damaged(path, "its numbers make no model"));
    }
    Ok(stored)
}

fn checksum(version: [u8; 4], body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&version);
    sum.update(body);
    sum.finalize()
}

fn damaged(path: &Path, reason: &str) -> FileError {
    FileError::Damaged { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
