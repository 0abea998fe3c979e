//! What still counts of segments that were deleted while the disk was full: one small file, and a reserve of space for it.
//!
//! Guarantee: the file is whole, or as it was before; a power cut does not change that.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{Disk, replace_file};

/// Bytes that are set aside for the file.
pub(crate) const RESERVE: usize = 128 << 10;
/// With the version of the layout: magic, crc32 of the rest, and of each batch position, length and bytes.
const MAGIC: &[u8; 8] = b"RISERBK1";

/// Records with the position that each had.
pub(crate) type Batches = Vec<(u64, Vec<u8>)>;

#[derive(Debug)]
pub(crate) struct Kept {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    has_reserve: bool,
    is_empty: bool,
}

impl Kept {
    /// Looks for the file in `dir`; a damaged one is an error.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> (Self, io::Result<Batches>) {
        let kept = Self { disk, dir: dir.to_owned(), has_reserve: false, is_empty: true };
        let has_reserve = kept.disk.length(&kept.reserve()).is_ok_and(|bytes| bytes >= RESERVE as u64);
        let read = kept.read();
        let is_empty = read.as_ref().is_ok_and(Vec::is_empty);
        (Self { has_reserve, is_empty, ..kept }, read)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(crate) fn read(&self) -> io::Result<Batches> {
        match self.disk.read(&self.file()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(bytes) => decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into()),
        }
    }

    /// Replaces the file, at the cost of the reserve.
    pub(crate) fn replace(&mut self, batches: &Batches) -> io::Result<()> {
        if batches.is_empty() {
            return self.clear();
        }
        let _ = self.disk.remove(&self.reserve());
        self.has_reserve = false;
        let unfinished = self.dir.join("kept.tmp");
        let replaced = replace_file(&*self.disk, &unfinished, &self.file(), &encode(batches));
        if replaced.is_err() {
            let _ = self.disk.remove(&unfinished);
        } else {
            self.is_empty = false;
        }
        replaced
    }

    /// Deletes the file.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if !self.is_empty {
            self.disk.remove(&self.file())?;
            self.disk.sync_dir(&self.dir)?;
            self.is_empty = true;
        }
        Ok(())
    }

    pub(crate) const fn has_reserve(&self) -> bool {
        self.has_reserve
    }

    /// Sets the reserve aside, if the disk has room.
    pub(crate) fn fill_reserve(&mut self) {
        let path = self.reserve();
        let fill = || -> io::Result<()> {
            let file = self.disk.create(&path)?;
            let mut rest = RESERVE;
            while rest > 0 {
                rest -= match file.append(&[0; 4096])? {
                    0 => return Err(io::ErrorKind::WriteZero.into()),
                    written => written.min(rest),
                };
            }
            Ok(())
        };
        self.has_reserve = fill().is_ok();
        if !self.has_reserve {
            let _ = self.disk.remove(&path);
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.join("kept.records")
    }

    fn reserve(&self) -> PathBuf {
        self.dir.join("reserve")
    }
}

fn encode(batches: &Batches) -> Vec<u8> {
    let mut rest = Vec::new();
    for (position, batch) in batches {
        rest.extend(position.to_le_bytes());
        rest.extend(u32::try_from(batch.len()).unwrap_or(u32::MAX).to_le_bytes());
        rest.extend(batch);
    }
    [&MAGIC[..], &crc32fast::hash(&rest).to_le_bytes(), &rest].concat()
}

fn decode(bytes: &[u8]) -> Option<Batches> {
    let (crc, mut rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let (position, after) = rest.split_first_chunk()?;
        let (length, after) = after.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (batch, after) = after.split_at_checked(length)?;
        batches.push((u64::from_le_bytes(*position), batch.to_vec()));
        rest = after;
    }
    Some(batches)
}
