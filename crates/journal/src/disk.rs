//! The file system as the journal uses it, so that tests can replace it by a faulty disk.
//!
//! As in POSIX: written data survives the process, synced data survives a power cut, a name survives a power cut if its
//! directory was synced, and a rename is atomic.

use std::any::Any;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Keeps a directory locked until it is dropped.
pub type DirLock = Box<dyn Any + Send + Sync>;

/// The file system calls. Every call may fail at any time.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory and its parents, durably, if they do not exist.
    ///
    /// # Errors
    /// If the system refuses.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a directory against other writers.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if another process has it; others if the system refuses.
    fn lock_dir(&self, dir: &Path) -> io::Result<DirLock>;

    /// The paths of the files in a directory.
    ///
    /// # Errors
    /// If the system refuses.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// If the system refuses.
    fn length(&self, path: &Path) -> io::Result<u64>;

    /// The whole file.
    ///
    /// # Errors
    /// If the system refuses.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Makes an empty file, or empties the existing one.
    ///
    /// # Errors
    /// If the system refuses.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file.
    ///
    /// # Errors
    /// If the system refuses.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Renames a file, replacing the one that has the new name.
    ///
    /// # Errors
    /// If the system refuses; both names are as they were then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Deletes a file.
    ///
    /// # Errors
    /// If the system refuses.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// If the disk refuses. A file system that cannot sync directories is no error.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file open for appending. A rename does not change which file it is.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// One `write(2)` at the file's end; returns how many bytes were written.
    ///
    /// # Errors
    /// If the system refuses; nothing was written then.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file to this length in bytes.
    ///
    /// # Errors
    /// If the system refuses.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Makes the written data durable (`fdatasync`).
    ///
    /// # Errors
    /// If the disk refuses. Data written since the last sync may be lost then, and a second sync may succeed without having
    /// written it.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of it, or fails with some of it written.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.append(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Replaces the file at `path` by one with these bytes, durably, through the file `unfinished` in the same directory. After
/// a crash at any time the file has its old content or all of `bytes`.
///
/// # Errors
/// If the disk refuses: the file may then have either content, and not durably.
pub fn replace_file(disk: &dyn Disk, unfinished: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = disk.create(unfinished)?;
    write_all(&*file, bytes)?;
    file.sync()?;
    disk.rename(unfinished, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// The real file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(dir)?;
        dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), |p| self.sync_dir(p))
    }

    fn lock_dir(&self, dir: &Path) -> io::Result<DirLock> {
        let file = File::open(dir)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        fs::metadata(path).map(|metadata| metadata.len())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        File::create(path)?;
        self.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match File::open(dir)?.sync_all() {
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            result => result,
        }
    }
}

impl DiskFile for File {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
