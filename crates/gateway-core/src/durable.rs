//! Durable writes of files: write a new file, sync it, rename it, and sync the directory.
//!
//! Once [`replace`] returns, the file has its new content; a crash before leaves the old content.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Puts `bytes` in the place of the file at `path`, durably. Uses `<path>.new` on the way.
///
/// # Errors
/// Where the system refuses. The old content stays, unless only the sync of the directory failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".new");
    write_synced(&new, bytes)?;
    fs::rename(&new, path)?;
    sync_directory_of(path)
}

/// Writes a file and syncs its content. Its name is durable only after [`sync_directory_of`].
///
/// # Errors
/// Where the system refuses.
pub fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the names in the directory of `path` durable, where the file system can sync a directory.
///
/// # Errors
/// Where the disk refuses. A file system that cannot sync a directory at all (some FUSE and network file systems) is
/// no error: it makes names durable in its own way, or not at all.
pub fn sync_directory_of(path: &Path) -> io::Result<()> {
    sync_directory(directory_of(path))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// The directory that `path` lies in; `.` for a bare name.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` with `suffix` appended to its name, as in `history.db-wal`.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Moves a file if it exists.
///
/// # Errors
/// Where the system refuses.
pub fn rename_if_exists(from: &Path, to: &Path) -> io::Result<()> {
    ignore_missing(fs::rename(from, to))
}

/// Removes a file if it exists.
///
/// # Errors
/// Where the system refuses.
pub fn remove_if_exists(path: &Path) -> io::Result<()> {
    ignore_missing(fs::remove_file(path))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("state");
        for content in ["first", "second"] {
            replace(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_old_content_stays_where_the_new_one_cannot_be_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("state");
        replace(&path, b"old").unwrap();
        fs::create_dir(with_suffix(&path, ".new")).unwrap();
        replace(&path, b"new").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_file_system_that_cannot_sync_directories_is_no_error_and_a_missing_directory_is() {
        let proc = Path::new("/proc");
        assert_eq!(File::open(proc).unwrap().sync_all().unwrap_err().kind(), ErrorKind::InvalidInput);
        sync_directory(proc).unwrap();
        sync_directory_of(Path::new("a-bare-name")).unwrap();
        let missing = sync_directory(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_missing_file_need_not_be_moved_or_removed() {
        let folder = tempfile::TempDir::new().unwrap();
        let (missing, other) = (folder.path().join("missing"), folder.path().join("other"));
        rename_if_exists(&missing, &other).unwrap();
        remove_if_exists(&missing).unwrap();
        fs::write(&missing, "").unwrap();
        rename_if_exists(&missing, &other).unwrap();
        remove_if_exists(&other).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
