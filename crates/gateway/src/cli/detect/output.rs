//! Where the scored rows go: stdout, or a file that is there as a whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::judge::Verdict;
use crate::cli::{Exit, Failure};

const HEAD: [&str; 4] = ["timestamp", "value", "anomaly_score", "alert"];
/// Before the umask, as any program's new file.
const NEW_FILE: u32 = 0o666;

/// Scored rows under way.
pub(super) struct Output {
    rows: csv::Writer<Target>,
    /// The file's name; none for stdout.
    path: Option<PathBuf>,
    score: String,
}

enum Target {
    Stdout(io::Stdout),
    /// A pipe or a device: there is nothing to rename.
    Special(File),
    /// Beside the file whose place it will take.
    Beside(NamedTempFile),
}

impl Output {
    /// Writes the head line too.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(super) fn create(path: Option<&Path>) -> Result<Self, Failure> {
        // A link stays a link: the file that it leads to is replaced.
        let path = path.map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        let target = match &path {
            None => Target::Stdout(io::stdout()),
            Some(path) => Target::open(path).map_err(|error| cannot_create(path, &error))?,
        };
        let mut output = Self { rows: csv::Writer::from_writer(target), path, score: String::new() };
        let written = output.rows.write_record(HEAD);
        output.done(written)?;
        Ok(output)
    }

    /// One row.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn write(&mut self, time: &[u8], value: &[u8], verdict: Verdict) -> Result<(), Failure> {
        use std::fmt::Write as _;
        self.score.clear();
        let _ = write!(self.score, "{}", verdict.score);
        let alert: &[u8] = if verdict.alert { b"1" } else { b"0" };
        let written = self.rows.write_record([time, value, self.score.as_bytes(), alert]);
        self.done(written)
    }

    /// What was written until now can be read.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.rows.flush();
        flushed.map_err(|error| self.failure(&error))
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// Where that cannot be done; what was there before then stays.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        let Self { rows, path, .. } = self;
        let (Some(path), Ok(Target::Beside(file))) = (path, rows.into_inner()) else { return Ok(()) };
        file.persist(&path).map(drop).map_err(|failed| cannot_create(&path, &failed.error))
    }

    fn done(&self, written: csv::Result<()>) -> Result<(), Failure> {
        written.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => self.failure(&error),
            other => Failure::new(Exit::Software, format!("cannot write a row: {other:?}")),
        })
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match &self.path {
            Some(path) => cannot_create(path, error),
            None => Failure::stdout(error),
        }
    }
}

fn cannot_create(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::CannotCreate, format!("cannot write {}: {error}", path.display()))
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => Ok(Self::Special(OpenOptions::new().write(true).open(path)?)),
            _ => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let mut beside = tempfile::Builder::new();
                beside.prefix(".riser-detect-").permissions(Permissions::from_mode(NEW_FILE));
                Ok(Self::Beside(beside.tempfile_in(folder.unwrap_or(Path::new(".")))?))
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Special(file) => file.write(bytes),
            Self::Beside(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Special(file) => file.flush(),
            Self::Beside(file) => file.flush(),
        }
    }
}
