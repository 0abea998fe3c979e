//! SQLite's write-ahead log, read to see whether it is damaged: SQLite itself takes a log up to the first frame that is
//! wrong and says nothing, which loses every commit behind it. Format: <https://www.sqlite.org/fileformat2.html#walformat>.
//!
//! A commit that a power cut tore is no damage: nobody was told that it is durable. So only a wrong frame with the
//! ends of two commits from there on is damage for sure. One in the last commit looks like a torn commit and is taken for it, as is a log
//! whose end is missing: the producer's mark goes back with the rest then, and it hands over again.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use crate::schema::PAGE;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// One page as a commit left it.
struct Frame<'a> {
    page: u32,
    /// The file's pages after the commit that this frame ends; 0 where it ends none.
    pages: u32,
    data: &'a [u8],
    /// Whether it belongs to this log, and is no remainder of an earlier one.
    is_current: bool,
    is_whole: bool,
}

/// A log's committed part.
pub(crate) struct Log {
    bytes: Vec<u8>,
}

impl Log {
    /// The log at `path`; an empty one where there is none.
    pub(crate) fn read(path: &Path) -> io::Result<Log> {
        match fs::read(path) {
            Ok(bytes) => Ok(Log { bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Log { bytes: Vec::new() }),
            Err(error) => Err(error),
        }
    }

    /// Whether something that was durable cannot be read any more.
    pub(crate) fn is_damaged(&self) -> bool {
        let frames = self.committed();
        if frames.is_empty() {
            return false;
        }
        // The last one is whole. A torn commit has no end but its own.
        let behind = frames.iter().skip_while(|frame| frame.is_whole);
        !self.header_is_whole() || behind.filter(|frame| frame.is_current && frame.pages > 0).count() > 1
    }

    /// Whether the last commit wrote this page, as every commit should.
    pub(crate) fn ends_with(&self, page: u32) -> bool {
        let frames = self.committed();
        let before = frames.iter().rev().skip(1).take_while(|frame| frame.pages == 0);
        frames.last().into_iter().chain(before).any(|frame| frame.page == page)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.committed().is_empty()
    }

    /// Writes the newest version of every page into `file`, damaged ones as they are.
    pub(crate) fn merge_into(&self, file: &mut File) -> io::Result<()> {
        let frames = self.committed();
        let pages = frames.last().map_or(0, |last| last.pages);
        for frame in frames.iter().filter(|frame| (1..=pages).contains(&frame.page)) {
            file.seek(SeekFrom::Start(u64::from(frame.page - 1) * PAGE as u64))?;
            file.write_all(frame.data)?;
        }
        Ok(())
    }

    /// The frames up to the last commit that is whole.
    fn committed(&self) -> Vec<Frame<'_>> {
        let mut frames = self.frames();
        let end = frames.iter().rposition(|frame| frame.is_whole && frame.pages > 0).map_or(0, |at| at + 1);
        frames.truncate(end);
        frames
    }

    fn frames(&self) -> Vec<Frame<'_>> {
        let Some((header, rest)) = self.bytes.split_at_checked(HEADER) else { return Vec::new() };
        let mut salts = header.get(16..24);
        if !self.header_is_whole() {
            salts = rest.get(8..16);
        }
        let mut sums = [sums_at(header, 24); 2];
        let mut frames = Vec::new();
        for frame in rest.chunks_exact(FRAME_HEADER + PAGE) {
            let (head, data) = frame.split_at(FRAME_HEADER);
            let sum = |before| checksum(checksum(before, head.get(..8).unwrap_or_default()), data);
            let stands = sums_at(head, 16);
            let (is_salted, is_sound) = (head.get(8..16) == salts, sums.map(sum).contains(&stands));
            let (is_current, is_whole) = (is_salted || is_sound, is_salted && is_sound);
            // A frame's sum begins with that of the frame before: as it stands there, or as it should, where just that is
            // wrong. So one wrong frame spoils no other.
            sums = [stands, sum(sums[0])];
            frames.push(Frame {
                page: number_at(head, 0),
                pages: number_at(head, 4),
                data,
                is_current,
                is_whole,
            });
        }
        frames
    }

    fn header_is_whole(&self) -> bool {
        self.bytes.get(..24).is_some_and(|head| checksum((0, 0), head) == sums_at(&self.bytes, 24))
    }
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk()).copied();
    u32::from_be_bytes(bytes.unwrap_or_default())
}

fn sums_at(bytes: &[u8], at: usize) -> (u32, u32) {
    (number_at(bytes, at), number_at(bytes, at + 4))
}

/// In the byte order of the machine, as SQLite writes it.
fn checksum((mut a, mut b): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let (x, y) = pair.split_at(4);
        let word = |word: &[u8]| u32::from_ne_bytes(word.first_chunk().copied().unwrap_or_default());
        a = a.wrapping_add(word(x)).wrapping_add(b);
        b = b.wrapping_add(word(y)).wrapping_add(a);
    }
    (a, b)
}
