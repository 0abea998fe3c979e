//! One file for another, so that a crash at any moment leaves the old one or the new one.
//!
//! Beside `outbox.db` there may be, for a while: `….new`, not complete; `….image`, a copy of a damaged file to work on;
//! `….repaired`, complete, about to take the place of the damaged one, which becomes `….damaged` (with `….damaged-wal`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The file beside `path` whose name goes on with `suffix`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The file that is not complete.
pub(crate) fn new_file(path: &Path) -> PathBuf {
    beside(path, ".new")
}

/// The copy to work on.
pub(crate) fn image(path: &Path) -> PathBuf {
    beside(path, ".image")
}

/// Where the damaged file is kept.
pub(crate) fn damaged(path: &Path) -> PathBuf {
    beside(path, ".damaged")
}

/// Puts the complete `….new` in the damaged file's place, and that aside.
pub(crate) fn set_aside(path: &Path) -> io::Result<()> {
    rename(&new_file(path), &beside(path, ".repaired"))?;
    finish(path)
}

/// Puts the complete `….new` in the place of a file that is closed and whole.
pub(crate) fn supersede(path: &Path) -> io::Result<()> {
    // A log that was taken over must not be taken for the new file's.
    remove(&beside(path, "-wal"))?;
    rename(&new_file(path), path)
}

/// Does what a crash left undone, and removes what it left behind.
pub(crate) fn finish(path: &Path) -> io::Result<()> {
    remove(&new_file(path))?;
    remove(&beside(path, ".new-journal"))?;
    remove(&beside(path, ".new-wal"))?;
    remove(&image(path))?;
    let repaired = beside(path, ".repaired");
    if !repaired.try_exists()? {
        return Ok(());
    }
    let (log, kept_log) = (beside(path, "-wal"), beside(path, ".damaged-wal"));
    if path.try_exists()? {
        remove(&kept_log)?;
        rename(path, &damaged(path))?;
    }
    if log.try_exists()? {
        rename(&log, &kept_log)?;
    }
    rename(&repaired, path)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_directory(to)
}

/// Makes the names in the directory of `path` durable, where the file system can.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match File::open(folder.unwrap_or(Path::new(".")))?.sync_all() {
        // Not every file system can.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        result => result,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
