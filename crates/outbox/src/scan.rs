//! Reads what can be read of a table that may be damaged.

use rusqlite::{Connection, OptionalExtension, Row};

/// Calls `visit` for every row of `query` that can be read; some of them twice. `query` has the places `?1` and `?2` for the
/// first and last key and selects the key first; it is in ascending order, with `DESC` behind it in descending order.
pub(crate) fn scan(
    source: &Connection,
    query: &str,
    visit: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut from = i64::MIN;
    loop {
        let Some(hole) = read(source, query, from, i64::MAX, visit)? else { return Ok(()) };
        // In a damaged table keys may go back: without this, for ever.
        let beyond = find_beyond(source, query, hole).filter(|beyond| *beyond > from);
        // What lies between the hole's other end and there.
        let last = beyond.unwrap_or(i64::MAX);
        read(source, &format!("{query} DESC"), hole, last, visit)?;
        match beyond {
            Some(beyond) => from = beyond,
            None => return Ok(()),
        }
    }
}

/// Reads on until something cannot be read; the key after the last one that could then.
fn read(
    source: &Connection,
    query: &str,
    from: i64,
    to: i64,
    visit: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<Option<i64>> {
    let mut next = from;
    let Ok(mut statement) = source.prepare_cached(query) else { return Ok(Some(next)) };
    let Ok(mut rows) = statement.query([from, to]) else { return Ok(Some(next)) };
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let Ok(key) = row.get::<_, i64>(0) else { return Ok(Some(next)) };
                // In a damaged table the order may be wrong too.
                next = next.max(key.saturating_add(1));
                visit(row)?;
            }
            Ok(None) => return Ok(None),
            Err(_) => return Ok(Some(next)),
        }
    }
}

/// The first key behind a hole that can be found by growing steps.
fn find_beyond(source: &Connection, query: &str, hole: i64) -> Option<i64> {
    let first = format!("{query} LIMIT 1");
    let mut statement = source.prepare_cached(&first).ok()?;
    for power in 0..64 {
        let from = i128::from(hole) + (1_i128 << power);
        let from = i64::try_from(from).ok()?;
        match statement.query_row([from, i64::MAX], |row| row.get(0)).optional() {
            // It goes on there at least, or it would never end.
            Ok(found) => return found.map(|key: i64| key.max(from)),
            Err(_) => continue,
        }
    }
    None
}
