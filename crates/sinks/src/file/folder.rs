//! The files of one sink: for each lane one that is written to, with `.part` at the end of its name, and complete ones.
//!
//! Guarantees: a file under its final name is complete and never changes again. Lines that were written are on the disk when
//! [`Folder::write`] returns. Lines that are written again after a crash or an error stand once: the end of the newest file is
//! compared with them, which is enough because only the newest lines can come again (the runner keeps batches).
//!
//! A Parquet file can be read when its end is written, and not before. So what is written to is lines of text, and the
//! Parquet file is made of them when their time is over or they are many enough ([`parquet`]).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway_core::{Timestamp, durable};
use outbox::{Lane, PerLane};

use super::config::Format;
use super::{parquet, rows};

const PART: &str = "part";

/// How files are named and divided.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) rotate: Duration,
    pub(super) max_size: u64,
}

/// The folder, open for writing.
#[derive(Debug)]
pub(super) struct Folder {
    layout: Layout,
    /// Held, so that no other sink writes here.
    _lock: File,
    parts: PerLane<Option<Part>>,
}

/// A file that is written to.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    /// Its bytes.
    size: u64,
    /// When its time is over.
    ends: Timestamp,
}

impl Folder {
    /// Makes and locks the folder.
    ///
    /// # Errors
    /// If the disk refuses, or another sink has it.
    pub(super) fn open(layout: Layout) -> io::Result<Folder> {
        fs::create_dir_all(&layout.path)?;
        let lock = File::open(&layout.path)?;
        lock.try_lock().map_err(|_| {
            io::Error::other("another sink writes to this folder; give each [sinks.file.*] its own `path`")
        })?;
        Ok(Folder { layout, _lock: lock, parts: PerLane::default() })
    }

    /// Looks at the disk again before the next write: what is there is unknown.
    pub(super) fn reopen(&mut self) {
        self.parts = PerLane::default();
    }

    /// Appends the lines of a batch, without those that are there already, and waits for the disk.
    ///
    /// # Errors
    /// If the disk refuses. The same lines must be written again then.
    pub(super) fn write(&mut self, lane: Lane, lines: &[u8], now: Timestamp) -> io::Result<()> {
        let slot = self.parts.get_mut(lane);
        // After an error it is found again, with what was written of the lines.
        let (mut part, rest) = match slot.take() {
            Some(part) => (part, lines),
            None => match Part::find(&self.layout, lane, lines)? {
                (Some(part), rest) => (part, rest),
                (None, []) => return Ok(()),
                (None, rest) => (Part::create(&self.layout, lane, now)?, rest),
            },
        };
        let is_full =
            part.size + rest.len() as u64 > self.layout.max_size && part.has_lines(&self.layout, lane);
        // What was begun before a crash is ended in the same file.
        let is_begun = rest.len() < lines.len();
        if !is_begun && (is_full || now >= part.ends) {
            part.finish(&self.layout, lane)?;
            part = Part::create(&self.layout, lane, now)?;
        }
        part.file.write_all(rest)?;
        part.file.sync_data()?;
        part.size += rest.len() as u64;
        *slot = Some(part);
        Ok(())
    }

    /// Gives the files whose time is over their final names. Returns when the next one is due. Nothing may be waiting to be
    /// written.
    ///
    /// # Errors
    /// If the disk refuses one of them; it is tried again at the next call. The others are not held up.
    pub(super) fn finish_due(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
        let mut next: Option<Timestamp> = None;
        let mut failed = None;
        for lane in Lane::ALL {
            match self.finish_if_due(lane, now) {
                Ok(due) => next = next.into_iter().chain(due).min(),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(next), Err)
    }

    /// Returns when the file that is written to is due.
    fn finish_if_due(&mut self, lane: Lane, now: Timestamp) -> io::Result<Option<Timestamp>> {
        let slot = self.parts.get_mut(lane);
        if slot.is_none() {
            *slot = Part::find(&self.layout, lane, &[])?.0;
        }
        match slot.take_if(|part| part.ends <= now) {
            Some(part) => part.finish(&self.layout, lane).map(|()| None),
            None => Ok(slot.as_ref().map(|part| part.ends)),
        }
    }
}

impl Part {
    /// Begins a file.
    fn create(layout: &Layout, lane: Lane, now: Timestamp) -> io::Result<Part> {
        let (begin, ends) = period(layout.rotate, now);
        let path = free_name(layout, lane, begin)?;
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        let header = rows::header(layout.format, lane);
        file.write_all(&header)?;
        durable::sync_directory_of(&path)?;
        Ok(Part { file, path, size: header.len() as u64, ends })
    }

    /// The file that was written to last, and what it lacks of `lines`. `None` if a new one is to be begun.
    fn find<'l>(layout: &Layout, lane: Lane, lines: &'l [u8]) -> io::Result<(Option<Part>, &'l [u8])> {
        let Some(path) = newest_whole(layout, lane)? else { return Ok((None, lines)) };
        if path.extension().is_none_or(|extension| extension != PART) {
            let (end, is_line_start) = end_of_complete(layout, &path, lines)?;
            return Ok((None, lines.get(common(&end, is_line_start, lines)..).unwrap_or_default()));
        }
        let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
        let (mut end, mut is_line_start) = end_of(&mut file, lines)?;
        let mut there = common(&end, is_line_start, lines);
        if there == 0 && end.last().is_some_and(|byte| *byte != b'\n') {
            // A line that a crash cut off, of a batch that will not come again; or what a power cut made of these lines.
            let whole = end_of_whole_lines(&mut file)?;
            file.set_len(whole)?;
            (end, is_line_start) = end_of(&mut file, lines)?;
            there = common(&end, is_line_start, lines);
        }
        let mut size = file.metadata()?.len();
        let begin = begin_in_name(&path).unwrap_or(Timestamp::EPOCH);
        let ends = period(layout.rotate, begin).1;
        let header = rows::header(layout.format, lane);
        if size < header.len() as u64 {
            file.set_len(0)?;
            file.write_all(&header)?;
            size = header.len() as u64;
        }
        Ok((Some(Part { file, path, size, ends }), lines.get(there..).unwrap_or_default()))
    }

    fn has_lines(&self, layout: &Layout, lane: Lane) -> bool {
        self.size > rows::header(layout.format, lane).len() as u64
    }

    /// Gives the file its final name, and its final form.
    fn finish(self, layout: &Layout, lane: Lane) -> io::Result<()> {
        self.file.sync_all()?;
        let mut path = self.path.clone();
        path.set_extension("");
        debug_assert!(path.extension().is_some_and(|extension| extension == layout.format.extension()));
        if layout.format == Format::Parquet {
            return parquet::convert(&self.path, &path, lane).map_err(|error| {
                let name = path.file_name().unwrap_or_default().display();
                io::Error::new(error.kind(), format!("{name} cannot be made of its lines: {error}"))
            });
        }
        fs::rename(&self.path, &path)?;
        durable::sync_directory_of(&path)
    }
}

/// How many bytes of `lines` stand at the end of a file already. `is_line_start`: `end` begins with a line.
fn common(end: &[u8], is_line_start: bool, lines: &[u8]) -> usize {
    let starts = (0..end.len()).filter(|at| match at.checked_sub(1) {
        None => is_line_start,
        Some(before) => end.get(before) == Some(&b'\n'),
    });
    let mut tails = starts.filter_map(|at| end.get(at..));
    tails.find(|tail| lines.starts_with(tail)).map_or(0, <[u8]>::len)
}

/// As much of a file's end as can be compared with `lines`, and whether it begins with a line.
fn end_of(file: &mut File, lines: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    let size = file.metadata()?.len();
    let kept = size.min(lines.len() as u64 + 1);
    file.seek(SeekFrom::Start(size - kept))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok((end, kept == size))
}

/// The same of a file with a final name.
fn end_of_complete(layout: &Layout, path: &Path, lines: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    match layout.format {
        _ if lines.is_empty() => Ok((Vec::new(), true)),
        Format::Parquet => Ok((parquet::last_lines(path, lines.len())?, true)),
        Format::Jsonl | Format::Csv => end_of(&mut File::open(path)?, lines),
    }
}

/// Where the last whole line ends.
fn end_of_whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(64 * 1024);
        file.seek(SeekFrom::Start(begin))?;
        block.clear();
        (&mut *file).take(end - begin).read_to_end(&mut block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Begin and end of the period that `at` is in.
fn period(rotate: Duration, at: Timestamp) -> (Timestamp, Timestamp) {
    let length = i64::try_from(rotate.as_millis()).unwrap_or(i64::MAX).max(1);
    let begin = at.as_millis().div_euclid(length).saturating_mul(length);
    (Timestamp::from_millis(begin), Timestamp::from_millis(begin.saturating_add(length)))
}

const fn kind(lane: Lane) -> &'static str {
    match lane {
        Lane::Alerts => "alerts",
        Lane::Aggregates => "aggregates",
        Lane::Readings => "readings",
    }
}

/// `aggregates-20261124T000000Z-000`, for the period that begins then.
fn stem(lane: Lane, begin: Timestamp, number: u32) -> String {
    let text: String = begin.to_string().chars().take(19).filter(|char| !matches!(char, '-' | ':')).collect();
    format!("{}-{text}Z-{number:03}", kind(lane))
}

/// The time in a file's name.
fn begin_in_name(path: &Path) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let text = name.split('-').nth(1)?;
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..8)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..6)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z").parse().ok()
}

/// A name with `.part` that neither an unfinished nor a complete file has.
fn free_name(layout: &Layout, lane: Lane, begin: Timestamp) -> io::Result<PathBuf> {
    for number in 0..1_000_000 {
        let complete =
            layout.path.join(format!("{}.{}", stem(lane, begin, number), layout.format.extension()));
        let part =
            layout.path.join(format!("{}.{}.{PART}", stem(lane, begin, number), layout.format.extension()));
        if !complete.try_exists()? && !part.try_exists()? {
            return Ok(part);
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// The newest file of a lane and format. Deletes lines that a Parquet file was made of: a crash came before that.
fn newest_whole(layout: &Layout, lane: Lane) -> io::Result<Option<PathBuf>> {
    while let Some(path) = newest(layout, lane)? {
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        if !(is_part && layout.format == Format::Parquet && path.with_extension("").try_exists()?) {
            return Ok(Some(path));
        }
        fs::remove_file(&path)?;
        durable::sync_directory_of(&path)?;
    }
    Ok(None)
}

/// The newest file of a lane and format, preferably an unfinished one.
fn newest(layout: &Layout, lane: Lane) -> io::Result<Option<PathBuf>> {
    let (begin, end) = (format!("{}-", kind(lane)), format!(".{}", layout.format.extension()));
    let mut newest: Option<(bool, String)> = None;
    for entry in fs::read_dir(&layout.path)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let is_part = name.ends_with(&format!("{end}.{PART}"));
        if name.starts_with(&begin) && (is_part || name.ends_with(&end)) {
            newest = newest.max(Some((is_part, name)));
        }
    }
    Ok(newest.map(|(_, name)| layout.path.join(name)))
}

#[cfg(test)]
mod tests;
