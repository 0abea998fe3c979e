//! The newest segment, to which records are written.

use std::path::Path;
use std::sync::Arc;

use crate::Position;
use crate::disk::{self, Disk};
use crate::error::{JournalError, during};
use crate::header::HEADER;
use crate::segment::Segment;
use crate::sync::SharedFile;

#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) segment: Segment,
    pub(crate) file: Arc<SharedFile>,
    /// The end of the last whole frame.
    pub(crate) end: u64,
}

impl Current {
    /// Begins a segment with these frames; it is durable.
    pub(crate) fn begin(
        disk: &dyn Disk,
        dir: &Path,
        first: Position,
        content: u16,
        frames: &[u8],
    ) -> Result<Current, JournalError> {
        let segment = Segment::named(dir, first);
        let file = SharedFile::new(segment.write(disk, content, frames)?, &segment);
        Ok(Current { segment, file, end: (HEADER + frames.len()) as u64 })
    }

    /// Continues a segment of `end` bytes.
    pub(crate) fn reopen(disk: &dyn Disk, segment: Segment, end: u64) -> Result<Current, JournalError> {
        let file = disk.open(&segment.path).map_err(during("open", &segment.path))?;
        Ok(Current { file: SharedFile::new(file, &segment), segment, end })
    }

    pub(crate) fn has_records(&self) -> bool {
        self.end > HEADER as u64
    }

    /// Whether this many bytes more would make it longer than `limit`; one record always fits.
    pub(crate) fn is_full(&self, more: usize, limit: u64) -> bool {
        self.has_records() && self.end + more as u64 > limit
    }

    /// Writes one frame, whole or not at all. If a part of it cannot be removed, the file is abandoned.
    pub(crate) fn write(&mut self, frame: &[u8]) -> Result<(), JournalError> {
        let path = &self.segment.path;
        let written = disk::write_all(&*self.file.file, frame).map_err(during("write", path));
        if written.is_ok() {
            self.end += frame.len() as u64;
        } else if let Err(error) = self.file.file.set_len(self.end) {
            self.file.abandon(&during("cut", path)(error));
        }
        written
    }

    /// Cuts the file at `end`. Best effort: readers stop at the next segment's first position.
    pub(crate) fn cut_back(&mut self, end: u64) {
        if end < self.end {
            let _best_effort = self.file.file.set_len(end);
            self.end = end;
        }
    }
}
