//! Counters of what was accepted and what happened to it.

use crate::lane::Lane;

/// A number of entries and their weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub entries: u64,
    /// The sum of their weights.
    pub weight: u64,
}

impl Count {
    pub(crate) fn add(&mut self, weight: u64) {
        self.entries = self.entries.saturating_add(1);
        self.weight = self.weight.saturating_add(weight);
    }

    pub(crate) fn subtract(&mut self, weight: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.weight = self.weight.saturating_sub(weight);
    }

    pub(crate) fn plus(self, other: Count) -> Count {
        Count {
            entries: self.entries.saturating_add(other.entries),
            weight: self.weight.saturating_add(other.weight),
        }
    }
}

/// Everything that was accepted for a sink, and where it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Every entry that was ever appended for this sink.
    pub accepted: Count,
    /// Acknowledged by the sink.
    pub published: Count,
    /// Waiting or in flight.
    pub queued: Count,
    /// Dropped because the outbox was full.
    pub dropped_full: Count,
    /// Dropped because the sink can never take it.
    pub dropped_refused: Count,
    /// Lost to a damaged file.
    pub dropped_damaged: Count,
    /// Replaced in the receiver by a later entry with the same time.
    pub dropped_same_time: Count,
    /// About what the queued entries take on the disk, in bytes.
    pub queued_bytes: u64,
}

impl Totals {
    /// Everything that was dropped.
    pub fn dropped(&self) -> Count {
        let lost = self.dropped_full.plus(self.dropped_refused).plus(self.dropped_damaged);
        lost.plus(self.dropped_same_time)
    }

    /// Whether accepted = published + queued + dropped.
    pub fn balanced(&self) -> bool {
        self.accepted == self.published.plus(self.queued).plus(self.dropped())
    }

    pub(crate) fn of_reason(&mut self, reason: DropReason) -> &mut Count {
        match reason {
            DropReason::Full => &mut self.dropped_full,
            DropReason::Refused => &mut self.dropped_refused,
            DropReason::Damaged => &mut self.dropped_damaged,
            DropReason::SameTime => &mut self.dropped_same_time,
        }
    }
}

/// Why an entry was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The outbox was full.
    Full,
    /// The sink can never take it.
    Refused,
    /// A file was damaged.
    Damaged,
    /// The receiver keeps one entry of each time, and has two.
    SameTime,
}

impl DropReason {
    /// The number in the log.
    pub(crate) fn code(self) -> u64 {
        match self {
            DropReason::Full => 0,
            DropReason::Refused => 1,
            DropReason::Damaged => 2,
            DropReason::SameTime => 3,
        }
    }

    pub(crate) fn from_code(code: u64) -> DropReason {
        let all = [DropReason::Full, DropReason::Refused, DropReason::SameTime];
        all.into_iter().find(|reason| reason.code() == code).unwrap_or(DropReason::Damaged)
    }
}

/// Neighbouring entries that were dropped for the same reason. The weight of a damaged entry is not always known: then the
/// lost weight is spread evenly over the missing numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedRange {
    pub lane: Lane,
    /// The first one's number.
    pub seq_from: u64,
    /// The last one's number.
    pub seq_to: u64,
    /// The sum of their weights.
    pub weight: u64,
    pub reason: DropReason,
    /// When the last of them was dropped, in Unix milliseconds of the caller's clock.
    pub at_ms: i64,
}

impl DroppedRange {
    /// Whether `later` follows without a gap, for the same reason.
    pub(crate) fn meets(&self, later: &DroppedRange) -> bool {
        self.lane == later.lane
            && self.reason == later.reason
            && self.seq_to.checked_add(1) == Some(later.seq_from)
    }

    /// This range and the one that follows it, as one.
    pub(crate) fn join(self, later: DroppedRange) -> DroppedRange {
        DroppedRange {
            seq_to: later.seq_to,
            weight: self.weight.saturating_add(later.weight),
            at_ms: self.at_ms.max(later.at_ms),
            ..self
        }
    }
}
