//! The lines of a `.part`, one after the other, and those that cannot be read.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// A longer line is damaged: no record has one.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

pub(super) struct Lines {
    file: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Lines> {
        Ok(Lines { file: BufReader::new(File::open(path)?), line: Vec::new() })
    }

    /// The next line, with its line break. One that is too long comes in pieces without it.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let is_rest = self.line.last().is_some_and(|byte| *byte != b'\n');
        self.line.clear();
        if is_rest {
            // So that no piece looks like a line.
            self.line.push(0);
        }
        let length = (&mut self.file).take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        Ok((length > 0).then_some(self.line.as_slice()))
    }
}

/// Keeps damaged lines in a file, which is made with the first one.
pub(super) struct DamagedLines {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl DamagedLines {
    pub(super) const fn new(path: PathBuf) -> DamagedLines {
        DamagedLines { path, file: None, bytes: 0 }
    }

    pub(super) fn push(&mut self, line: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(File::create(&self.path)?);
        }
        self.bytes += line.len() as u64;
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(line))
    }

    /// Waits for the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some(file) = self.file else { return Ok(()) };
        file.sync_all()?;
        tracing::error!(
            path = %self.path.display(),
            "lines of a file that was written to cannot be read ({} bytes), they are kept in this one; check the disk",
            self.bytes
        );
        Ok(())
    }
}
