//! Frames that the pipeline never sees, on their way into the ledger: refused ones of devices that the configuration
//! names, and those that found no room. Gathered for a second, so that a flood of forged ones costs the journal a few
//! bytes.
//!
//! Other networks' frames are in the air everywhere; they are counted in `health` alone.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::DropReason;
use lorawan_link::Reason;
use tokio::time::Instant;

const GATHER: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: BTreeMap<DropReason, u32>,
    due: Option<Instant>,
}

impl Tally {
    /// Counts a refused frame, if the ledger has a reason for it: those are of known devices alone.
    pub(super) fn refused(&mut self, reason: Reason, now: Instant) {
        if let Some(reason) = in_the_ledger(reason) {
            self.dropped(reason, now);
        }
    }

    /// Counts a frame.
    pub(super) fn dropped(&mut self, reason: DropReason, now: Instant) {
        let count = self.counts.entry(reason).or_default();
        *count = count.saturating_add(1);
        self.due.get_or_insert(now + GATHER);
    }

    /// When there is something to hand over; `None` while there is nothing.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Nothing is waited for any more.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.due = self.due.map(|due| due.min(now));
    }

    /// What was counted since the last time.
    pub(super) fn take(&mut self) -> Vec<(DropReason, u32)> {
        self.due = None;
        std::mem::take(&mut self.counts).into_iter().collect()
    }
}

/// The address of a data frame with a wrong integrity code is known here, and so is the DevEUI of such a join request.
const fn in_the_ledger(reason: Reason) -> Option<DropReason> {
    match reason {
        Reason::Mic => Some(DropReason::BadMic),
        Reason::Replay => Some(DropReason::Replay),
        Reason::Gap => Some(DropReason::CounterGap),
        Reason::DevNonce => Some(DropReason::DevNonce),
        Reason::CountersLost => Some(DropReason::Damaged),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refused_frames_is_a_few_numbers_a_second() {
        let mut tally = Tally::default();
        let now = Instant::now();
        tally.refused(Reason::AddressUnknown, now);
        assert_eq!((tally.due(), tally.take()), (None, vec![]));
        for _ in 0..100_000 {
            tally.refused(Reason::Mic, now);
            tally.dropped(DropReason::NoRoom, now);
        }
        assert_eq!(tally.due(), Some(now + GATHER));
        assert_eq!(tally.take(), [(DropReason::NoRoom, 100_000), (DropReason::BadMic, 100_000)]);
        assert_eq!((tally.due(), tally.take()), (None, vec![]));
    }
}
