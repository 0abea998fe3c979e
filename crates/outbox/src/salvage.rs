//! Saves what can be read of a damaged file into a new one.
//!
//! It works on a copy with the log's pages in it. Of a file of the present schema the first page is replaced by a new
//! one, as all such files have the same: the tables are made in the same order, so they begin at the same pages. An entry
//! is saved where its checksum is right. What the counters say beyond that was lost; it is counted as dropped, and the
//! numbers that are missing are told. Where the counters cannot be read either, the books begin anew.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use rusqlite::{Connection, Row, TransactionBehavior};

use crate::books::Counted;
use crate::error::{OutboxError, during, repair};
use crate::log::Log;
use crate::missing::Missing;
use crate::ranges;
use crate::recovery::Damage;
use crate::replace::{self, beside};
use crate::row::{COLUMNS, QueueRow};
use crate::scan::scan;
use crate::schema::{self, PAGE, STATE_PAGE};
use crate::state::{ERA, State, load_ahead};
use crate::unsaved::Unsaved;
use crate::{inspect, migrate};

/// What the program knows itself, where the damage is found while it runs.
pub(crate) struct Known<'a> {
    pub(crate) state: &'a State,
    pub(crate) unsaved: &'a Unsaved,
}

/// What was read.
#[derive(Default)]
struct Saved {
    state: Option<State>,
    /// Numbers below it may have been given.
    ahead: Option<u64>,
}

/// Makes a whole file of a damaged one, which is kept beside it. Nobody may have it open.
pub(crate) fn salvage(path: &Path, known: Option<&Known<'_>>) -> Result<(State, Damage), OutboxError> {
    let io = repair(path);
    let sql = during("repair", path);
    replace::finish(path).map_err(&io)?;
    let mut new = schema::create_new(&replace::new_file(path)).map_err(&sql)?;
    let is_v1 = make_image(path).map_err(&io)?;
    let saved = {
        let source = inspect::open_read_only(&replace::image(path)).map_err(&sql)?;
        let transaction = new.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let saved = copy(&source, is_v1, &transaction, known, path).map_err(&sql)?;
        transaction.commit().map_err(&sql)?;
        saved
    };
    new.close().map_err(|(_, error)| sql(error))?;
    replace::set_aside(path).map_err(&io)?;
    fs::remove_file(replace::image(path)).or_else(missing_is_fine).map_err(&io)?;
    Ok(saved)
}

/// Copies the file, with the log's pages, and makes it readable; whether it is of schema version 1.
fn make_image(path: &Path) -> io::Result<bool> {
    let image = replace::image(path);
    fs::copy(path, &image).map(drop).or_else(missing_is_fine)?;
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&image)?;
    let log = Log::read(&beside(path, "-wal"))?;
    log.merge_into(&mut file)?;
    let mut first = [0; PAGE];
    file.seek(SeekFrom::Start(0))?;
    let is_v1 = file.read_exact(&mut first).is_ok() && schema::is_version_1(&first);
    if !is_v1 {
        let mut template = [0; PAGE];
        File::open(replace::new_file(path))?.read_exact(&mut template)?;
        let pages = u32::try_from(file.metadata()?.len().div_ceil(PAGE as u64)).unwrap_or(u32::MAX);
        template.get_mut(28..32).unwrap_or_default().copy_from_slice(&pages.to_be_bytes());
        write_page(&mut file, 1, &template)?;
        file.set_len(u64::from(pages.max(1)) * PAGE as u64)?;
        if !log.is_empty() && !log.ends_with(STATE_PAGE) {
            // The newest state is the damaged part: an older one must not be taken for it.
            write_page(&mut file, STATE_PAGE, &[0; PAGE])?;
        }
    }
    Ok(is_v1)
}

fn write_page(file: &mut File, page: u32, bytes: &[u8; PAGE]) -> io::Result<()> {
    file.seek(SeekFrom::Start(u64::from(page - 1) * PAGE as u64))?;
    file.write_all(bytes)
}

fn copy(
    source: &Connection,
    is_v1: bool,
    new: &Connection,
    known: Option<&Known<'_>>,
    path: &Path,
) -> rusqlite::Result<(State, Damage)> {
    let saved = if is_v1 { copy_v1(source, new)? } else { copy_v2(source, new)? };
    if let Some(known) = known {
        known.unsaved.redo(new)?;
    }
    let (found, mut missing) = count(new)?;
    let survived = known.map(|known| known.state.clone()).or(saved.state);
    let counters_lost = survived.is_none();
    let dropped = ranges::all(new)?;
    let newest = missing.newest().into_iter().chain(dropped.iter().map(|range| range.seq_to)).max();
    let mut state = survived.unwrap_or_else(|| begin_anew(newest.unwrap_or_default(), saved.ahead));
    let lost = state.books.reconcile(&found);
    if !counters_lost {
        let ranges = missing.ranges(&state, lost, &dropped);
        ranges::store(new, &ranges)?;
    }
    // What was set aside stands in another file now.
    state.ahead = 0;
    state.store(new)?;
    let damage = Damage {
        aside: replace::damaged(path),
        lost: (!counters_lost).then_some(lost),
        counters_lost,
        mark_lost: counters_lost,
    };
    Ok((state, damage))
}

fn copy_v2(source: &Connection, new: &Connection) -> rusqlite::Result<Saved> {
    let saved = Saved { state: State::load(source).ok().flatten(), ahead: load_ahead(source).ok().flatten() };
    let rows = format!("SELECT {COLUMNS} FROM queue WHERE key BETWEEN ?1 AND ?2 ORDER BY key");
    scan(source, &rows, &mut |row| match QueueRow::read(row) {
        Ok(Some(row)) => row.insert_where_new(new),
        Ok(None) | Err(_) => Ok(()),
    })?;
    let kept = "SELECT * FROM dropped WHERE seq_from BETWEEN ?1 AND ?2 ORDER BY seq_from";
    scan(source, kept, &mut |row: &Row<'_>| match ranges::read(row) {
        Ok((range, true)) => ranges::store(new, &[range]),
        Ok((_, false)) | Err(_) => Ok(()),
    })?;
    Ok(saved)
}

fn copy_v1(source: &Connection, new: &Connection) -> rusqlite::Result<Saved> {
    scan(source, migrate::ROWS, &mut |row| match migrate::row(row) {
        Ok(row) => row.insert_where_new(new),
        Err(_) => Ok(()),
    })?;
    scan(source, migrate::RANGES, &mut |row| match migrate::range(row) {
        Ok(range) => ranges::store(new, &[range]),
        Err(_) => Ok(()),
    })?;
    Ok(Saved { state: migrate::state(source).ok().filter(State::is_plausible), ..Saved::default() })
}

/// Counts what is queued, checks every entry, and notes which numbers are there.
pub(crate) fn count(connection: &Connection) -> rusqlite::Result<(Counted, Missing)> {
    let mut found = Counted::default();
    let mut missing = Missing::default();
    let query = format!("SELECT {COLUMNS} FROM queue ORDER BY key");
    let mut statement = connection.prepare(&query)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let row = QueueRow::read(row)?.ok_or_else(crate::error::corrupt)?;
        found.add(&row.shares, row.size());
        missing.is_there(row.seq);
    }
    Ok((found, missing))
}

/// A state for what was found, without knowing what was before: no number is given twice, and the producer begins anew.
fn begin_anew(newest: u64, ahead: Option<u64>) -> State {
    let next_seq = ahead.unwrap_or((newest / ERA + 1) * ERA).max(newest.saturating_add(1));
    State { next_seq, ..State::new() }
}

fn missing_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
