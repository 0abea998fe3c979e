//! Reads a journal without changing it, whether or not somebody writes to it.

use std::path::Path;
use std::vec;

use crate::error::JournalError;
use crate::scan::Scan;
use crate::segment::{self, HEADER, Header, Segment};
use crate::{Position, Recovery};

/// The segments that a directory held when it was opened.
#[derive(Debug)]
pub struct Reader {
    segments: Vec<Segment>,
}

impl Reader {
    /// Looks at a journal's directory; nothing is created, locked, cut or repaired.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn open(dir: &Path) -> Result<Reader, JournalError> {
        Ok(Reader { segments: segment::list(dir)? })
    }

    /// What opening the journal for writing would find.
    ///
    /// # Errors
    /// Where a segment cannot be read, or is of a newer format.
    pub fn check(&self) -> Result<Recovery, JournalError> {
        let mut total = Recovery { next: Position::FIRST, ..Recovery::default() };
        for segment in &self.segments {
            total.add(&examine(segment)?.found);
        }
        Ok(total)
    }

    /// The records at `from` and after it, oldest first. What is damaged is left out: see [`Reader::check`].
    pub fn read_from(&self, from: Position) -> Records {
        let later = self.segments.partition_point(|segment| segment.first <= from);
        let segments = self.segments.get(later.saturating_sub(1)..).unwrap_or_default().to_vec();
        Records { from, segments: segments.into_iter(), open: None }
    }
}

/// Records in the order of their positions. After an error there are none.
#[derive(Debug)]
pub struct Records {
    from: Position,
    segments: vec::IntoIter<Segment>,
    open: Option<(Vec<u8>, Scan)>,
}

impl Iterator for Records {
    type Item = Result<(Position, Vec<u8>), JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((bytes, scan)) = &mut self.open {
                match scan.next(bytes) {
                    Some(frame) if frame.position < self.from => continue,
                    Some(frame) => return Some(Ok((frame.position, frame.payload.to_vec()))),
                    None => self.open = None,
                }
            }
            let segment = self.segments.next()?;
            match segment.read() {
                Ok((bytes, _)) => self.open = Some((bytes, Scan::new(HEADER, segment.first))),
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
    pub(crate) header: Header,
    /// Where its last frame ends, in bytes.
    pub(crate) end: u64,
    /// What it holds; `next` is the position that would follow in it.
    pub(crate) found: Recovery,
}

/// Looks through one segment.
pub(crate) fn examine(segment: &Segment) -> Result<Examined, JournalError> {
    let (bytes, header) = segment.read()?;
    let mut scan = Scan::new(HEADER, segment.first);
    let mut found = Recovery::default();
    while let Some(frame) = scan.next(&bytes) {
        found.first.get_or_insert(frame.position);
        found.records += 1;
    }
    let torn = if bytes.len() < HEADER { bytes.len() } else { scan.torn_bytes };
    found.next = scan.expected;
    found.torn_bytes = torn as u64;
    found.corrupt_records = scan.corrupt_records;
    found.corrupt_headers = u64::from(header == Header::Damaged);
    Ok(Examined { header, end: scan.offset as u64, found })
}
