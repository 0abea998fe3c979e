//! The file: how a connection is set up, the tables, their version. A file of the version before is converted by the first
//! writer that opens it, in one transaction; readers read it as it is.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{HistoryError, during};
use crate::rolling;

/// The newest `user_version` this program knows.
const VERSION: i64 = 2;
/// The first, which had windows and nothing else.
const WINDOWS_ONLY: i64 = 1;
/// `application_id` of a history: "HIST".
const APPLICATION: i64 = 0x4849_5354;
/// Statements that a connection keeps prepared: all of them.
const STATEMENTS: usize = 64;
/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(2);

const TABLES: &str = "
    CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE metric (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE recent (
        start INTEGER NOT NULL, device INTEGER NOT NULL, length INTEGER NOT NULL, revision INTEGER NOT NULL,
        metrics BLOB NOT NULL, PRIMARY KEY (start, device, length)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE windows (
        device INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL, revision INTEGER NOT NULL,
        metrics BLOB NOT NULL, PRIMARY KEY (device, start, length)
    ) STRICT, WITHOUT ROWID;
";

/// What version 2 has in addition.
const TABLES_OF_2: &str = "
    CREATE TABLE hours (
        device INTEGER NOT NULL, start INTEGER NOT NULL, metrics BLOB NOT NULL, PRIMARY KEY (device, start)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE days (
        device INTEGER NOT NULL, start INTEGER NOT NULL, metrics BLOB NOT NULL, PRIMARY KEY (device, start)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE mark (part TEXT PRIMARY KEY, removed_before INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE alerts (
        number INTEGER PRIMARY KEY, since INTEGER NOT NULL, device INTEGER NOT NULL, rule TEXT NOT NULL,
        metric TEXT NOT NULL, raised_at INTEGER, cleared_at INTEGER, raised BLOB, cleared BLOB,
        UNIQUE (since, device, rule, metric)
    ) STRICT;
    CREATE INDEX alerts_of_device ON alerts (device, since);
    CREATE TABLE recent_readings (
        start INTEGER NOT NULL, device INTEGER NOT NULL, number INTEGER NOT NULL, metrics BLOB NOT NULL,
        PRIMARY KEY (start, device, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE readings (
        device INTEGER NOT NULL, start INTEGER NOT NULL, number INTEGER NOT NULL, metrics BLOB NOT NULL,
        PRIMARY KEY (device, start, number)
    ) STRICT, WITHOUT ROWID;
";

/// Opens the file for writing; makes it where there is none.
pub(crate) fn open(path: &Path) -> Result<Connection, HistoryError> {
    let fails = during("open", path);
    let mut connection = Connection::open(path).map_err(&fails)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(BUSY).map_err(&fails)?;
    match check(&connection, path)? {
        Contents::Ours { version } => {
            set_up(&connection).map_err(&fails)?;
            if version == WINDOWS_ONLY {
                convert(&mut connection).map_err(during("convert", path))?;
            }
        }
        Contents::Nothing => {
            set_up(&connection).map_err(&fails)?;
            create(&mut connection).map_err(&fails)?;
        }
    }
    Ok(connection)
}

/// Opens the file for reading, beside a writer or alone. Also says whether it has more than windows.
pub(crate) fn open_read_only(path: &Path) -> Result<(Connection, bool), HistoryError> {
    let fails = during("open", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(&fails)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(BUSY).map_err(&fails)?;
    match (check(&connection, path), immutable_uri(path)) {
        (Ok(Contents::Ours { version }), _) => Ok((connection, version > WINDOWS_ONLY)),
        (Ok(Contents::Nothing), _) => Err(HistoryError::Empty { path: path.to_owned() }),
        // Where nothing may be written beside it SQLite cannot read along with a writer; there is none.
        (Err(HistoryError::Sqlite { .. }), Some(uri)) => {
            let connection =
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI).map_err(&fails)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            match check(&connection, path)? {
                Contents::Ours { version } => Ok((connection, version > WINDOWS_ONLY)),
                Contents::Nothing => Err(HistoryError::Empty { path: path.to_owned() }),
            }
        }
        (Err(error), _) => Err(error),
    }
}

/// For a file without a write-ahead log, which no process has open then: SQLite makes no files beside it if it is read like this.
fn immutable_uri(path: &Path) -> Option<String> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if Path::new(&log).exists() {
        return None;
    }
    // SQLite decodes these, and only these would change the path's meaning.
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let path = if path.starts_with('/') { format!("//{path}") } else { path };
    Some(format!("file:{path}?immutable=1"))
}

/// What a file holds.
enum Contents {
    Nothing,
    Ours { version: i64 },
}

/// What is in the file; an error where it is not ours or too new. Changes nothing.
fn check(connection: &Connection, path: &Path) -> Result<Contents, HistoryError> {
    let read = during("read", path);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(&read);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&read)?;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Contents::Nothing),
        (APPLICATION, WINDOWS_ONLY..=VERSION, _) => Ok(Contents::Ours { version }),
        (APPLICATION, found, _) => {
            Err(HistoryError::NewerSchema { path: path.to_owned(), found, supported: VERSION })
        }
        _ => Err(HistoryError::NotAHistory { path: path.to_owned() }),
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    use_log(connection)?;
    // A power cut may take the last commits, never the file: windows are seen again less dearly than flash.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // What is sorted goes to no file.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)
}

/// Turns the write-ahead log on; readers see whole commits only, and hold up no writer.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    // An error may come after the statement's only row, so it is read to its end.
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let modes: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if modes == ["wal"] {
        return Ok(());
    }
    let text = format!("this file system cannot have a write-ahead log (journal_mode is {modes:?})");
    Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN), Some(text)))
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(TABLES_OF_2)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// A file that is whole after this, or as it was. Takes some seconds for a large one.
fn convert(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES_OF_2)?;
    rolling::build_tiers(&transaction)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
