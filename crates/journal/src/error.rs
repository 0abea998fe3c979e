//! What can go wrong with a journal, and what to do about it.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Position;

/// Why the journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Too much is held in memory; the record was not accepted.
    #[error(
        "{held} bytes wait in memory until {} can be written and synced, {limit} is the limit; \
         the record was not accepted; check that the disk works and has free space", dir.display()
    )]
    Full {
        /// The journal's directory.
        dir: PathBuf,
        /// Memory that the records take which are not durable, in bytes.
        held: u64,
        /// The most they may take.
        limit: u64,
    },
    /// An earlier write or sync of this segment failed; its records are written to another file by `retry`.
    #[error("{} is not used any more because of an earlier error: {why}", path.display())]
    Abandoned {
        /// The segment.
        path: PathBuf,
        /// What failed, with its causes.
        why: Arc<str>,
    },
    /// Another process has the directory open for writing.
    #[error("the journal {} is in use by another process; stop that one first", dir.display())]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
    },
    /// Written by a later version of this program.
    #[error(
        "{} has format version {found}, this program reads up to {supported}; \
         run the newer program, or move the directory away to start with an empty one", path.display()
    )]
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// The file's version.
        found: u16,
        /// The newest version this program knows.
        supported: u16,
    },
    /// The records were written by a later version of the caller.
    #[error(
        "the records in {} are of version {found}, this program reads up to {supported}; \
         run the newer program, or move the directory away to start with an empty one", path.display()
    )]
    NewerContent {
        /// The segment.
        path: PathBuf,
        /// The version of its records.
        found: u16,
        /// The newest version the caller knows.
        supported: u16,
    },
    /// A segment's name and its intact header do not agree.
    #[error("{} begins at position {header}; give the file back its name", path.display())]
    Renamed {
        /// The segment.
        path: PathBuf,
        /// The first position in its header.
        header: Position,
    },
    /// The file is larger than any segment.
    #[error("{} has {bytes} bytes, more than a segment can have; it was not written by this program, move it away", path.display())]
    NotASegment {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The payload is too large.
    #[error("a record of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// The payload's length.
        bytes: usize,
        /// The largest payload.
        limit: usize,
    },
    /// The largest position is taken.
    #[error("the journal {} has no positions left; move the directory away to start with an empty one", dir.display())]
    Exhausted {
        /// The journal's directory.
        dir: PathBuf,
    },
}

/// Adds what was tried and where: `.map_err(during("open", &path))`.
pub(crate) fn during(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError + use<> {
    let path = path.to_path_buf();
    move |source| JournalError::Io { action, path, source }
}

/// The error with its causes, in one line.
pub(crate) fn chain(error: &JournalError) -> Arc<str> {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.into()
}
