//! Reads a journal without changing it, whether or not somebody writes to it.

use std::path::Path;
use std::sync::Arc;
use std::vec;

use crate::disk::{Disk, RealDisk};
use crate::error::JournalError;
use crate::header::HEADER;
use crate::scan::Scan;
use crate::segment::{self, Segment};
use crate::{Position, Recovery};

/// The segments that a directory held when it was opened.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    segments: Vec<Segment>,
    content: u16,
}

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub position: Position,
    /// The version of what the payload holds: [`Options::content`](crate::Options::content) of who wrote it.
    pub content: u16,
    /// What was appended.
    pub payload: Vec<u8>,
}

impl Reader {
    /// Looks at a journal's directory; nothing is created, locked, cut or repaired. `content` is the newest version of
    /// what records hold that the caller can read: a segment of a newer one is an error when it is read.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn open(dir: &Path, content: u16) -> Result<Reader, JournalError> {
        Reader::open_on(Arc::new(RealDisk), dir, content)
    }

    /// [`Reader::open`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, content: u16) -> Result<Reader, JournalError> {
        let segments = segment::list(&*disk, dir)?.segments;
        Ok(Reader { disk, segments, content })
    }

    /// What opening the journal for writing would find.
    ///
    /// # Errors
    /// Where a segment cannot be read, or is of a newer format or content.
    pub fn check(&self) -> Result<Recovery, JournalError> {
        let mut total = Recovery { next: Position::FIRST, ..Recovery::default() };
        for segment in &self.segments {
            total.add(&examine(&*self.disk, segment, self.content)?.found);
        }
        Ok(total)
    }

    /// The records at `from` and after it, oldest first. What is damaged is left out: see [`Reader::check`].
    pub fn read_from(&self, from: Position) -> Records {
        let later = self.segments.partition_point(|segment| segment.first <= from);
        let segments = self.segments.get(later.saturating_sub(1)..).unwrap_or_default().to_vec();
        let disk = Arc::clone(&self.disk);
        Records { disk, newest: self.content, from, segments: segments.into_iter(), open: None }
    }
}

/// Records in the order of their positions. After an error there are none.
#[derive(Debug)]
pub struct Records {
    disk: Arc<dyn Disk>,
    /// The newest content that the caller can read.
    newest: u16,
    from: Position,
    segments: vec::IntoIter<Segment>,
    open: Option<Open>,
}

/// A segment that is being read.
#[derive(Debug)]
struct Open {
    bytes: Vec<u8>,
    content: u16,
    scan: Scan,
}

impl Iterator for Records {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(Open { bytes, content, scan }) = &mut self.open {
                match scan.next(bytes) {
                    Some(frame) if frame.position < self.from => continue,
                    Some(frame) => {
                        let payload = frame.payload.to_vec();
                        return Some(Ok(Record { position: frame.position, content: *content, payload }));
                    }
                    None => self.open = None,
                }
            }
            let segment = self.segments.next()?;
            match segment.read(&*self.disk, self.newest) {
                Ok(read) => {
                    let scan = Scan::new(HEADER, segment.first, segment.limit);
                    self.open = Some(Open { bytes: read.bytes, content: read.content, scan });
                }
                Err(error) => {
                    self.segments = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// One segment, looked through.
pub(crate) struct Examined {
    pub(crate) header_damaged: bool,
    pub(crate) content: u16,
    /// The file's length in bytes.
    pub(crate) length: u64,
    /// Where its last frame ends, in bytes.
    pub(crate) end: u64,
    /// That frame is damaged.
    pub(crate) damaged_end: bool,
    /// What it holds; `next` is the position that would follow in it.
    pub(crate) found: Recovery,
}

/// Looks through one segment.
pub(crate) fn examine(disk: &dyn Disk, segment: &Segment, newest: u16) -> Result<Examined, JournalError> {
    let read = segment.read(disk, newest)?;
    let length = read.bytes.len();
    let mut scan = Scan::new(HEADER, segment.first, segment.limit);
    let mut found = Recovery::default();
    while let Some(frame) = scan.next(&read.bytes) {
        found.first.get_or_insert(frame.position);
        found.records += 1;
    }
    let torn = if length < HEADER { length } else { scan.torn_bytes };
    found.next = scan.expected;
    found.torn_bytes = torn as u64;
    found.corrupt_records = scan.corrupt_records;
    found.corrupt_headers = u64::from(read.header_damaged);
    Ok(Examined {
        header_damaged: read.header_damaged,
        content: read.content,
        length: length as u64,
        end: scan.offset as u64,
        damaged_end: scan.damaged_end,
        found,
    })
}
