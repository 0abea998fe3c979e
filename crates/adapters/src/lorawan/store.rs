//! The session file `lorawan.db`, with one row per device. All functions block.
//!
//! The file contains keys, so only its owner may read it. A commit is on disk when it returns.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lorawan_link::{DeviceState, Eui};
use rusqlite::{Connection, OptionalExtension as _, params};

/// `application_id` of a file of sessions: "LORA".
const APPLICATION: i64 = 0x4c4f_5241;
/// The newest `user_version` this program knows.
const VERSION: i64 = 1;
/// How long to wait for another process or a stopping adapter.
const BUSY: Duration = Duration::from_secs(2);

const TABLE: &str =
    "CREATE TABLE device (dev_eui TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// Sessions cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot make the LoRaWAN sessions' file {}: {source}; look at who may write there", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("cannot {action} the LoRaWAN sessions in {}: {source}; look at the disk", path.display())]
    Sqlite {
        /// The failed action.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error.
        #[source]
        source: rusqlite::Error,
    },
    /// Another program's file, or one of a later version.
    #[error(
        "{} holds no LoRaWAN sessions that this version knows (application {application:#x}, version {version}); \
         move it away, and devices join again", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its `application_id`.
        application: i64,
        /// Its `user_version`.
        version: i64,
    },
    /// SQLite's own check of the whole file has found something.
    #[error("the LoRaWAN sessions' file {} is damaged: {finding}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first finding.
        finding: String,
    },
    /// A row that cannot be read.
    #[error("the LoRaWAN session of {device} in {} cannot be read", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The device.
        device: Eui,
    },
}

impl StoreError {
    /// Whether the file itself is damaged, so that trying again does not help.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ),
            Self::Damaged { .. } | Self::Row { .. } => true,
            Self::File { .. } | Self::Foreign { .. } => false,
        }
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    connection: Connection,
}

impl Store {
    /// Opens the file, or creates it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = |source| StoreError::File { path: path.to_owned(), source };
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(file)?;
        let fails = |source| failed("open", path, source);
        let connection = Connection::open(path).map_err(fails)?;
        connection.busy_timeout(BUSY).map_err(fails)?;
        let number =
            |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(fails);
        let (application, version) = (number("application_id")?, number("user_version")?);
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .map_err(fails)?;
        // A write returns when it is on disk.
        connection.pragma_update(None, "synchronous", "FULL").map_err(fails)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fails)?;
        match (application, version, tables) {
            (APPLICATION, VERSION, _) => {}
            (0, 0, 0) => create(&connection).map_err(fails)?,
            _ => return Err(StoreError::Foreign { path: path.to_owned(), application, version }),
        }
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Checks every page.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let fails = |source| failed("check", &self.path, source);
        let finding: String =
            self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fails)?;
        if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: self.path.clone(), finding }) }
    }

    /// The last stored state of a device.
    pub(super) fn read(&self, device: Eui) -> Result<Option<DeviceState>, StoreError> {
        let fails = |source| failed("read", &self.path, source);
        let mut query =
            self.connection.prepare_cached("SELECT state FROM device WHERE dev_eui = ?1").map_err(fails)?;
        let text: Option<String> =
            query.query_row(params![device.to_string()], |row| row.get(0)).optional().map_err(fails)?;
        let unreadable = |_| StoreError::Row { path: self.path.clone(), device };
        text.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
    }

    /// Writes all of them, or none.
    pub(super) fn write<'a>(
        &mut self,
        states: impl IntoIterator<Item = (Eui, &'a DeviceState)>,
    ) -> Result<(), StoreError> {
        let Self { path, connection } = self;
        write(connection, states).map_err(|source| failed("write", path, source))
    }
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLE)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn write<'a>(
    connection: &mut Connection,
    states: impl IntoIterator<Item = (Eui, &'a DeviceState)>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO device (dev_eui, state) VALUES (?1, ?2) ON CONFLICT (dev_eui) DO UPDATE SET state = excluded.state",
    )?;
    for (device, state) in states {
        let text = serde_json::to_string(state)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        insert.execute(params![device.to_string(), text])?;
    }
    drop(insert);
    transaction.commit()
}

fn failed(action: &'static str, path: &Path, source: rusqlite::Error) -> StoreError {
    StoreError::Sqlite { action, path: path.to_owned(), source }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
