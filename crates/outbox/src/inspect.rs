//! Looks into an outbox that nobody has open, without changing it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use crate::accounts::Accounts;
use crate::books::Books;
use crate::error::{OutboxError, corrupt, during};
use crate::migrate;
use crate::ranges;
use crate::replace::beside;
use crate::schema::{self, Contents};
use crate::state::State;
use crate::store::Outbox;
use crate::totals::{DroppedRange, Totals};

/// What an outbox holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The books.
    pub totals: Totals,
    /// The books of each account.
    pub accounts: Accounts,
    /// The mark of the last append.
    pub mark: u64,
    /// The number that the next entry gets.
    pub next_seq: u64,
    /// What was dropped: the newest 1,000 ranges, oldest first.
    pub dropped: Vec<DroppedRange>,
}

impl Outbox {
    /// Reads the books of an outbox that no process has open, and checks the whole file. What a killed process left in
    /// the write-ahead log is read too and stays there; SQLite puts a `-shm` file beside it for that, so the caller then
    /// needs the right to write to the directory.
    ///
    /// # Errors
    /// Where there is no such file, it cannot be read, is damaged, in use, of a newer schema or no outbox.
    pub fn inspect(path: &Path) -> Result<Inspection, OutboxError> {
        let read = during("read", path);
        let connection = open_read_only(path).map_err(during("open", path))?;
        connection.busy_timeout(schema::BUSY).map_err(&read)?;
        let version_1 = match schema::check(&connection, path)? {
            Contents::Nothing => return Err(OutboxError::NotAnOutbox { path: path.to_path_buf() }),
            Contents::Version1 => true,
            Contents::Present => false,
        };
        schema::quick_check(&connection, path)?;
        if version_1 {
            let State { next_seq, mark, books: Books { totals, accounts }, .. } =
                migrate::state(&connection).map_err(&read)?;
            let dropped = migrate::ranges(&connection).map_err(&read)?;
            return Ok(Inspection {
                totals,
                accounts: Arc::unwrap_or_clone(accounts),
                mark,
                next_seq,
                dropped,
            });
        }
        let state = State::load(&connection).and_then(|state| state.ok_or_else(corrupt)).map_err(&read)?;
        let dropped = ranges::all(&connection).map_err(&read)?;
        let State { next_seq, mark, books: Books { totals, accounts }, .. } = state;
        Ok(Inspection { totals, accounts: Arc::unwrap_or_clone(accounts), mark, next_seq, dropped })
    }
}

/// Opens a file that nobody writes.
pub(crate) fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match immutable_uri(path) {
        Some(uri) => Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI),
        None => Connection::open_with_flags(path, flags),
    }
}

/// For a file without a write-ahead log, which nobody has open then: read like this, SQLite makes no files beside it.
fn immutable_uri(path: &Path) -> Option<String> {
    if beside(path, "-wal").exists() {
        return None;
    }
    // SQLite decodes these, and only these would change the path's meaning.
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let path = if path.starts_with('/') { format!("//{path}") } else { path };
    Some(format!("file:{path}?immutable=1"))
}
