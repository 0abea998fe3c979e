//! Segment files: their names, their header, how one is written, read and listed.

use std::io;
use std::path::{Path, PathBuf};

use crate::Position;
use crate::disk::{self, Disk, DiskFile};
use crate::error::{JournalError, during};
use crate::frame::{FRAME_HEADER, MAX_PAYLOAD_BYTES};
use crate::header::{self, HEADER};

/// No segment exceeds this by more than one frame.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

const EXTENSION: &str = "journal";
/// A segment that is being written. If `open` finds it, a write or sync of the last process failed.
const UNFINISHED: &str = "segment.tmp";
const LARGEST_FILE: u64 = MAX_SEGMENT_BYTES + (HEADER + FRAME_HEADER + MAX_PAYLOAD_BYTES) as u64;

/// A segment in its directory, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: Position,
    /// The first position of the next segment: records at or beyond it are that one's, whatever stands in this one.
    pub(crate) limit: Position,
}

/// A segment's bytes, and what its header says.
pub(crate) struct Contents {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content: u16,
    /// The header was cut short or has a wrong checksum.
    pub(crate) header_damaged: bool,
}

impl Segment {
    pub(crate) fn named(dir: &Path, first: Position) -> Segment {
        let path = dir.join(format!("{:020}.{EXTENSION}", first.0));
        Segment { path, first, limit: Position(u64::MAX) }
    }

    /// Reads the file. `newest` is the newest content that the caller knows.
    ///
    /// # Errors
    /// If the file cannot be read, has a newer format or content, or cannot be this segment.
    pub(crate) fn read(&self, disk: &dyn Disk, newest: u16) -> Result<Contents, JournalError> {
        let length = disk.length(&self.path).map_err(during("read", &self.path))?;
        if length > LARGEST_FILE {
            return Err(JournalError::NotASegment { path: self.path.clone(), bytes: length });
        }
        let bytes = disk.read(&self.path).map_err(during("read", &self.path))?;
        let (content, header_damaged) = match header::parse(&bytes) {
            Some(header) => (header.checked(self, newest)?, false),
            None => (header::nearest_content(&bytes, self.first, newest), true),
        };
        Ok(Contents { bytes, content, header_damaged })
    }

    /// Replaces the segment by one with these frames: written to another file, synced, renamed, and the directory synced.
    /// Returns the file, open for more.
    ///
    /// # Errors
    /// If the disk refuses. The segment is then the old one, or the new one but not durable.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        content: u16,
        frames: &[u8],
    ) -> Result<Box<dyn DiskFile>, JournalError> {
        let unfinished = self.dir().join(UNFINISHED);
        let written = disk.create(&unfinished).and_then(|file| {
            disk::write_all(&*file, &header::bytes(self.first, content))?;
            disk::write_all(&*file, frames)?;
            file.sync()?;
            disk.rename(&unfinished, &self.path)?;
            Ok(file)
        });
        if written.is_err() {
            // Frees the space. The empty file stays, to tell the next process.
            mark_sync_failure(disk, self.dir());
        }
        let file = written.map_err(during("write", &self.path))?;
        disk.sync_dir(self.dir()).map_err(during("sync", self.dir()))?;
        Ok(file)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }
}

/// What a directory holds.
pub(crate) struct Listing {
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    /// A write or sync of the last process failed.
    pub(crate) sync_failed: bool,
}

/// Lists a directory. Files with other names are not ours and ignored.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Listing, JournalError> {
    let paths = disk.list(dir).map_err(during("read", dir))?;
    let mut firsts: Vec<Position> = paths.iter().filter_map(|path| first_of_name(path)).collect();
    firsts.sort_unstable();
    let mut segments: Vec<Segment> = firsts.iter().map(|first| Segment::named(dir, *first)).collect();
    for (segment, following) in segments.iter_mut().zip(firsts.iter().skip(1)) {
        segment.limit = *following;
    }
    Ok(Listing { segments, sync_failed: paths.contains(&dir.join(UNFINISHED)) })
}

/// Tells the next process that a sync failed: the content of the newest segment may not be on the disk, even if a sync
/// succeeds. Best effort; after a power cut the file is not needed, because the segment then reads as the disk has it.
pub(crate) fn mark_sync_failure(disk: &dyn Disk, dir: &Path) {
    let _best_effort = disk.create(&dir.join(UNFINISHED));
}

/// Deletes that file.
pub(crate) fn clear_sync_failure(disk: &dyn Disk, dir: &Path) -> Result<(), JournalError> {
    let path = dir.join(UNFINISHED);
    match disk.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(during("delete", &path)(error)),
        _ => Ok(()),
    }
}

fn first_of_name(path: &Path) -> Option<Position> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let digits = path.file_stem()?.to_str()?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let first = digits.parse().ok().filter(|_| plain)?;
    (first > 0).then_some(Position(first))
}
