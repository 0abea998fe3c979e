//! Which entries were dropped: neighbouring numbers as one row, the newest thousand rows.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::totals::{DropReason, DroppedRange};

/// Ranges that are kept.
pub(crate) const MAX_RANGES: i64 = 1000;

/// A row of `dropped`, and whether it is what was once written.
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<(DroppedRange, bool)> {
    let number = |column| row.get::<_, i64>(column);
    let range = DroppedRange {
        seq_from: number("seq_from")?.cast_unsigned(),
        seq_to: number("seq_to")?.cast_unsigned(),
        weight: number("weight")?.cast_unsigned(),
        reason: DropReason::from_code(number("reason")?),
        at_ms: number("at_ms")?,
    };
    Ok((range, number("crc")? == i64::from(checksum(&range))))
}

/// All rows, oldest numbers first.
pub(crate) fn all(connection: &Connection) -> rusqlite::Result<Vec<DroppedRange>> {
    connection
        .prepare_cached("SELECT * FROM dropped ORDER BY seq_from")?
        .query_map([], |row| read(row).map(|(range, _)| range))?
        .collect()
}

/// Whether every row is what was once written.
pub(crate) fn are_whole(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT * FROM dropped")?;
    let rows: Vec<(DroppedRange, bool)> = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
    Ok(rows.iter().all(|(_, is_whole)| *is_whole))
}

/// Neighbours as one, oldest numbers first.
pub(crate) fn joined(mut dropped: Vec<DroppedRange>) -> Vec<DroppedRange> {
    dropped.sort_unstable_by_key(|range| range.seq_from);
    let mut ranges: Vec<DroppedRange> = Vec::new();
    for range in dropped {
        match ranges.last_mut() {
            Some(last) if last.meets(&range) => *last = last.join(range),
            _ => ranges.push(range),
        }
    }
    ranges
}

/// Adds ranges to those in the file, neighbours as one, and forgets the oldest.
pub(crate) fn store(connection: &Connection, ranges: &[DroppedRange]) -> rusqlite::Result<()> {
    if ranges.is_empty() {
        return Ok(());
    }
    ranges.iter().try_for_each(|range| store_one(connection, *range))?;
    connection
        .prepare_cached(
            "DELETE FROM dropped WHERE seq_from <=
             (SELECT seq_from FROM dropped ORDER BY seq_from DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([MAX_RANGES])?;
    Ok(())
}

fn store_one(connection: &Connection, mut range: DroppedRange) -> rusqlite::Result<()> {
    let neighbour = |query, seq: u64| {
        let row = connection.prepare_cached(query)?.query_row([seq.cast_signed()], read).optional()?;
        Ok::<_, rusqlite::Error>(row.map(|(range, _)| range))
    };
    let before = neighbour(
        "SELECT * FROM dropped WHERE seq_from < ?1 ORDER BY seq_from DESC LIMIT 1",
        range.seq_from,
    )?;
    let after =
        neighbour("SELECT * FROM dropped WHERE seq_from > ?1 ORDER BY seq_from LIMIT 1", range.seq_to)?;
    if let Some(after) = after.filter(|after| range.meets(after)) {
        connection
            .prepare_cached("DELETE FROM dropped WHERE seq_from = ?1")?
            .execute([after.seq_from.cast_signed()])?;
        range = range.join(after);
    }
    if let Some(before) = before.filter(|before| before.meets(&range)) {
        range = before.join(range);
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO dropped (seq_from, seq_to, weight, reason, at_ms, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            range.seq_from.cast_signed(),
            range.seq_to.cast_signed(),
            range.weight.cast_signed(),
            range.reason.code(),
            range.at_ms,
            checksum(&range),
        ])?;
    Ok(())
}

fn checksum(range: &DroppedRange) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    let numbers = [
        range.seq_from.cast_signed(),
        range.seq_to.cast_signed(),
        range.weight.cast_signed(),
        range.reason.code(),
    ];
    for number in numbers.into_iter().chain([range.at_ms]) {
        crc.update(&number.to_le_bytes());
    }
    crc.finalize()
}
