//! Files of earlier schema versions.
//!
//! Version 1 (the first that was shipped): no checksums, no accounts, urgent and normal entries told apart by a column and
//! an index. What it holds is put down to the account "earlier". The new file is written beside the old one in one
//! transaction and takes its place when it is complete: a crash before that leaves the old one.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Row, TransactionBehavior};

use crate::accounts::{Account, Accounts, EARLIER};
use crate::books::Books;
use crate::entry::{Priority, Share};
use crate::error::{OutboxError, during, repair};
use crate::replace;
use crate::row::QueueRow;
use crate::salvage::count;
use crate::schema;
use crate::state::State;
use crate::totals::{Count, DropReason, DroppedRange, Totals};

/// Rows of version 1; see `scan.rs` for the places.
pub(crate) const ROWS: &str =
    "SELECT seq, priority, weight, topic, body FROM queue WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq";
/// Dropped ranges of version 1.
pub(crate) const RANGES: &str = "SELECT seq_from, seq_to, weight, reason, at_ms FROM dropped
     WHERE seq_from BETWEEN ?1 AND ?2 ORDER BY seq_from";

/// Replaces the file of version 1 that `old` has open.
pub(crate) fn from_version_1(old: Connection, path: &Path) -> Result<(), OutboxError> {
    let sql = during("migrate", path);
    let mut new = schema::create_new(&replace::new_file(path)).map_err(&sql)?;
    let copied = copy(&old, &mut new).map_err(&sql)?;
    if !copied {
        let finding = "its counters do not fit its entries".to_owned();
        return Err(OutboxError::Inconsistent { path: path.to_path_buf(), finding });
    }
    new.close().map_err(|(_, error)| sql(error))?;
    schema::close_whole(old).map_err(&sql)?;
    replace::supersede(path).map_err(repair(path))
}

/// Whether the books fit the entries.
fn copy(old: &Connection, new: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = new.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let all = [i64::MIN, i64::MAX];
    let mut statement = old.prepare(ROWS)?;
    let mut rows = statement.query(all)?;
    while let Some(found) = rows.next()? {
        row(found)?.insert(&transaction)?;
    }
    crate::ranges::store(&transaction, &ranges(old)?)?;
    let mut state = state(old)?;
    let (found, _) = count(&transaction)?;
    let before = state.books.clone();
    state.books.totals.queued_bytes = found.bytes;
    let fits = state.books.reconcile(&found) == Count::default()
        && state.books.totals.accepted == before.totals.accepted;
    state.store(&transaction)?;
    transaction.commit()?;
    Ok(fits)
}

/// A row of `ROWS`.
pub(crate) fn row(row: &Row<'_>) -> rusqlite::Result<QueueRow> {
    let priority = if row.get::<_, i64>(1)? == 0 { Priority::Urgent } else { Priority::Normal };
    let shares = vec![Share { account: EARLIER.into(), weight: row.get(2)? }];
    let seq = row.get::<_, i64>(0)?.cast_unsigned();
    Ok(QueueRow { seq, priority, shares, topic: row.get(3)?, body: row.get(4)? })
}

/// A row of `RANGES`.
pub(crate) fn range(row: &Row<'_>) -> rusqlite::Result<DroppedRange> {
    let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    Ok(DroppedRange {
        seq_from: number(0)?,
        seq_to: number(1)?,
        weight: number(2)?,
        reason: DropReason::from_code(row.get(3)?),
        at_ms: row.get(4)?,
    })
}

/// All of `RANGES`.
pub(crate) fn ranges(old: &Connection) -> rusqlite::Result<Vec<DroppedRange>> {
    old.prepare(RANGES)?.query_map([i64::MIN, i64::MAX], range)?.collect()
}

/// The state of version 1; `queued_bytes` is what that version counted.
pub(crate) fn state(old: &Connection) -> rusqlite::Result<State> {
    old.query_row("SELECT * FROM state WHERE id = 1", [], |row| {
        let number = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let count = |entries: &str, weight: &str| {
            Ok::<_, rusqlite::Error>(Count { entries: number(entries)?, weight: number(weight)? })
        };
        let totals = Totals {
            accepted: count("accepted_entries", "accepted_weight")?,
            published: count("published_entries", "published_weight")?,
            queued: count("queued_entries", "queued_weight")?,
            dropped_full: count("full_entries", "full_weight")?,
            dropped_refused: count("refused_entries", "refused_weight")?,
            dropped_damaged: Count::default(),
            queued_bytes: number("queued_bytes")?,
        };
        let account = Account {
            accepted: totals.accepted.weight,
            published: totals.published.weight,
            queued: totals.queued.weight,
            dropped_full: totals.dropped_full.weight,
            dropped_refused: totals.dropped_refused.weight,
            dropped_damaged: 0,
        };
        let accounts = Arc::new(Accounts::from([(EARLIER.into(), account)]));
        let books = Books { totals, accounts };
        let state = State { next_seq: number("next_seq")?, mark: number("mark")?, books, ..State::new() };
        Ok(state)
    })
}
