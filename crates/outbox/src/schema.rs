//! The file: how a connection is set up, the tables, their version.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ffi};

use crate::error::{OutboxError, during};
use crate::state::State;

/// The newest `user_version` this program knows.
pub(crate) const VERSION: i64 = 2;
/// The size of a page, in bytes.
pub(crate) const PAGE: usize = 4096;
/// The page that holds the state, see `TABLES`.
pub(crate) const STATE_PAGE: u32 = 4;
/// How long to wait for another process that has the file open.
pub(crate) const BUSY: Duration = Duration::from_millis(200);
/// `application_id` of an outbox: "OBOX".
const APPLICATION: i64 = 0x4f42_4f58;

// The order is the order of their pages, see `salvage.rs`. `body` comes last: SQLite reads the columns before it without
// touching its pages.
const TABLES: &str = "
    CREATE TABLE queue (
        key INTEGER PRIMARY KEY, crc INTEGER NOT NULL, shares BLOB NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE dropped (
        seq_from INTEGER PRIMARY KEY, seq_to INTEGER NOT NULL, weight INTEGER NOT NULL, reason INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, crc INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE state (
        id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, next_seq INTEGER NOT NULL, mark INTEGER NOT NULL,
        now_ms INTEGER NOT NULL,
        accepted_entries INTEGER NOT NULL, accepted_weight INTEGER NOT NULL,
        published_entries INTEGER NOT NULL, published_weight INTEGER NOT NULL,
        queued_entries INTEGER NOT NULL, queued_weight INTEGER NOT NULL,
        full_entries INTEGER NOT NULL, full_weight INTEGER NOT NULL,
        refused_entries INTEGER NOT NULL, refused_weight INTEGER NOT NULL,
        damaged_entries INTEGER NOT NULL, damaged_weight INTEGER NOT NULL,
        queued_bytes INTEGER NOT NULL, accounts BLOB NOT NULL
    ) STRICT;
    CREATE TABLE ahead (id INTEGER PRIMARY KEY, upto INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
";

/// A connection for this process alone. What it finds stays as it is: it takes over no log when it is closed.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    // Before the first access: with it, the write-ahead log needs no shared memory file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    Nothing,
    Version1,
    Present,
}

/// What is in the file; an error where it is not ours or too new. Changes nothing.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<Contents, OutboxError> {
    let read = during("read", path);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(&read);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&read)?;
    match (application, version, tables) {
        (0, 0, 0) => return Ok(Contents::Nothing),
        (APPLICATION, VERSION, _) => return Ok(Contents::Present),
        (APPLICATION, 1, _) if !is_ours(connection) => return Ok(Contents::Version1),
        _ => {}
    }
    let path = path.to_path_buf();
    // A wrong bit in the header does not make it somebody else's; a later version changes more than a bit.
    if is_ours(connection) && (application != APPLICATION || (version ^ VERSION).count_ones() == 1) {
        return Err(OutboxError::Inconsistent { path, finding: "its header is wrong".to_owned() });
    }
    if application != APPLICATION {
        return Err(OutboxError::NotAnOutbox { path });
    }
    Err(OutboxError::NewerSchema { path, found: version, supported: VERSION })
}

/// Whether there are counters of this version, with the right checksum.
fn is_ours(connection: &Connection) -> bool {
    matches!(State::load(connection), Ok(Some(_)))
}

/// Whether a file that begins with this page is one of schema version 1.
pub(crate) fn is_version_1(page: &[u8; PAGE]) -> bool {
    let number =
        |at: usize| page.get(at..).and_then(|rest| rest.first_chunk()).copied().map(i32::from_be_bytes);
    page.starts_with(b"SQLite format 3\0")
        && number(60) == Some(1)
        && number(68).map(i64::from) == Some(APPLICATION)
}

/// Whether SQLite finds the file sound; reads all of it.
pub(crate) fn quick_check(connection: &Connection, path: &Path) -> Result<(), OutboxError> {
    let finding: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(during("read", path))?;
    if finding == "ok" {
        Ok(())
    } else {
        Err(OutboxError::Inconsistent { path: path.to_path_buf(), finding })
    }
}

/// A new file that nobody else knows of yet, with tables and nothing in them; it stays one file until it is closed.
pub(crate) fn create_new(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    let _mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    create(&mut connection)?;
    Ok(connection)
}

/// Takes the log over into the database and empties it.
pub(crate) fn take_over_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| match row.get(0)? {
        0 => Ok(()),
        _is_busy => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)),
    })
}

/// Takes over the log and closes a file that is whole.
pub(crate) fn close_whole(connection: Connection) -> rusqlite::Result<()> {
    take_over_log(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.close().map_err(|(_, error)| error)
}

/// How a file that is whole is kept.
pub(crate) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    use_log(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A transaction may stay open for a while, see `transaction.rs`: nothing of it shall touch the disk before.
    connection.pragma_update(None, "cache_spill", false)?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Without it SQLite plans `fetch` anew for every bound `seq`: 3 % of the whole gateway's CPU, for the same plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Turns the write-ahead log on. An error of that comes after the statement's only row, so it is read to its end: on
/// the rollback journal that would be left, a commit is not on the disk when it returns.
pub(crate) fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA journal_mode = WAL")?;
    let modes: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    if modes == ["wal"] {
        return Ok(());
    }
    let text = format!("this file system cannot have a write-ahead log (journal_mode is {modes:?})");
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(text)))
}

/// Makes the tables where there is nothing.
pub(crate) fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE as i64)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    State::new().store(&transaction)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
