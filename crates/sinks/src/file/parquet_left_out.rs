//! In the place of [`parquet`](super) in a program without the cargo feature `sink-parquet`, where no configuration with that
//! format is accepted.

use std::io::{self, ErrorKind};
use std::path::Path;

use outbox::Lane;

pub(super) fn convert(_part: &Path, _complete: &Path, _lane: Lane) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

pub(super) fn last_lines(_path: &Path, _bytes: usize) -> io::Result<Vec<u8>> {
    Err(ErrorKind::Unsupported.into())
}
