//! The writer: appends records, writes again what the disk refused or lost, begins new segments, deletes old ones.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::current::Current;
use crate::disk::{DirLock, Disk, RealDisk};
use crate::error::{JournalError, chain, during};
use crate::frame::{self, MAX_PAYLOAD_BYTES};
use crate::header::HEADER;
use crate::held::{self, Held, MAX_HELD_BYTES};
use crate::reader::{Reader, Records};
use crate::recover::{cut_after, recover};
use crate::segment::{MAX_SEGMENT_BYTES, Segment};
use crate::sync::{Durable, SyncHandle};
use crate::{Options, Position, Recovery};

/// A payload of ordinary size, in bytes: what [`Journal::has_capacity`] asks for.
const ORDINARY_PAYLOAD: usize = 64 * 1024;

/// A journal open for writing. See the crate's documentation for what it promises.
#[derive(Debug)]
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: DirLock,
    options: Options,
    /// Segments that are complete, oldest first. All their records are durable.
    closed: VecDeque<Closed>,
    current: Current,
    /// Every record that is not durable. Some of them are written to `current`, the others not yet.
    held: Held,
    /// The newest record that was written to `current` or before.
    written: Position,
    durable: Durable,
    /// Why the last write failed, until one succeeds.
    refused: Option<Arc<str>>,
    appended_bytes: u64,
}

#[derive(Debug)]
struct Closed {
    segment: Segment,
    bytes: u64,
}

impl Journal {
    /// Opens the journal in `dir` or creates it, repairs what a crash left, and syncs the rest.
    /// No record will get a position below `at_least`: pass the position after the newest one that any other durable
    /// store has seen ([`Position::FIRST`] if there is none).
    ///
    /// # Errors
    /// If the directory is in use, has a newer format or content, or cannot be read or written.
    pub fn open(
        dir: &Path,
        options: Options,
        at_least: Position,
    ) -> Result<(Journal, Recovery), JournalError> {
        Journal::open_on(Arc::new(RealDisk), dir, options, at_least)
    }

    /// [`Journal::open`] on a disk of the caller's choice.
    ///
    /// # Errors
    /// See [`Journal::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        at_least: Position,
    ) -> Result<(Journal, Recovery), JournalError> {
        Journal::open_cut(disk, dir, options, at_least, Position(u64::MAX))
    }

    /// [`Journal::open_on`] after it has deleted all records after `newest`: records that the caller never committed.
    ///
    /// # Errors
    /// See [`Journal::open`].
    pub fn open_cut(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        at_least: Position,
        newest: Position,
    ) -> Result<(Journal, Recovery), JournalError> {
        disk.create_dir(dir).map_err(during("create", dir))?;
        let lock = lock(&*disk, dir)?;
        if newest < Position(u64::MAX) {
            cut_after(&*disk, dir, newest, options.content)?;
        }
        let (mut recovered, mut recovery) = recover(&*disk, dir, options.content)?;
        recovery.next = recovery.next.max(at_least);
        let current = match recovered.pop() {
            Some(last) if last.takes(recovery.next, options.content) => {
                Current::reopen(&*disk, last.segment, last.bytes)?
            }
            last => {
                // One without records gives its name to the new one.
                recovered.extend(last.filter(|last| last.segment.first != recovery.next));
                Current::begin(&*disk, dir, recovery.next, options.content, &[])?
            }
        };
        let closed = recovered.into_iter().map(|old| Closed { segment: old.segment, bytes: old.bytes });
        let journal = Journal {
            disk,
            dir: dir.to_path_buf(),
            _lock: lock,
            options,
            closed: closed.collect(),
            current,
            held: Held::new(recovery.next),
            written: recovery.next.previous(),
            durable: Durable::new(recovery.next.previous()),
            refused: None,
            appended_bytes: 0,
        };
        Ok((journal, recovery))
    }

    /// Accepts one record and returns its position. It is written to the operating system at once. After a
    /// [`write_error`](Journal::write_error) it is kept in memory instead, and [`retry`](Journal::retry) writes it.
    ///
    /// # Errors
    /// If the payload is larger than [`MAX_PAYLOAD_BYTES`], no position is left, or more than [`MAX_HELD_BYTES`] would be
    /// held in memory. The record was not accepted then, and the journal is unchanged.
    pub fn append(&mut self, payload: &[u8]) -> Result<Position, JournalError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(JournalError::TooLarge { bytes: payload.len(), limit: MAX_PAYLOAD_BYTES });
        }
        let position = self.next();
        if position.0 == u64::MAX {
            return Err(JournalError::Exhausted { dir: self.dir.clone() });
        }
        if !self.fits(payload.len()) {
            let (dir, held) = (self.dir.clone(), self.held_bytes());
            return Err(JournalError::Full { dir, held, limit: MAX_HELD_BYTES });
        }
        self.held.push(payload);
        self.appended_bytes += frame::size(payload.len());
        if self.write_error().is_none() {
            let _kept_as_write_error = self.retry();
        }
        Ok(position)
    }

    /// Writes the records that could not be written, and writes again those that a failed sync may have lost. It may be
    /// called at any time; without a write error it does nothing.
    ///
    /// # Errors
    /// If the disk refuses; the records are still held in memory then.
    pub fn retry(&mut self) -> Result<(), JournalError> {
        self.held.release(self.durable());
        let result = self.write_held();
        self.refused = result.as_ref().err().map(chain);
        result
    }

    /// Lets another thread sync what is written so far.
    pub fn sync_handle(&mut self) -> SyncHandle {
        self.held.release(self.durable());
        SyncHandle {
            disk: Arc::clone(&self.disk),
            file: Arc::clone(&self.current.file),
            upto: self.written,
            durable: self.durable.clone(),
        }
    }

    /// The newest record that the operating system has: it survives the death of this process. After a failed sync it is
    /// [`durable`](Journal::durable), until [`retry`](Journal::retry) succeeds.
    pub fn written(&self) -> Position {
        if self.current.file.abandoned().is_some() { self.durable() } else { self.written }
    }

    /// The newest record that a power cut cannot take.
    pub fn durable(&self) -> Position {
        self.durable.get()
    }

    /// The position that the next record gets.
    pub fn next(&self) -> Position {
        self.held.next()
    }

    /// Why the last write or sync failed, with the causes; `None` once everything is written again.
    pub fn write_error(&self) -> Option<Arc<str>> {
        self.refused.as_ref().or_else(|| self.current.file.abandoned()).cloned()
    }

    /// Memory of the records that are not durable, in bytes.
    pub fn held_bytes(&self) -> u64 {
        self.held.bytes_after(self.durable())
    }

    /// Whether a record of up to 64 KiB would be accepted.
    pub fn has_capacity(&self) -> bool {
        self.fits(ORDINARY_PAYLOAD)
    }

    /// Whether more than half of [`MAX_HELD_BYTES`] is held only for want of a sync.
    pub fn wants_sync(&self) -> bool {
        self.held.bytes_between(self.durable(), self.written()) > MAX_HELD_BYTES / 2
    }

    /// Bytes appended since `open`, frames included; it only grows.
    pub fn appended_bytes(&self) -> u64 {
        self.appended_bytes
    }

    /// Bytes of all segments.
    pub fn len_bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + self.current.end
    }

    /// The first position and the bytes of each segment, oldest first. Records are appended to the last one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = (Position, u64)> {
        let closed = self.closed.iter().map(|closed| (closed.segment.first, closed.bytes));
        closed.chain([(self.current.segment.first, self.current.end)])
    }

    /// Deletes the segment that begins with `first`, wherever it stands. The newest segment always stays.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn remove_segment(&mut self, first: Position) -> Result<(), JournalError> {
        let Some(at) = self.closed.iter().position(|closed| closed.segment.first == first) else {
            return Ok(());
        };
        if let Some(closed) = self.closed.get(at) {
            remove(&*self.disk, &closed.segment.path)?;
        }
        self.closed.remove(at);
        Ok(())
    }

    /// The first position of the second oldest segment: all records before it can be deleted together. `None` if there is
    /// only one segment.
    pub fn oldest_segment_end(&self) -> Option<Position> {
        self.closed.front()?;
        Some(self.closed.get(1).map_or(self.current.segment.first, |second| second.segment.first))
    }

    /// The records from `from` on, as they are on the disk now.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn read_from(&self, from: Position) -> Result<Records, JournalError> {
        let disk = Arc::clone(&self.disk);
        Ok(Reader::open_on(disk, &self.dir, self.options.content)?.read_from(from))
    }

    /// Deletes the segments that hold only records before `position`. Records before it that share a segment with
    /// later ones stay. After a write error, records that are not durable and their segment stay, too.
    ///
    /// # Errors
    /// If the disk refuses; some of the segments may be deleted then.
    pub fn truncate_before(&mut self, position: Position) -> Result<(), JournalError> {
        // First, because on a full disk this frees space for a new segment.
        self.delete_closed_before(position)?;
        if position >= self.next() && self.current.has_records() && self.write_error().is_none() {
            self.sync_handle().sync()?;
            self.begin_segment()?;
            self.delete_closed_before(position)?;
        }
        Ok(())
    }

    fn delete_closed_before(&mut self, position: Position) -> Result<(), JournalError> {
        while let Some(oldest) = self.closed.front() {
            let following = self.closed.get(1).map_or(self.current.segment.first, |next| next.segment.first);
            if following > position {
                break;
            }
            remove(&*self.disk, &oldest.segment.path)?;
            self.closed.pop_front();
        }
        Ok(())
    }

    fn fits(&self, payload: usize) -> bool {
        let held = self.held_bytes();
        held == 0 || held + held::cost(payload) <= MAX_HELD_BYTES
    }

    fn write_held(&mut self) -> Result<(), JournalError> {
        if self.current.file.abandoned().is_some() {
            self.begin_segment()?;
        }
        while let Some(frame) = self.held.get(self.written.next()) {
            if self.current.is_full(frame.len(), self.segment_limit()) {
                self.sync_handle().sync()?;
                self.begin_segment()?;
            } else {
                self.current.write(frame)?;
                self.written = self.written.next();
            }
        }
        Ok(())
    }

    /// Closes the current segment and begins one after the newest durable record. It gets as many of the held records as
    /// fit, and they are durable then. If that fails, the current segment is abandoned, so that the next attempt begins at
    /// the same position and replaces what this one left under that name.
    fn begin_segment(&mut self) -> Result<(), JournalError> {
        let durable = self.durable();
        let (last, frames) = self.frames_after(durable);
        let begun = Current::begin(&*self.disk, &self.dir, durable.next(), self.options.content, &frames);
        let begun = begun.inspect_err(|error| self.current.file.abandon(error))?;
        let mut old = std::mem::replace(&mut self.current, begun);
        if old.segment.first != self.current.segment.first {
            old.cut_back(old.end.saturating_sub(self.written_bytes_after(durable)));
            self.closed.push_back(Closed { segment: old.segment, bytes: old.end });
        }
        self.written = last;
        self.durable.raise(last);
        Ok(())
    }

    /// Frames after `position` for a new segment, and the position of the last one.
    fn frames_after(&self, position: Position) -> (Position, Vec<u8>) {
        let (mut last, mut frames) = (position, Vec::new());
        for frame in self.held.after(position) {
            let length = HEADER + frames.len() + frame.len();
            if !frames.is_empty() && length as u64 > self.segment_limit() {
                break;
            }
            frames.extend_from_slice(frame);
            last = last.next();
        }
        (last, frames)
    }

    /// Bytes in the current segment of the records after `position`.
    fn written_bytes_after(&self, position: Position) -> u64 {
        let count = self.written.0.saturating_sub(position.0);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.held.after(position).take(count).map(|frame| frame.len() as u64).sum()
    }

    fn segment_limit(&self) -> u64 {
        self.options.segment_bytes.min(MAX_SEGMENT_BYTES)
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> Result<(), JournalError> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(during("delete", path)(error)),
        _ => Ok(()),
    }
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<DirLock, JournalError> {
    disk.lock_dir(dir).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => JournalError::InUse { dir: dir.to_path_buf() },
        _ => during("lock", dir)(source),
    })
}
