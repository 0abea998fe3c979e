//! Single readings, one row a message: in order of time first, then in order of device, as windows are.

use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use crate::batch::ReadingRow;
use crate::blob::{self, Key};
use crate::error::{HistoryError, during};
use crate::marks::{self, Part};
use crate::names::{NameTable, Names};

/// Stores a reading that is not there yet; whether it did.
pub(crate) fn put(
    file: &Transaction<'_>,
    names: &mut Names,
    path: &Path,
    reading: &ReadingRow,
) -> Result<bool, HistoryError> {
    let fails = during("write to", path);
    let wrong =
        |reason: String| HistoryError::Row { path: path.to_owned(), device: reading.device.clone(), reason };
    let start = reading.at.as_millis();
    if start < marks::get(file, Part::Readings).map_err(&fails)? {
        return Ok(false);
    }
    let mut values = Vec::with_capacity(reading.values.len());
    for (name, value) in &reading.values {
        let number = names.number(file, NameTable::Metric, name).map_err(&fails)?;
        let metric = u32::try_from(number).map_err(|_| wrong("there are too many metrics".to_owned()))?;
        values.push((metric, *value));
    }
    let device = names.number(file, NameTable::Device, &reading.device).map_err(&fails)?;
    let blob = blob::encode_values(key(device, start, reading.number), &values)
        .map_err(|error| wrong(error.to_string()))?;
    let changed = insert(file, device, start, reading.number, &blob).map_err(&fails)?;
    Ok(changed > 0)
}

fn insert(file: &Connection, device: i64, start: i64, number: u32, blob: &[u8]) -> rusqlite::Result<usize> {
    file.prepare_cached(
        "INSERT INTO recent_readings (start, device, number, metrics) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM readings WHERE device = ?2 AND start = ?1 AND number = ?3)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![start, device, number, blob])
}

/// What the checksum of a reading covers beside its values.
const fn key(device: i64, start: i64, number: u32) -> Key {
    Key { device, start, length: 0, revision: number }
}

/// Moves the rows of `recent_readings` to `readings`.
pub(crate) fn move_recent(file: &Transaction<'_>) -> rusqlite::Result<()> {
    file.execute_batch(
        "INSERT INTO readings (device, start, number, metrics)
         SELECT device, start, number, metrics FROM recent_readings ORDER BY device, start, number;
         DELETE FROM recent_readings;",
    )
}

/// Gives `each` the time and value of every reading of a series from `from` on and before `to`, in order of time.
pub(crate) fn scan(
    file: &Connection,
    (device, metric): (i64, u32),
    (from, to): (i64, i64),
    mut each: impl FnMut(i64, f64),
) -> rusqlite::Result<()> {
    let mut statement = file.prepare_cached(
        "SELECT start, number, metrics FROM readings WHERE device = ?1 AND start >= ?2 AND start < ?3
         UNION ALL
         SELECT start, number, metrics FROM recent_readings WHERE device = ?1 AND start >= ?2 AND start < ?3
         ORDER BY start, number",
    )?;
    let mut rows = statement.query(params![device, from, to])?;
    while let Some(row) = rows.next()? {
        let start = row.get(0)?;
        let Ok(number) = u32::try_from(row.get::<_, i64>(1)?) else { continue };
        let blob = row.get_ref(2)?.as_blob()?;
        let values = blob::decode_values(key(device, start, number), blob).unwrap_or_default();
        for (_, value) in values.iter().filter(|(of, _)| *of == metric) {
            each(start, *value);
        }
    }
    Ok(())
}
