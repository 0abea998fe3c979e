//! What can go wrong with the history, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the history could not do what was asked. Nothing else of the gateway depends on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// SQLite or the operating system refused.
    #[error("cannot {action} the history {}; look at the disk, and at who may write there", path.display())]
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
    #[error("cannot {action} the history {}: the disk is full; free space on it", path.display())]
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
    #[error("the history {} is damaged: {finding}; move it away to begin anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        finding: String,
    },
    /// Another process writes to it for too long.
    #[error("the history {} is in use by another process; stop that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of this program.
    #[error(
        "the history {} has schema version {found}, this program reads up to {supported}; \
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
    /// A file of somebody else.
    #[error("{} is a database, but no history; move it away or name another file", path.display())]
    NotAHistory {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is in the file, not even tables: a writer is about to make them, or never did.
    #[error("the history {} has nothing in it yet; try again when the gateway has run for a while", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A window has more in it than can be stored.
    #[error("a window of {device} cannot be stored in the history {}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Whose window.
        device: Box<str>,
        /// What is wrong.
        reason: String,
    },
    /// A damaged file could not be put aside.
    #[error(
        "the history {} is damaged and cannot be moved aside; give the right to write beside it", path.display()
    )]
    Aside {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl HistoryError {
    /// Whether the file itself is damaged, so that no repetition can help.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// Says what was tried, where: `.map_err(during("read", &path))`.
pub(crate) fn during(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> HistoryError + use<> {
    let path = path.to_path_buf();
    move |source| {
        let path = path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => HistoryError::InUse { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                HistoryError::Damaged { path, finding: source.to_string() }
            }
            Some(ErrorCode::DiskFull) => HistoryError::DiskFull { action, path, source },
            _ => HistoryError::Sqlite { action, path, source },
        }
    }
}
