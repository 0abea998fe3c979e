//! What can go wrong with an outbox, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use journal::JournalError;

/// What to do if the operating system refused.
const DISK_REMEDY: &str = "; look at the disk, its free space and who may write there";

/// Why the outbox could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The log could not be read or written.
    #[error("cannot use the outbox {}{}", dir.display(), remedy(source))]
    Log {
        /// The outbox's directory.
        dir: PathBuf,
        #[source]
        source: JournalError,
    },
    /// The operating system refused.
    #[error("cannot {action} {}{DISK_REMEDY}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A check of all files found damage.
    #[error(
        "the outbox {} is damaged: {finding}; the next start repairs it and reports what was lost", dir.display()
    )]
    Damaged {
        /// The outbox's directory.
        dir: PathBuf,
        finding: String,
    },
    /// Another process has it open.
    #[error("the outbox {} is in use by another process, such as a second `riser run`; stop that one first", dir.display())]
    InUse {
        /// The outbox's directory.
        dir: PathBuf,
    },
    /// Written by an earlier or a later version of this program.
    #[error(
        "the outbox's file {} has format version {found}, this program reads {supported}; \
         run the program that wrote it until nothing is queued, or move the outbox's directory away to start with an \
         empty one", path.display()
    )]
    OtherVersion {
        path: PathBuf,
        /// The file's version.
        found: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// The thread could not be started.
    #[error("cannot start the outbox's thread")]
    Thread {
        #[source]
        source: io::Error,
    },
    /// The outbox was closed, or its thread is gone.
    #[error("the outbox is closed")]
    Closed,
}

/// The journal's other errors contain what to do.
fn remedy(source: &JournalError) -> &'static str {
    if matches!(source, JournalError::Io { .. } | JournalError::Abandoned { .. }) { DISK_REMEDY } else { "" }
}

/// Adds what was tried and where: `.map_err(during("read", &path))`.
pub(crate) fn during(action: &'static str, path: &Path) -> impl Fn(io::Error) -> OutboxError + use<> {
    let path = path.to_path_buf();
    move |source| OutboxError::Io { action, path: path.clone(), source }
}

/// Adds the outbox's directory: `.map_err(log(&dir))`.
pub(crate) fn log(dir: &Path) -> impl Fn(JournalError) -> OutboxError + use<> {
    let dir = dir.to_path_buf();
    move |source| match source {
        JournalError::InUse { .. } => OutboxError::InUse { dir: dir.clone() },
        source => OutboxError::Log { dir: dir.clone(), source },
    }
}
