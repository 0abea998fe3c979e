//! Segment files: their names, their header, how one is created, read and listed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Position;
use crate::error::{JournalError, during};
use crate::frame::{FRAME_HEADER, MAX_PAYLOAD_BYTES};

/// Length of a segment's header.
pub(crate) const HEADER: usize = 24;
/// No segment is made longer than this by more than one frame.
pub(crate) const MAX_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"SEGMENT\n";
const VERSION: u32 = 1;
const EXTENSION: &str = "journal";
const LARGEST_FILE: u64 = MAX_SEGMENT_BYTES + (HEADER + FRAME_HEADER + MAX_PAYLOAD_BYTES) as u64;

/// A segment in its directory, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) first: Position,
}

/// Whether a segment's header is as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    Intact,
    /// Cut short or with a wrong checksum; the name still tells the first position.
    Damaged,
}

impl Segment {
    pub(crate) fn named(dir: &Path, first: Position) -> Segment {
        Segment { path: dir.join(format!("{:020}.{EXTENSION}", first.0)), first }
    }

    /// All its bytes and the state of its header.
    ///
    /// # Errors
    /// Where the file cannot be read, is of a newer format or cannot be this segment.
    pub(crate) fn read(&self) -> Result<(Vec<u8>, Header), JournalError> {
        let length = fs::metadata(&self.path).map_err(during("read", &self.path))?.len();
        if length > LARGEST_FILE {
            return Err(JournalError::NotASegment { path: self.path.clone(), bytes: length });
        }
        let bytes = fs::read(&self.path).map_err(during("read", &self.path))?;
        let header = self.check_header(&bytes)?;
        Ok((bytes, header))
    }

    fn check_header(&self, bytes: &[u8]) -> Result<Header, JournalError> {
        let Some((version, first)) = parse_header(bytes) else {
            return Ok(Header::Damaged);
        };
        if version > VERSION {
            let path = self.path.clone();
            return Err(JournalError::NewerFormat { path, found: version, supported: VERSION });
        }
        if first != self.first {
            return Err(JournalError::Renamed { path: self.path.clone(), header: first });
        }
        Ok(Header::Intact)
    }

    /// Makes the file: a header, synced, and the directory with it.
    ///
    /// # Errors
    /// Where that fails; nothing is left behind then, as far as the system lets us.
    pub(crate) fn create(&self, dir: &File) -> Result<File, JournalError> {
        // `truncate`: at a position that is still to come there is at most the rest of a failed attempt.
        let made = OpenOptions::new().create(true).write(true).truncate(true).open(&self.path).and_then(
            |mut file| {
                file.write_all(&header_bytes(self.first))?;
                file.sync_all()
            },
        );
        let opened = made.and_then(|()| self.open_append());
        if opened.is_err() {
            let _the_first_error_says_more = fs::remove_file(&self.path);
        }
        let file = opened.map_err(during("create", &self.path))?;
        sync_directory(dir);
        Ok(file)
    }

    /// Opens the file such that every write goes to its end.
    pub(crate) fn open_append(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(&self.path)
    }

    /// Writes the header anew, cuts the file to `length` and syncs what is there.
    pub(crate) fn repair(&self, header: Header, length: u64) -> Result<(), JournalError> {
        let repaired = OpenOptions::new().write(true).open(&self.path).and_then(|mut file| {
            file.set_len(length)?;
            if header == Header::Damaged {
                file.write_all(&header_bytes(self.first))?;
            }
            file.sync_all()
        });
        repaired.map_err(during("repair", &self.path))
    }
}

/// The segments of a directory, oldest first; files with other names are not ours and left alone.
pub(crate) fn list(dir: &Path) -> Result<Vec<Segment>, JournalError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(during("read", dir))? {
        let path = entry.map_err(during("read", dir))?.path();
        if let Some(first) = first_of_name(&path) {
            segments.push(Segment { path, first });
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

/// Best effort: not every file system can, and the file itself is synced.
pub(crate) fn sync_directory(dir: &File) {
    let _not_every_file_system_can = dir.sync_all();
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

fn header_bytes(first: Position) -> Vec<u8> {
    let mut bytes = [MAGIC.as_slice(), &VERSION.to_le_bytes(), &first.0.to_le_bytes()].concat();
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Version and first position; `None` where the header is not whole.
fn parse_header(bytes: &[u8]) -> Option<(u32, Position)> {
    let (checked, rest) = bytes.split_at_checked(HEADER - size_of::<u32>())?;
    let (crc, _) = rest.split_first_chunk()?;
    let (magic, rest) = checked.split_first_chunk()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (first, _) = rest.split_first_chunk()?;
    let intact = magic == MAGIC && crc32fast::hash(checked) == u32::from_le_bytes(*crc);
    intact.then(|| (u32::from_le_bytes(*version), Position(u64::from_le_bytes(*first))))
}

/// Bytes that a record of this payload takes in a segment.
pub(crate) fn frame_bytes(payload: usize) -> u64 {
    (FRAME_HEADER + payload) as u64
}
