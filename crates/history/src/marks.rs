//! Up to where retention has removed what: what comes later for before a mark is left out.
//!
//! So a row of a tier is never made again from a part of its windows, and a reader knows from where on a tier has everything.

use rusqlite::{Connection, OptionalExtension as _, params};

/// What is removed by age, each with a mark of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Windows,
    Hours,
    Days,
    Alerts,
    Readings,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Hours => "hours",
            Self::Days => "days",
            Self::Alerts => "alerts",
            Self::Readings => "readings",
        }
    }
}

/// What starts before this is gone; the beginning of time where nothing was removed yet.
pub(crate) fn get(file: &Connection, part: Part) -> rusqlite::Result<i64> {
    let mut statement = file.prepare_cached("SELECT removed_before FROM mark WHERE part = ?1")?;
    let mark = statement.query_row([part.name()], |row| row.get(0)).optional()?;
    Ok(mark.unwrap_or(i64::MIN))
}

/// Moves a mark ahead; never back.
pub(crate) fn advance(file: &Connection, part: Part, before: i64) -> rusqlite::Result<()> {
    file.prepare_cached(
        "INSERT INTO mark (part, removed_before) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET removed_before = max(removed_before, excluded.removed_before)",
    )?
    .execute(params![part.name(), before])?;
    Ok(())
}
