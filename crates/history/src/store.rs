//! The open file, and how what it keeps gets into it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::alerts;
use crate::batch::Batch;
use crate::error::{HistoryError, during};
use crate::names::{self, Names};
use crate::readings;
use crate::rolling::{Marks, move_recent};
use crate::row::Row;
use crate::schema;
use crate::windows::{self, Put};

/// Windows in `recent` beyond which they are moved to where they are read: about 2 MiB, and tens of windows a device.
const MAX_RECENT: usize = 16_384;
/// The same of readings, which are smaller and come more often.
const MAX_RECENT_READINGS: usize = 65_536;

/// A history, open.
#[derive(Debug)]
pub struct Store {
    pub(crate) file: Connection,
    pub(crate) path: PathBuf,
    pub(crate) names: Names,
    /// False in a file of version 1, which only a reader sees.
    pub(crate) has_tiers: bool,
    /// Windows in `recent`, or more: some may have been corrected or removed since.
    recent: usize,
    max_recent: usize,
    /// Whether retention has removed something since devices were last looked through.
    pub(crate) has_removed: bool,
    /// The same of `recent_readings`.
    recent_readings: usize,
    max_recent_readings: usize,
}

impl Store {
    /// Opens the history for writing; makes it where there is none.
    ///
    /// # Errors
    /// Where the file cannot be opened, is damaged, of a newer schema or no history. It is as it was.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let mut store = Self::of(schema::open(path)?, true, path);
        store.recent = store.count("SELECT count(*) FROM recent")?;
        store.recent_readings = store.count("SELECT count(*) FROM recent_readings")?;
        Ok(store)
    }

    /// Opens the history for reading, beside a writer or alone. To append to it is an error.
    ///
    /// # Errors
    /// As [`Self::open`], and where there is no such file.
    pub fn open_read_only(path: &Path) -> Result<Self, HistoryError> {
        let (file, has_tiers) = schema::open_read_only(path)?;
        Ok(Self::of(file, has_tiers, path))
    }

    fn of(file: Connection, has_tiers: bool, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
            names: Names::default(),
            has_tiers,
            recent: 0,
            max_recent: MAX_RECENT,
            has_removed: false,
            recent_readings: 0,
            max_recent_readings: MAX_RECENT_READINGS,
        }
    }

    fn count(&self, query: &str) -> Result<usize, HistoryError> {
        let count = self.file.query_row(query, [], |row| row.get::<_, i64>(0));
        Ok(usize::try_from(count.map_err(during("read", &self.path))?).unwrap_or(usize::MAX))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Stores windows with their devices' names, all or none. What is there already in the same or a higher revision is
    /// left as it is, in a lower one replaced. What starts before the time up to which retention has removed windows is
    /// left out.
    ///
    /// # Errors
    /// Where the file cannot be written; then nothing is stored, and it may be tried again.
    pub fn append(&mut self, windows: &[(Box<str>, Row)]) -> Result<(), HistoryError> {
        self.or_forget_names(|store| store.append_all(windows, &Batch::default()))
    }

    /// Stores all that a batch has, all or none: windows as [`Self::append`], alerts and readings if they are not there yet.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_batch(&mut self, batch: &Batch) -> Result<(), HistoryError> {
        self.or_forget_names(|store| store.append_all(&batch.windows, batch))
    }

    fn or_forget_names(
        &mut self,
        append: impl FnOnce(&mut Self) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        let done = append(self);
        if done.is_err() {
            // Some may have been given in the transaction that is no more.
            self.names.forget();
        }
        done
    }

    fn append_all(&mut self, windows: &[(Box<str>, Row)], others: &Batch) -> Result<(), HistoryError> {
        let fails = during("write to", &self.path);
        let transaction = self.file.transaction().map_err(&fails)?;
        let (mut recent, mut recent_readings) = (self.recent, self.recent_readings);
        let marks = Marks::of(&transaction).map_err(&fails)?;
        for (device, row) in windows {
            let (key, blob) = windows::encode(&transaction, &mut self.names, &self.path, device, row)?;
            if windows::put(&transaction, &marks, key, &blob).map_err(&fails)? == Put::IntoRecent {
                recent = recent.saturating_add(1);
            }
        }
        if recent > self.max_recent {
            move_recent(&transaction).map_err(&fails)?;
            recent = 0;
        }
        for alert in &others.alerts {
            alerts::put(&transaction, &mut self.names, alert).map_err(&fails)?;
        }
        for reading in &others.readings {
            let stored = readings::put(&transaction, &mut self.names, &self.path, reading)?;
            recent_readings = recent_readings.saturating_add(usize::from(stored));
        }
        if recent_readings > self.max_recent_readings {
            readings::move_recent(&transaction).map_err(&fails)?;
            recent_readings = 0;
        }
        transaction.commit().map_err(&fails)?;
        (self.recent, self.recent_readings) = (recent, recent_readings);
        Ok(())
    }

    /// Moves windows and readings to where they are read, so that retention finds all of them there.
    pub(crate) fn settle(&mut self) -> Result<(), HistoryError> {
        let fails = during("write to", &self.path);
        let transaction = self.file.transaction().map_err(&fails)?;
        move_recent(&transaction).map_err(&fails)?;
        readings::move_recent(&transaction).map_err(&fails)?;
        transaction.commit().map_err(&fails)?;
        (self.recent, self.recent_readings) = (0, 0);
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

#[cfg(test)]
mod tests;
