//! The last lines that a complete file was made of.
//!
//! Guarantee: a file that is no Parquet file, or is damaged, has none; it holds up nothing.

use std::fs::File;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use gateway_core::Timestamp;
use parquet::errors::Result;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};

use super::io_error;
use crate::file::array_line;
use crate::file::rows::Cell;

/// The last lines of the file, whole ones, of `bytes` bytes together or more if there are so many.
///
/// # Errors
/// If the disk refuses.
pub(in crate::file) fn last_lines(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // The reader of Parquet is not written for files that were damaged on purpose.
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(file, bytes)));
    let why = match read.map(|read| read.map_err(io_error)) {
        Ok(Ok(lines)) => return Ok(lines),
        Ok(Err(error)) if error.raw_os_error().is_some() => return Err(error),
        Ok(Err(error)) => error.to_string(),
        Err(_panic) => "it is damaged".to_owned(),
    };
    tracing::warn!(path = %path.display(), "this file cannot be read as Parquet: {why}");
    Ok(Vec::new())
}

fn read(file: File, bytes: usize) -> Result<Vec<u8>> {
    let reader = SerializedFileReader::new(file)?;
    let mut groups: Vec<Vec<u8>> = Vec::new();
    for index in (0..reader.num_row_groups()).rev() {
        if groups.iter().map(Vec::len).sum::<usize>() >= bytes {
            break;
        }
        let mut lines = Vec::new();
        for row in reader.get_row_group(index)?.get_row_iter(None)? {
            lines.extend(line(row?));
        }
        groups.push(lines);
    }
    Ok(groups.into_iter().rev().flatten().collect())
}

fn line(row: Row) -> Vec<u8> {
    let cells = row.into_columns().into_iter().map(|(_, field)| match field {
        Field::Str(text) => Cell::Text(text.into()),
        Field::TimestampMillis(millis) => Cell::Time(Timestamp::from_millis(millis)),
        Field::Long(number) => Cell::Integer(number),
        Field::Double(number) => Cell::Float(number),
        // Nothing else is written here.
        _ => Cell::Missing,
    });
    array_line::encode(&cells.collect::<Vec<_>>())
}
