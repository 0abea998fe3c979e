//! Names of devices and metrics, each stored once and referred to by number.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};

#[derive(Debug, Clone, Copy)]
pub(crate) enum NameTable {
    Device,
    Metric,
}

/// The numbers of names seen so far: what a rolled-back transaction gave must be [forgotten](Names::forget).
#[derive(Debug, Default)]
pub(crate) struct Names {
    devices: HashMap<Box<str>, i64>,
    metrics: HashMap<Box<str>, i64>,
}

impl Names {
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The number of a name, a new one where it has none.
    pub(crate) fn number(
        &mut self,
        file: &Connection,
        table: NameTable,
        name: &str,
    ) -> rusqlite::Result<i64> {
        let known = match table {
            NameTable::Device => &mut self.devices,
            NameTable::Metric => &mut self.metrics,
        };
        if let Some(id) = known.get(name) {
            return Ok(*id);
        }
        let id = match find(file, table, name)? {
            Some(id) => id,
            None => insert(file, table, name)?,
        };
        known.insert(name.into(), id);
        Ok(id)
    }
}

/// The number of a name, where it has one.
pub(crate) fn find(file: &Connection, table: NameTable, name: &str) -> rusqlite::Result<Option<i64>> {
    let query = match table {
        NameTable::Device => "SELECT id FROM device WHERE name = ?1",
        NameTable::Metric => "SELECT id FROM metric WHERE name = ?1",
    };
    file.prepare_cached(query)?.query_row([name], |row| row.get(0)).optional()
}

fn insert(file: &Connection, table: NameTable, name: &str) -> rusqlite::Result<i64> {
    let query = match table {
        NameTable::Device => "INSERT INTO device (name) VALUES (?1) RETURNING id",
        NameTable::Metric => "INSERT INTO metric (name) VALUES (?1) RETURNING id",
    };
    file.prepare_cached(query)?.query_row([name], |row| row.get(0))
}

/// All metrics' names by number.
pub(crate) fn metrics(file: &Connection) -> rusqlite::Result<HashMap<u32, Box<str>>> {
    let mut statement = file.prepare_cached("SELECT id, name FROM metric")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// All devices' numbers and names, by name.
pub(crate) fn devices(file: &Connection) -> rusqlite::Result<Vec<(i64, Box<str>)>> {
    let mut statement = file.prepare_cached("SELECT id, name FROM device ORDER BY name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
