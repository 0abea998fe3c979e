//! Where results go: stdout, a pipe or device, or a file that is there as a whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{Exit, Failure};

/// Before the umask, as any program's new file.
const NEW_FILE: u32 = 0o666;

/// An output under way.
pub(crate) struct OutputTarget {
    to: Target,
    /// The file's name; none for stdout.
    path: Option<PathBuf>,
}

enum Target {
    Stdout(io::Stdout),
    /// A pipe or a device: there is nothing to rename.
    Special(File),
    /// Beside the file whose place it will take.
    Beside(NamedTempFile),
}

impl OutputTarget {
    /// Stdout without a path.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        // A link stays a link: the file that it leads to is replaced.
        let path = path.map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
        let to = match &path {
            None => Target::Stdout(io::stdout()),
            Some(path) => Target::open(path).map_err(|error| cannot_create(path, &error))?,
        };
        Ok(Self { to, path })
    }

    /// Where this goes, for what could not be written there.
    pub(crate) fn place(&self) -> Place {
        Place(self.path.clone())
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// Where that cannot be done; what was there before then stays.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let place = self.place();
        self.flush().map_err(|error| place.failure(&error))?;
        let (Some(path), Target::Beside(file)) = (self.path, self.to) else { return Ok(()) };
        file.persist(&path).map(drop).map_err(|failed| cannot_create(&path, &failed.error))
    }
}

/// A file's name, or stdout.
pub(crate) struct Place(Option<PathBuf>);

impl Place {
    /// Why a command ends that could not write there.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        match &self.0 {
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
                beside.prefix(".riser-output-").permissions(Permissions::from_mode(NEW_FILE));
                Ok(Self::Beside(beside.tempfile_in(folder.unwrap_or(Path::new(".")))?))
            }
        }
    }
}

impl Write for OutputTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            Target::Stdout(stdout) => stdout.write(bytes),
            Target::Special(file) => file.write(bytes),
            Target::Beside(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            Target::Stdout(stdout) => stdout.flush(),
            Target::Special(file) => file.flush(),
            Target::Beside(file) => file.flush(),
        }
    }
}
