//! Counts frames that do not reach the pipeline, for the ledger: refused frames of configured devices, and frames dropped
//! because too many were in flight. The counts are reported once a second, so that a flood of forged frames costs the
//! journal only a few bytes.
//!
//! Frames of other networks occur everywhere; only `health` counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::DropReason;
use lorawan_link::Reason;
use tokio::time::Instant;

const GATHER_TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct RefusalCounts {
    counts: BTreeMap<DropReason, u32>,
    due: Option<Instant>,
}

impl RefusalCounts {
    /// Counts a refused frame if the ledger has its reason, which is so only for frames of known devices.
    pub(super) fn refused(&mut self, reason: Reason, now: Instant) {
        if let Some(reason) = ledger_reason(reason) {
            self.dropped(reason, now);
        }
    }

    /// Counts a dropped frame.
    pub(super) fn dropped(&mut self, reason: DropReason, now: Instant) {
        let count = self.counts.entry(reason).or_default();
        *count = count.saturating_add(1);
        self.due.get_or_insert(now + GATHER_TIME);
    }

    /// When the counts are due; `None` if there are none.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Makes the counts due now.
    pub(super) fn flush(&mut self, now: Instant) {
        self.due = self.due.map(|due| due.min(now));
    }

    /// The counts since the last call.
    pub(super) fn take(&mut self) -> Vec<(DropReason, u32)> {
        self.due = None;
        std::mem::take(&mut self.counts).into_iter().collect()
    }
}

/// The ledger's reason for a refusal. A frame with a wrong MIC has the address or DevEUI of a known device.
const fn ledger_reason(reason: Reason) -> Option<DropReason> {
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
        let mut refusals = RefusalCounts::default();
        let now = Instant::now();
        refusals.refused(Reason::AddressUnknown, now);
        assert_eq!((refusals.due(), refusals.take()), (None, vec![]));
        for _ in 0..100_000 {
            refusals.refused(Reason::Mic, now);
            refusals.dropped(DropReason::NoRoom, now);
        }
        assert_eq!(refusals.due(), Some(now + GATHER_TIME));
        assert_eq!(refusals.take(), [(DropReason::NoRoom, 100_000), (DropReason::BadMic, 100_000)]);
        assert_eq!((refusals.due(), refusals.take()), (None, vec![]));
    }
}
