//! Repairs the segments in `open`. A caller relies on what it reads at a start, so everything that is read must be durable
//! and must not change later.

use std::path::Path;

use crate::disk::Disk;
use crate::error::{JournalError, during};
use crate::header::HEADER;
use crate::reader::{self, Examined};
use crate::scan::Scan;
use crate::segment::{self, Segment};
use crate::{Position, Recovery};

/// A segment after repair.
pub(crate) struct Recovered {
    pub(crate) segment: Segment,
    /// Its length.
    pub(crate) bytes: u64,
    /// The position that would follow in it.
    pub(crate) next: Position,
    pub(crate) content: u16,
    /// Its last frame is damaged: with more after it, this could not be distinguished from a torn one.
    pub(crate) damaged_end: bool,
}

impl Recovered {
    /// Whether the record at `next` may be appended here: within a segment positions have no gaps and all records have the
    /// same content.
    pub(crate) fn takes(&self, next: Position, content: u16) -> bool {
        self.next == next && self.content == content && !self.damaged_end
    }
}

/// Examines all segments, cuts off torn tails, rewrites damaged headers and syncs everything.
///
/// # Errors
/// If a segment cannot be understood, before anything is changed; or if the disk refuses.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    content: u16,
) -> Result<(Vec<Recovered>, Recovery), JournalError> {
    let listing = segment::list(disk, dir)?;
    // Everything is examined before anything is changed: a newer format is refused with every file unchanged.
    let examined = listing.segments.iter().map(|segment| reader::examine(disk, segment, content));
    let examined = examined.collect::<Result<Vec<_>, _>>()?;
    let newest = listing.segments.len().saturating_sub(1);
    // The newest first: rewriting a segment removes `segment.tmp`, which is about the newest.
    for (index, (segment, examined)) in listing.segments.iter().zip(&examined).enumerate().rev() {
        repair(disk, segment, examined, listing.sync_failed && index == newest)?;
    }
    // The names too: the process before may have died after a rename.
    disk.sync_dir(dir).map_err(during("sync", dir))?;
    if listing.sync_failed {
        segment::clear_sync_failure(disk, dir)?;
    }
    let mut total = Recovery { next: Position::FIRST, ..Recovery::default() };
    let mut recovered = Vec::with_capacity(examined.len());
    for (segment, examined) in listing.segments.into_iter().zip(examined) {
        let Examined { content, end, damaged_end, found, .. } = examined;
        total.add(&found);
        recovered.push(Recovered { segment, bytes: end, next: found.next, content, damaged_end });
    }
    Ok((recovered, total))
}

/// Deletes all records after `newest`.
///
/// # Errors
/// If a segment cannot be understood, before anything is changed; or if the disk refuses.
pub(crate) fn cut_after(
    disk: &dyn Disk,
    dir: &Path,
    newest: Position,
    content: u16,
) -> Result<(), JournalError> {
    let mut segments = segment::list(disk, dir)?.segments;
    let later = segments.split_off(segments.partition_point(|segment| segment.first <= newest));
    if let Some(last) = segments.pop() {
        let bytes = last.read(disk, content)?.bytes;
        // Records beyond the next segment's first position would come back when that one is deleted.
        let mut scan = Scan::new(HEADER, last.first, Position(u64::MAX));
        let mut end = HEADER;
        while scan.next(&bytes).is_some_and(|frame| frame.position <= newest) {
            end = scan.offset;
        }
        if end < bytes.len() {
            let file = disk.open(&last.path).map_err(during("open", &last.path))?;
            file.set_len(end as u64).and_then(|()| file.sync()).map_err(during("cut", &last.path))?;
        }
    }
    for segment in later.iter().rev() {
        disk.remove(&segment.path).map_err(during("delete", &segment.path))?;
    }
    if later.is_empty() { Ok(()) } else { disk.sync_dir(dir).map_err(during("sync", dir)) }
}

/// `is_unsure`: a sync of this segment may have failed. What is read may then be in the system's memory only, and another
/// sync would not change that.
fn repair(
    disk: &dyn Disk,
    segment: &Segment,
    examined: &Examined,
    is_unsure: bool,
) -> Result<(), JournalError> {
    let path = &segment.path;
    if is_unsure || examined.header_damaged {
        let end = usize::try_from(examined.end).unwrap_or(usize::MAX);
        let bytes = disk.read(path).map_err(during("read", path))?;
        segment.write(disk, examined.content, bytes.get(HEADER..end).unwrap_or_default())?;
        return Ok(());
    }
    let file = disk.open(path).map_err(during("open", path))?;
    if examined.length > examined.end {
        file.set_len(examined.end).map_err(during("cut", path))?;
    }
    file.sync().map_err(|source| {
        segment::mark_sync_failure(disk, segment.dir());
        during("sync", path)(source)
    })
}
