//! Reads a journal without changing it, also while a writer has it open.

use std::path::Path;
use std::sync::Arc;
use std::vec;

use crate::disk::{Disk, RealDisk};
use crate::error::JournalError;
use crate::header::HEADER;
use crate::scan::Scan;
use crate::segment::{self, Segment};
use crate::{Position, Recovery};

/// Reads the segments that a directory had when it was opened.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    segments: Vec<Segment>,
    content: u16,
}

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    /// [`Options::content`](crate::Options::content) of the writer.
    pub content: u16,
    pub payload: Vec<u8>,
}

impl Reader {
    /// Opens a journal's directory; nothing is created, locked, cut or repaired. `content` is the newest version of the
    /// records' content that the caller can read: reading a segment with a newer one is an error.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open(dir: &Path, content: u16) -> Result<Reader, JournalError> {
        Reader::open_on(Arc::new(RealDisk), dir, content)
    }

    /// [`Reader::open`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, content: u16) -> Result<Reader, JournalError> {
        let segments = segment::list(&*disk, dir)?.segments;
        Ok(Reader { disk, segments, content })
    }

    /// Returns what opening the journal for writing would find.
    ///
    /// # Errors
    /// If a segment cannot be read, or has a newer format or content.
    pub fn check(&self) -> Result<Recovery, JournalError> {
        let mut total = Recovery { next: Position::FIRST, ..Recovery::default() };
        for segment in &self.segments {
            total.add(&examine(&*self.disk, segment, self.content)?.found);
        }
        Ok(total)
    }

    /// The records from `from` on, oldest first. Damaged ones are left out: see [`Reader::check`].
    pub fn read_from(&self, from: Position) -> Records {
        let later = self.segments.partition_point(|segment| segment.first <= from);
        let segments = self.segments.get(later.saturating_sub(1)..).unwrap_or_default().to_vec();
        let disk = Arc::clone(&self.disk);
        Records { disk, newest: self.content, from, segments: segments.into_iter(), open: None }
    }
}

/// Records in the order of their positions. It ends after an error.
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

/// The result of examining one segment.
pub(crate) struct Examined {
    pub(crate) header_damaged: bool,
    pub(crate) content: u16,
    /// The file's length in bytes.
    pub(crate) length: u64,
    /// If its last frame ends, in bytes.
    pub(crate) end: u64,
    /// That frame is damaged.
    pub(crate) damaged_end: bool,
    /// What it holds; `next` is the position that would follow in it.
    pub(crate) found: Recovery,
}

/// Examines one segment.
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
