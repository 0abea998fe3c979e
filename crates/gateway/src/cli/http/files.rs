//! Writes files so that they are there whole or not at all, and belong to whom the configuration belongs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::cli::{Exit, Failure};

/// For secrets: the owner writes, the group reads.
pub(super) const SECRET: u32 = 0o640;
/// For certificates: everybody reads.
pub(super) const PUBLIC: u32 = 0o644;

/// Writes `text` to `path`. Owner and group are those of `like`, as far as this user may give them.
pub(super) fn write(path: &Path, text: &str, mode: u32, like: Option<&Path>) -> Result<(), Failure> {
    let cannot = |error: io::Error| {
        let hint = if error.kind() == io::ErrorKind::PermissionDenied { "; run it with sudo" } else { "" };
        Failure::new(Exit::CannotCreate, format!("cannot write {}: {error}{hint}", path.display()))
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    write_new(&new, text, mode, like).and_then(|()| fs::rename(&new, path)).map_err(cannot)
}

fn write_new(new: &Path, text: &str, mode: u32, like: Option<&Path>) -> io::Result<()> {
    // One that an earlier try left may be open to more than this one.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(new)?;
    if let Some(owner) = like.and_then(|like| fs::metadata(like).ok()) {
        // Only root may give a file away; to anybody else it belongs already.
        let _ = std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()));
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
