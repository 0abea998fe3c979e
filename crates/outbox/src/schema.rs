//! The file: how a connection is set up, the tables, their version, the one row that holds the counters.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Row, params};

use crate::error::{OutboxError, during};
use crate::totals::{Count, DropReason, DroppedRange, Totals};

/// The newest `user_version` this program knows.
pub(crate) const VERSION: i64 = 1;
/// How long to wait for another process that has the file open.
pub(crate) const BUSY: Duration = Duration::from_millis(200);
/// `application_id` of an outbox: "OBOX".
const APPLICATION: i64 = 0x4f42_4f58;

// `body` comes last: SQLite reads the columns before it without touching its pages.
const TABLES: &str = "
    CREATE TABLE queue (
        seq INTEGER PRIMARY KEY, priority INTEGER NOT NULL, weight INTEGER NOT NULL, size INTEGER NOT NULL,
        topic TEXT NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX queue_by_priority ON queue (priority, seq);
    CREATE TABLE dropped (
        seq_from INTEGER PRIMARY KEY, seq_to INTEGER NOT NULL, weight INTEGER NOT NULL, reason INTEGER NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1), next_seq INTEGER NOT NULL, mark INTEGER NOT NULL,
        accepted_entries INTEGER NOT NULL, accepted_weight INTEGER NOT NULL,
        published_entries INTEGER NOT NULL, published_weight INTEGER NOT NULL,
        queued_entries INTEGER NOT NULL, queued_weight INTEGER NOT NULL,
        full_entries INTEGER NOT NULL, full_weight INTEGER NOT NULL,
        refused_entries INTEGER NOT NULL, refused_weight INTEGER NOT NULL,
        queued_bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
";

/// What the file knows beside the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) next_seq: u64,
    pub(crate) mark: u64,
    pub(crate) totals: Totals,
}

/// Opens the file for this process alone, and makes the tables where there is nothing yet.
pub(crate) fn open(path: &Path) -> Result<Connection, OutboxError> {
    let mut connection = Connection::open(path).map_err(during("open", path))?;
    connection.busy_timeout(BUSY).map_err(during("open", path))?;
    // Before the first access: with it, the write-ahead log needs no shared memory file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(during("lock", path))?;
    let is_new = check(&connection, path)?;
    set_up(&connection).map_err(during("set up", path))?;
    if is_new {
        create(&mut connection).map_err(during("create", path))?;
    }
    Ok(connection)
}

/// Whether the file is empty; an error where it is not ours or too new. Changes nothing.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<bool, OutboxError> {
    let read = during("read", path);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(&read);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&read)?;
    if (application, version, tables) == (0, 0, 0) {
        return Ok(true);
    }
    let path = path.to_path_buf();
    if application != APPLICATION {
        return Err(OutboxError::NotAnOutbox { path });
    }
    match version {
        VERSION => Ok(false),
        found => Err(OutboxError::NewerSchema { path, found, supported: VERSION }),
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // The answer is the mode that is now in use; where WAL is impossible, the rollback journal is as durable.
    let _mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Without it SQLite plans `fetch` anew for every bound `seq`: 3 % of the whole gateway's CPU, for the same plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

impl State {
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<State> {
        connection.query_row("SELECT * FROM state WHERE id = 1", [], |row| {
            let number = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let count = |entries: &str, weight: &str| {
                Ok::<_, rusqlite::Error>(Count { entries: number(entries)?, weight: number(weight)? })
            };
            Ok(State {
                next_seq: number("next_seq")?,
                mark: number("mark")?,
                totals: Totals {
                    accepted: count("accepted_entries", "accepted_weight")?,
                    published: count("published_entries", "published_weight")?,
                    queued: count("queued_entries", "queued_weight")?,
                    dropped_full: count("full_entries", "full_weight")?,
                    dropped_refused: count("refused_entries", "refused_weight")?,
                    queued_bytes: number("queued_bytes")?,
                },
            })
        })
    }

    pub(crate) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        let totals = &self.totals;
        let mut statement = connection.prepare_cached(
            "UPDATE state SET next_seq = ?1, mark = ?2, accepted_entries = ?3, accepted_weight = ?4,
             published_entries = ?5, published_weight = ?6, queued_entries = ?7, queued_weight = ?8,
             full_entries = ?9, full_weight = ?10, refused_entries = ?11, refused_weight = ?12,
             queued_bytes = ?13 WHERE id = 1",
        )?;
        statement.execute(params![
            self.next_seq.cast_signed(),
            self.mark.cast_signed(),
            totals.accepted.entries.cast_signed(),
            totals.accepted.weight.cast_signed(),
            totals.published.entries.cast_signed(),
            totals.published.weight.cast_signed(),
            totals.queued.entries.cast_signed(),
            totals.queued.weight.cast_signed(),
            totals.dropped_full.entries.cast_signed(),
            totals.dropped_full.weight.cast_signed(),
            totals.dropped_refused.entries.cast_signed(),
            totals.dropped_refused.weight.cast_signed(),
            totals.queued_bytes.cast_signed(),
        ])?;
        Ok(())
    }
}

/// A row of `dropped`.
pub(crate) fn dropped_range(row: &Row<'_>) -> rusqlite::Result<DroppedRange> {
    Ok(DroppedRange {
        seq_from: row.get::<_, i64>("seq_from")?.cast_unsigned(),
        seq_to: row.get::<_, i64>("seq_to")?.cast_unsigned(),
        weight: row.get::<_, i64>("weight")?.cast_unsigned(),
        reason: DropReason::from_code(row.get("reason")?),
        at_ms: row.get("at_ms")?,
    })
}

/// All rows of `dropped`, oldest numbers first.
pub(crate) fn dropped_ranges(connection: &Connection) -> rusqlite::Result<Vec<DroppedRange>> {
    connection
        .prepare_cached("SELECT * FROM dropped ORDER BY seq_from")?
        .query_map([], dropped_range)?
        .collect()
}

/// A sequence number as SQLite keeps it; one that cannot exist becomes the largest that could.
pub(crate) fn key(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
