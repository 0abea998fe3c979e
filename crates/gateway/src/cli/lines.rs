//! Lines of files that people give to a command: each within a bound, so that no file fills the memory.

use std::io::{self, BufRead, Read};

use super::{Exit, Failure};

/// The longest line, in bytes.
pub(super) const LONGEST: usize = 1024 * 1024;

/// The lines of a source, without their ends. A line that is too long is one error, and the next one is read; after an
/// error of the source there are no more.
pub(super) struct Lines<R> {
    source: R,
    is_broken: bool,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, is_broken: false }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        let mut line = Vec::new();
        let read = read_line(&mut self.source, &mut line);
        match read {
            Ok(0) => None,
            Ok(_) if line.len() > LONGEST => Some(Err(too_long())),
            Ok(_) => Some(Ok(line)),
            Err(error) => {
                self.is_broken = true;
                Some(Err(error))
            }
        }
    }
}

/// Returns how many bytes were read; of a line that is too long it keeps one byte more than [`LONGEST`].
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut total = 0;
    loop {
        let available = match source.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        let room = (LONGEST + 1).saturating_sub(line.len());
        line.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        total += used;
        if end.is_some() || used == 0 {
            return Ok(total);
        }
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a line longer than {LONGEST} bytes"))
}

/// A source whose lines are read by something else: a line that is too long is an error.
pub(super) struct Bounded<R> {
    source: R,
    since_line: usize,
}

impl<R: Read> Bounded<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, since_line: 0 }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_line > LONGEST {
            return Err(too_long());
        }
        let read = self.source.read(buffer)?;
        let part = buffer.get(..read).unwrap_or_default();
        self.since_line = match part.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => read - end - 1,
            None => self.since_line + read,
        };
        Ok(read)
    }
}

/// A file to read lines from.
pub(super) fn open(path: &std::path::Path) -> Result<std::fs::File, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::NoInput, format!("cannot read {}: {why}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let is_folder = file.metadata().map_err(|error| failed(&error))?.is_dir();
    if is_folder { Err(failed(&"it is a folder; name a file")) } else { Ok(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_one_error_and_the_next_is_read() {
        let text = format!("a\n{}\n\nb", "x".repeat(LONGEST + 1));
        let lines: Vec<_> = Lines::new(text.as_bytes()).map(|line| line.map_err(|_| ())).collect();
        assert_eq!(lines, [Ok(b"a".to_vec()), Err(()), Ok(Vec::new()), Ok(b"b".to_vec())]);
        let fits = "x".repeat(LONGEST);
        assert_eq!(Lines::new(fits.as_bytes()).next().unwrap().unwrap().len(), LONGEST);
    }

    #[test]
    fn a_source_that_fails_ends() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("a bad sector"))
            }
        }
        let lines: Vec<_> = Lines::new(io::BufReader::new(Broken)).collect();
        assert!(matches!(lines.as_slice(), [Err(_)]));
        let mut read = Bounded::new(io::repeat(b'x'));
        assert!(io::copy(&mut read, &mut io::sink()).is_err());
    }
}
