//! The open file, and how windows get into it.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::blob::{self, Entry, Key};
use crate::error::{HistoryError, during};
use crate::names::{self, NameTable, Names};
use crate::row::Row;
use crate::schema;

/// Windows in `recent` beyond which they are moved to where they are read: about 2 MiB, and tens of windows a device.
const MAX_RECENT: usize = 16_384;

/// A history, open.
#[derive(Debug)]
pub struct Store {
    pub(crate) file: Connection,
    pub(crate) path: PathBuf,
    pub(crate) names: Names,
    /// Windows in `recent`, or more: some may have been corrected or removed since.
    recent: usize,
    max_recent: usize,
}

impl Store {
    /// Opens the history for writing; makes it where there is none.
    ///
    /// # Errors
    /// Where the file cannot be opened, is damaged, of a newer schema or no history. It is as it was.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        Self::of(schema::open(path)?, path)
    }

    /// Opens the history for reading, beside a writer or alone. To append to it is an error.
    ///
    /// # Errors
    /// As [`Self::open`], and where there is no such file.
    pub fn open_read_only(path: &Path) -> Result<Self, HistoryError> {
        Self::of(schema::open_read_only(path)?, path)
    }

    fn of(file: Connection, path: &Path) -> Result<Self, HistoryError> {
        let recent = file.query_row("SELECT count(*) FROM recent", [], |row| row.get::<_, i64>(0));
        let recent = recent.map_err(during("read", path))?;
        let recent = usize::try_from(recent).unwrap_or(usize::MAX);
        Ok(Self { file, path: path.to_owned(), names: Names::default(), recent, max_recent: MAX_RECENT })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores windows with their devices' names, all or none. What is there already in the same or a higher revision is
    /// left as it is, in a lower one replaced.
    ///
    /// # Errors
    /// Where the file cannot be written; then nothing is stored, and it may be tried again.
    pub fn append(&mut self, windows: &[(Box<str>, Row)]) -> Result<(), HistoryError> {
        let done = self.append_all(windows);
        if done.is_err() {
            // Some may have been given in the transaction that is no more.
            self.names.forget();
        }
        done
    }

    fn append_all(&mut self, windows: &[(Box<str>, Row)]) -> Result<(), HistoryError> {
        let fails = during("write to", &self.path);
        let transaction = self.file.transaction().map_err(&fails)?;
        let mut recent = self.recent;
        for (device, row) in windows {
            let (key, blob) = encode(&transaction, &mut self.names, &self.path, device, row)?;
            recent = recent.saturating_add(put(&transaction, key, &blob).map_err(&fails)?);
        }
        if recent > self.max_recent {
            move_recent(&transaction).map_err(&fails)?;
            recent = 0;
        }
        transaction.commit().map_err(&fails)?;
        self.recent = recent;
        Ok(())
    }

    /// The devices that there is something of, by name.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn devices(&self) -> Result<Vec<Box<str>>, HistoryError> {
        let devices = names::devices(&self.file).map_err(during("read", &self.path))?;
        Ok(devices.into_iter().map(|(_, name)| name).collect())
    }
}

fn encode(
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

/// Updates a row of `windows` if its window is there, else writes it to `recent`. Returns how many rows of `recent` it wrote.
fn put(file: &Transaction<'_>, key: Key, blob: &[u8]) -> rusqlite::Result<usize> {
    let Key { device, start, length, revision } = key;
    let stored: Option<u32> = file
        .prepare_cached("SELECT revision FROM windows WHERE device = ?1 AND start = ?2 AND length = ?3")?
        .query_row(params![device, start, length], |row| row.get(0))
        .optional()?;
    let into = match stored {
        Some(stored) if stored >= revision => return Ok(0),
        Some(_) => {
            "UPDATE windows SET revision = ?4, metrics = ?5 WHERE device = ?1 AND start = ?2 AND length = ?3"
        }
        None => {
            "INSERT INTO recent (device, start, length, revision, metrics) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET revision = excluded.revision, metrics = excluded.metrics
             WHERE excluded.revision > recent.revision"
        }
    };
    let changed = file.prepare_cached(into)?.execute(params![device, start, length, revision, blob])?;
    Ok(if stored.is_none() { changed } else { 0 })
}

/// Moves the rows of `recent` to `windows`: each page there is then written once for tens of windows.
fn move_recent(file: &Transaction<'_>) -> rusqlite::Result<()> {
    file.execute_batch(
        "INSERT INTO windows (device, start, length, revision, metrics)
         SELECT device, start, length, revision, metrics FROM recent ORDER BY device, start, length;
         DELETE FROM recent;",
    )
}

#[cfg(test)]
mod tests;
