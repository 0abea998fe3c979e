//! The one who writes: opens and repairs a directory, appends, begins new segments, deletes old ones.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{JournalError, during};
use crate::frame::{self, MAX_PAYLOAD_BYTES};
use crate::reader::{self, Examined, Reader, Records};
use crate::segment::{self, HEADER, MAX_SEGMENT_BYTES, Segment, frame_bytes};
use crate::sync::{SyncHandle, Unsynced};
use crate::{Options, Position, Recovery};

/// Memory that is kept for the next append.
const BUFFER_BYTES: usize = 256 * 1024;
/// Closed segments that may wait for a sync; with more, closing one syncs it.
const MAX_UNSYNCED: usize = 8;

/// A journal open for writing. See the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// Holds the lock, and syncs the directory.
    dir_file: File,
    options: Options,
    /// Segments that are written no more, oldest first.
    closed: VecDeque<Closed>,
    current: Current,
    next: Position,
    buffer: Vec<u8>,
    unsynced: Vec<Unsynced>,
    durable: Arc<AtomicU64>,
    appended_bytes: u64,
}

#[derive(Debug)]
struct Closed {
    segment: Segment,
    bytes: u64,
}

/// The segment that is written.
#[derive(Debug)]
struct Current {
    segment: Segment,
    file: Arc<File>,
    /// Where the last whole frame ends.
    end: u64,
    /// A failed append may have left bytes behind `end`.
    torn: bool,
}

impl Journal {
    /// Opens the journal in `dir`, creates it where there is none, repairs what a crash left and syncs what it keeps.
    /// No record will get a position below `at_least`: pass the position after the newest one that any other durable
    /// store has seen ([`Position::FIRST`] where there is none).
    ///
    /// # Errors
    /// Where the directory is in use, holds a newer format, or cannot be read or written.
    pub fn open(
        dir: &Path,
        options: Options,
        at_least: Position,
    ) -> Result<(Journal, Recovery), JournalError> {
        fs::create_dir_all(dir).map_err(during("create", dir))?;
        let dir_file = lock(dir)?;
        let (mut recovered, mut recovery) = recover(dir)?;
        recovery.next = recovery.next.max(at_least);
        let current = match recovered.pop() {
            // Within a segment positions have no gaps: a floor further ahead begins a new one.
            Some(last) if last.next == recovery.next => Current::reopen(last.closed)?,
            last => {
                recovered.extend(last);
                Current::create(dir, &dir_file, recovery.next)?
            }
        };
        let journal = Journal {
            dir: dir.to_path_buf(),
            dir_file,
            options,
            closed: recovered.into_iter().map(|segment| segment.closed).collect(),
            current,
            next: recovery.next,
            buffer: Vec::new(),
            unsynced: Vec::new(),
            durable: Arc::new(AtomicU64::new(recovery.next.previous().0)),
            appended_bytes: 0,
        };
        Ok((journal, recovery))
    }

    /// Appends one record with one write to the operating system; it is durable after the next sync.
    ///
    /// # Errors
    /// Where the payload is larger than [`MAX_PAYLOAD_BYTES`] or the disk refuses. The record was not kept then, its
    /// position goes to the next one, and the journal stays usable.
    pub fn append(&mut self, payload: &[u8]) -> Result<Position, JournalError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(JournalError::TooLarge { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
        }
        if self.next.0 == u64::MAX {
            return Err(JournalError::Exhausted { dir: self.dir.clone() });
        }
        let position = self.next;
        let bytes = frame_bytes(payload.len());
        let limit = self.options.segment_bytes.min(MAX_SEGMENT_BYTES);
        if self.current.has_records() && self.current.end + bytes > limit {
            self.rotate()?;
        }
        frame::encode(&mut self.buffer, position, payload);
        let written = self.current.write(&self.buffer);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES);
        written.map_err(|source| JournalError::Append { path: self.current.segment.path.clone(), source })?;
        self.next = position.next();
        self.appended_bytes += bytes;
        Ok(position)
    }

    /// What is needed to make every record so far durable, for another thread.
    pub fn sync_handle(&mut self) -> SyncHandle {
        let durable = self.durable();
        self.unsynced.retain(|segment| segment.last > durable);
        let upto = self.next.previous();
        let mut segments = self.unsynced.clone();
        if upto > durable && self.current.has_records() {
            segments.push(self.current.unsynced(upto));
        }
        SyncHandle { segments, upto, durable: Arc::clone(&self.durable) }
    }

    /// The newest record that a power cut cannot take.
    pub fn durable(&self) -> Position {
        Position(self.durable.load(Ordering::Acquire))
    }

    /// The position that the next record gets.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Bytes appended since `open`, frames included; it only grows.
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// Bytes of all segments.
    pub fn len_bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + self.current.end
    }

    /// The records at `from` and after it, as they stand now.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn read_from(&self, from: Position) -> Result<Records, JournalError> {
        Ok(Reader::open(&self.dir)?.read_from(from))
    }

    /// Deletes the segments that hold only records before `position`. Records before it that share a segment with
    /// later ones stay.
    ///
    /// # Errors
    /// Where the disk refuses; some of the segments may be gone then.
    pub fn truncate_before(&mut self, position: Position) -> Result<(), JournalError> {
        if position >= self.next && self.current.has_records() {
            self.rotate()?;
        }
        while let Some(oldest) = self.closed.front() {
            let following = self.closed.get(1).map_or(self.current.segment.first, |next| next.segment.first);
            if following > position {
                break;
            }
            let path = &oldest.segment.path;
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(during("delete", path)(error));
                }
                _ => self.unsynced.retain(|segment| segment.path != *path),
            }
            self.closed.pop_front();
        }
        Ok(())
    }

    /// Closes the current segment and begins one at `next`.
    fn rotate(&mut self) -> Result<(), JournalError> {
        self.current.cut().map_err(during("cut", &self.current.segment.path))?;
        let durable = self.durable();
        self.unsynced.retain(|segment| segment.last > durable);
        if self.unsynced.len() >= MAX_UNSYNCED {
            self.sync()?;
            self.unsynced.clear();
        }
        let new = Current::create(&self.dir, &self.dir_file, self.next)?;
        let old = std::mem::replace(&mut self.current, new);
        let last = self.next.previous();
        if last > self.durable() {
            self.unsynced.push(old.unsynced(last));
        }
        self.closed.push_back(Closed { segment: old.segment, bytes: old.end });
        Ok(())
    }
}

impl Current {
    fn create(dir: &Path, dir_file: &File, first: Position) -> Result<Current, JournalError> {
        let segment = Segment::named(dir, first);
        let file = Arc::new(segment.create(dir_file)?);
        Ok(Current { segment, file, end: HEADER as u64, torn: false })
    }

    fn reopen(closed: Closed) -> Result<Current, JournalError> {
        let Closed { segment, bytes: end } = closed;
        let file = segment.open_append().map_err(during("open", &segment.path))?;
        Ok(Current { segment, file: Arc::new(file), end, torn: false })
    }

    fn has_records(&self) -> bool {
        self.end > HEADER as u64
    }

    fn unsynced(&self, last: Position) -> Unsynced {
        Unsynced { path: self.segment.path.clone(), file: Arc::clone(&self.file), last }
    }

    /// Writes one frame, whole or not at all.
    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.cut()?;
        let result = write_once(&self.file, frame);
        match &result {
            Ok(()) => self.end += frame.len() as u64,
            Err(_) => {
                self.torn = true;
                // Where this fails too, the next append tries again before it writes.
                let _the_first_error_says_more = self.cut();
            }
        }
        result
    }

    /// Takes away what a failed append left.
    fn cut(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.end)?;
            self.torn = false;
        }
        Ok(())
    }
}

fn write_once(mut file: &File, frame: &[u8]) -> io::Result<()> {
    let written = loop {
        match file.write(frame) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    if written == frame.len() {
        return Ok(());
    }
    let text = format!("only {written} of {} bytes were written; the disk is full", frame.len());
    Err(io::Error::new(io::ErrorKind::WriteZero, text))
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let file = File::open(dir).map_err(during("open", dir))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(during("lock", dir)(source)),
    }
}

/// A segment after repair, and the position that would follow in it.
struct Recovered {
    closed: Closed,
    next: Position,
}

/// Looks through all segments, cuts torn tails, writes damaged headers anew and syncs everything: what a caller
/// builds on at start must not be taken by a later power cut.
fn recover(dir: &Path) -> Result<(Vec<Recovered>, Recovery), JournalError> {
    let segments = segment::list(dir)?;
    // Nothing is changed before all is understood: a newer format is refused with every file as it was.
    let examined = segments.iter().map(reader::examine).collect::<Result<Vec<_>, _>>()?;
    let mut total = Recovery { next: Position::FIRST, ..Recovery::default() };
    let mut recovered = Vec::with_capacity(segments.len());
    for (segment, Examined { header, end, found }) in segments.into_iter().zip(examined) {
        segment.repair(header, end)?;
        total.add(&found);
        recovered.push(Recovered { closed: Closed { segment, bytes: end }, next: found.next });
    }
    Ok((recovered, total))
}
