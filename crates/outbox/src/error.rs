//! What can go wrong with an outbox, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the outbox could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// SQLite or the operating system refused.
    #[error("cannot {action} the outbox {}", path.display())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// There is no space left; nothing was changed.
    #[error("cannot {action} the outbox {}: the disk is full; free space on it", path.display())]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is damaged.
    #[error("the outbox {} is damaged; the next start repairs it and tells what was lost", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is damaged, says a check of all of it.
    #[error(
        "the outbox {} is damaged: {finding}; the next start repairs it and tells what was lost", path.display()
    )]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// The first thing found.
        finding: String,
    },
    /// It could not be repaired or migrated; it is as it was.
    #[error(
        "cannot write a new file for the outbox {}; make room or give the right to write beside it", path.display()
    )]
    Repair {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the outbox {} is in use by another process; stop that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of this program.
    #[error(
        "the outbox {} has schema version {found}, this program reads up to {supported}; \
         run the newer program, or move the file away to begin anew", path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The newest version this program knows.
        supported: i64,
    },
    /// An SQLite file of somebody else.
    #[error("{} is a database, but no outbox; move it away or name another file", path.display())]
    NotAnOutbox {
        /// The file.
        path: PathBuf,
    },
    /// The thread could not be started.
    #[error("cannot start the outbox's thread")]
    Thread {
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The outbox was closed, or its thread is gone.
    #[error("the outbox is closed")]
    Closed,
}

impl OutboxError {
    /// Whether the file itself says that it is damaged.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, OutboxError::Damaged { .. } | OutboxError::Inconsistent { .. })
    }

    /// Whether damage may be the cause, at a start: everything but what the machine refuses.
    pub(crate) fn may_be_damage(&self) -> bool {
        let OutboxError::Sqlite { source, .. } = self else { return self.is_damage() };
        !matches!(
            source.sqlite_error_code(),
            Some(
                ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::OutOfMemory
                    | ErrorCode::FileLockingProtocolFailed
            )
        )
    }
}

/// As SQLite would say it: what was read is not what was written.
pub(crate) fn corrupt() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some("a checksum is wrong".to_owned()))
}

/// Says what was tried, where: `.map_err(during("read", &path))`.
pub(crate) fn during(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> OutboxError + use<> {
    let path = path.to_path_buf();
    move |source| {
        let path = path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OutboxError::InUse { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                OutboxError::Damaged { path, source }
            }
            Some(ErrorCode::DiskFull) => OutboxError::DiskFull { action, path, source },
            _ => OutboxError::Sqlite { action, path, source },
        }
    }
}

/// Says that a new file could not be written for the one at `path`: `.map_err(repair(&path))`.
pub(crate) fn repair(path: &Path) -> impl Fn(io::Error) -> OutboxError + use<> {
    let path = path.to_path_buf();
    move |source| OutboxError::Repair { path: path.clone(), source }
}
