//! A file that behaves as flash: pages that are erased to ones, words that are written once.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use node_core::storage::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

const PAGES: u32 = 16;
const PAGE: usize = 4096;

pub(crate) struct FileFlash(File);

#[derive(Debug)]
pub(crate) struct FileError;

impl FileFlash {
    /// All of it.
    pub(crate) const RANGE: Range<u32> = 0..PAGES * PAGE as u32;

    /// Opens the file, or makes one that is erased.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let (length, end) = (file.metadata()?.len(), u64::from(Self::RANGE.end));
        if length < end {
            file.write_all_at(&vec![0xff; usize::try_from(end - length).unwrap_or_default()], length)?;
        }
        Ok(Self(file))
    }
}

impl NorFlashError for FileError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl From<io::Error> for FileError {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl ErrorType for FileFlash {
    type Error = FileError;
}

impl ReadNorFlash for FileFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FileError> {
        Ok(self.0.read_exact_at(bytes, offset.into())?)
    }

    fn capacity(&self) -> usize {
        PAGES as usize * PAGE
    }
}

impl NorFlash for FileFlash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), FileError> {
        let length = to.checked_sub(from).ok_or(FileError)? as usize;
        self.0.write_all_at(&vec![0xff; length], from.into())?;
        Ok(self.0.sync_data()?)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FileError> {
        let mut before = vec![0; bytes.len()];
        self.0.read_exact_at(&mut before, offset.into())?;
        let after: Vec<_> = before.iter().zip(bytes).map(|(before, byte)| before & byte).collect();
        self.0.write_all_at(&after, offset.into())?;
        Ok(self.0.sync_data()?)
    }
}
