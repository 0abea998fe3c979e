//! What `open` does to the segments it finds: a caller builds on what it reads at start, so that all of it must be
//! durable and none of it be read otherwise later.

use std::path::Path;

use crate::disk::Disk;
use crate::error::{JournalError, during};
use crate::header::HEADER;
use crate::reader::{self, Examined};
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
    /// Its last frame is damaged: with more behind it, it could not be told from a torn one.
    pub(crate) damaged_end: bool,
}

impl Recovered {
    /// Whether the record at `next` may be appended here: positions have no gaps in a segment, and all records are of
    /// one content.
    pub(crate) fn takes(&self, next: Position, content: u16) -> bool {
        self.next == next && self.content == content && !self.damaged_end
    }
}

/// Looks through all segments, cuts torn tails, writes damaged headers anew and syncs everything.
///
/// # Errors
/// Where a segment is not to be understood, before anything is changed; or where the disk refuses.
pub(crate) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    content: u16,
) -> Result<(Vec<Recovered>, Recovery), JournalError> {
    let listing = segment::list(disk, dir)?;
    // Nothing is changed before all is understood: a newer format is refused with every file as it was.
    let examined = listing.segments.iter().map(|segment| reader::examine(disk, segment, content));
    let examined = examined.collect::<Result<Vec<_>, _>>()?;
    let newest = listing.segments.len().saturating_sub(1);
    // The newest first: to write a segment anew takes the note of trouble away, which is about that one.
    for (index, (segment, examined)) in listing.segments.iter().zip(&examined).enumerate().rev() {
        repair(disk, segment, examined, listing.troubled && index == newest)?;
    }
    // The names too: the process before may have died between a rename and this.
    disk.sync_dir(dir).map_err(during("sync", dir))?;
    if listing.troubled {
        segment::forget_trouble(disk, dir)?;
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

/// `doubtful`: a sync of this segment may have failed. What is read of it may then stand in the system's memory only,
/// and a sync would not change that.
fn repair(
    disk: &dyn Disk,
    segment: &Segment,
    examined: &Examined,
    doubtful: bool,
) -> Result<(), JournalError> {
    let path = &segment.path;
    if doubtful || examined.header_damaged {
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
        segment::note_trouble(disk, segment.dir());
        during("sync", path)(source)
    })
}
