//! Opening: what a file needs before it can be used, and what the caller is told of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OptionalExtension};

use crate::error::{OutboxError, corrupt, during, repair};
use crate::log::Log;
use crate::migrate;
use crate::ranges;
use crate::replace;
use crate::salvage::{Known, count, salvage};
use crate::schema::{self, Contents};
use crate::state::{State, load_ahead};
use crate::store::Outbox;
use crate::totals::Count;

/// The smallest page that SQLite has, in bytes.
const SMALLEST: u64 = 512;

/// What opening had to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The schema version that the file had, where it is an older one no more.
    pub migrated_from: Option<i64>,
    /// What was wrong with the file, where it was damaged; it is whole now.
    pub damage: Option<Damage>,
}

/// A damaged file that was repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where the damaged file is kept; the next damaged one takes its place.
    pub aside: PathBuf,
    /// The entries that were lost; they are counted as dropped. `None`: nobody knows, the counters were lost too.
    pub lost: Option<Count>,
    /// The books begin anew, with what could be saved as accepted.
    pub counters_lost: bool,
    /// The mark is 0: the producer hands over again what it still has.
    pub mark_lost: bool,
}

/// Makes the file ready for use.
pub(crate) fn open(path: &Path) -> Result<(Connection, State, Recovery), OutboxError> {
    let io = repair(path);
    replace::finish(path).map_err(&io)?;
    if !path.try_exists().map_err(&io)? && !replace::beside(path, "-wal").try_exists().map_err(&io)? {
        make(path)?;
    }
    let (connection, state, migrated_from) = match open_whole(path) {
        Err(error) if error.may_be_damage() => {
            let (_, damage) = salvage(path, None)?;
            let (connection, state, _) = open_whole(path)?;
            return Ok((connection, state, Recovery { damage: Some(damage), migrated_from: None }));
        }
        opened => opened?,
    };
    Ok((connection, state, Recovery { migrated_from, damage: None }))
}

/// Opens a file that is whole; where it is older, its version too.
fn open_whole(path: &Path) -> Result<(Connection, State, Option<i64>), OutboxError> {
    let io = repair(path);
    let (mut connection, contents) = open_checked(path)?;
    settle_log(path).map_err(&io)?;
    let mut migrated_from = None;
    match contents {
        Contents::Nothing => {
            schema::set_up(&connection).map_err(during("set up", path))?;
            schema::create(&mut connection).map_err(during("create", path))?;
        }
        Contents::Version1 => {
            migrate::from_version_1(connection, path)?;
            migrated_from = Some(1);
            connection = open_checked(path)?.0;
            schema::set_up(&connection).map_err(during("set up", path))?;
        }
        Contents::Present => schema::set_up(&connection).map_err(during("set up", path))?,
    }
    let state = verified(&connection).map_err(during("read", path))?;
    // SQLite ignores it when the new log's name cannot be made durable.
    replace::sync_directory(path).map_err(&io)?;
    Ok((connection, state, migrated_from))
}

/// Makes a new file, complete at one instant: one that is cut short was cut, and is not half made.
fn make(path: &Path) -> Result<(), OutboxError> {
    let create = during("create", path);
    let new = schema::create_new(&replace::new_file(path)).map_err(&create)?;
    // Here, where an error leaves nothing behind that counts.
    new.pragma_update(None, "locking_mode", "EXCLUSIVE")
        .and_then(|()| schema::use_log(&new))
        .map_err(&create)?;
    new.close().map_err(|(_, error)| create(error))?;
    replace::supersede(path).map_err(repair(path))
}

/// What the log holds is told to the caller, and must be on the disk then. After a kill, or a sync that failed, it may be
/// in the system's memory alone, where a sync may find nothing to do: it is written again.
fn settle_log(path: &Path) -> io::Result<()> {
    let log = replace::beside(path, "-wal");
    let bytes = match fs::read(&log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    let mut file = File::options().write(true).open(&log)?;
    file.write_all(&bytes)?;
    file.sync_all()
}

/// Opens a file whose structure is sound.
fn open_checked(path: &Path) -> Result<(Connection, Contents), OutboxError> {
    let is_wrong = |finding: &str| {
        Err(OutboxError::Inconsistent { path: path.to_path_buf(), finding: finding.to_owned() })
    };
    // SQLite would take it for a new one, and delete its log.
    if path.metadata().is_ok_and(|file| file.len() < SMALLEST) {
        return is_wrong("it is shorter than the smallest database");
    }
    let connection = schema::connect(path).map_err(during("open", path))?;
    let contents = schema::check(&connection, path)?;
    let may_write = || File::options().write(true).open(path).is_ok();
    if connection.is_readonly(MAIN_DB).map_err(during("open", path))? && may_write() {
        return is_wrong("its header says that nobody can write it");
    }
    let log = Log::read(&replace::beside(path, "-wal")).map_err(repair(path))?;
    if log.is_damaged() {
        return is_wrong("its write-ahead log is wrong in the middle");
    }
    schema::quick_check(&connection, path)?;
    Ok((connection, contents))
}

/// The state, where it fits the entries and all checksums are right; reads everything.
fn verified(connection: &Connection) -> rusqlite::Result<State> {
    let state = State::load(connection)?.ok_or_else(corrupt)?;
    let (found, _) = count(connection)?;
    let mut books = state.books.clone();
    books.reconcile(&found);
    if books != state.books || !ranges::are_whole(connection)? || load_ahead(connection)?.is_none() {
        return Err(corrupt());
    }
    Ok(state)
}

impl Outbox {
    /// Does it; where the file turns out to be damaged, repairs it and does it once more.
    pub(crate) fn repairing<T>(
        &mut self,
        mut action: impl FnMut(&mut Outbox) -> Result<T, OutboxError>,
    ) -> Result<T, OutboxError> {
        if self.is_broken {
            self.repair()?;
        }
        match action(self) {
            Err(error) if error.is_damage() => {
                self.repair()?;
                action(self)
            }
            result => result,
        }
    }

    /// Puts a whole file in the place of the damaged one, with all that is in it and all that was staged.
    fn repair(&mut self) -> Result<(), OutboxError> {
        let repair = during("repair", &self.path);
        if !self.is_broken {
            let nothing = Connection::open_in_memory().map_err(&repair)?;
            self.is_broken = true;
            self.is_open = false;
            let damaged = std::mem::replace(&mut self.connection, nothing);
            damaged.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(&repair)?;
        }
        let known = Known { state: &self.state, unsaved: &self.unsaved };
        let (state, damage) = salvage(&self.path, Some(&known))?;
        self.has_committed(state);
        self.damage = Some(Arc::new(damage));
        let (connection, state, _) = open_whole(&self.path)?;
        self.has_committed(state);
        let mut gone = Vec::new();
        for (seq, queued) in &self.in_flight {
            let there = connection.query_row("SELECT 1 FROM queue WHERE key = ?1", [queued.key], |_| Ok(()));
            if there.optional().map_err(&repair)?.is_none() {
                gone.push(*seq);
            }
        }
        self.in_flight.retain(|seq, _| !gone.contains(seq));
        self.connection = connection;
        self.is_broken = false;
        Ok(())
    }
}
