//! How windows get into the file: what is there in a higher revision stays, what retention has removed does not come back.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::blob::{self, Entry, Key};
use crate::error::{HistoryError, during};
use crate::names::{NameTable, Names};
use crate::rolling::{Marks, after_correction};
use crate::row::Row;

/// Where a window went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    IntoRecent,
    /// It replaced one of `windows`.
    Corrected,
    /// It is there already, or too old.
    Not,
}

pub(crate) fn encode(
    file: &Connection,
    names: &mut Names,
    path: &Path,
    device: &str,
    row: &Row,
) -> Result<(Key, Vec<u8>), HistoryError> {
    let fails = during("write to", path);
    let wrong = |reason: String| HistoryError::Row { path: path.to_owned(), device: device.into(), reason };
    let mut entries = Vec::with_capacity(row.metrics.len());
    for (name, summary) in &row.metrics {
        let number = names.number(file, NameTable::Metric, name).map_err(&fails)?;
        let metric = u32::try_from(number).map_err(|_| wrong("there are too many metrics".to_owned()))?;
        entries.push(Entry { metric, summary: *summary });
    }
    let key = Key {
        device: names.number(file, NameTable::Device, device).map_err(&fails)?,
        start: row.start.as_millis(),
        length: row.end.millis_after(row.start),
        revision: row.revision,
    };
    let blob = blob::encode(key, &entries).map_err(|error| wrong(error.to_string()))?;
    Ok((key, blob))
}

/// Updates a row of `windows` if its window is there, else writes it to `recent`.
pub(crate) fn put(file: &Transaction<'_>, marks: &Marks, key: Key, blob: &[u8]) -> rusqlite::Result<Put> {
    let Key { device, start, length, revision } = key;
    if start < marks.windows {
        return Ok(Put::Not);
    }
    let stored: Option<u32> = file
        .prepare_cached("SELECT revision FROM windows WHERE device = ?1 AND start = ?2 AND length = ?3")?
        .query_row(params![device, start, length], |row| row.get(0))
        .optional()?;
    match stored {
        Some(stored) if stored >= revision || !marks.may_correct(key) => Ok(Put::Not),
        Some(_) => {
            file.prepare_cached(
                "UPDATE windows SET revision = ?4, metrics = ?5 WHERE device = ?1 AND start = ?2 AND length = ?3",
            )?
            .execute(params![device, start, length, revision, blob])?;
            after_correction(file, marks, key)?;
            Ok(Put::Corrected)
        }
        None => {
            let changed = file
                .prepare_cached(
                    "INSERT INTO recent (device, start, length, revision, metrics) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO UPDATE SET revision = excluded.revision, metrics = excluded.metrics
                     WHERE excluded.revision > recent.revision",
                )?
                .execute(params![device, start, length, revision, blob])?;
            Ok(if changed > 0 { Put::IntoRecent } else { Put::Not })
        }
    }
}
