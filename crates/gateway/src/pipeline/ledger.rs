//! The loss ledger: every reading that came in is published, queued, in an open window, or dropped for a reason.

use std::collections::BTreeMap;

use gateway_core::DropReason;
use serde::{Deserialize, Serialize};

use super::step::AdapterIndex;

/// What the pipeline itself has counted since the store was made. Part of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    taken: BTreeMap<AdapterIndex, u64>,
    dropped: BTreeMap<(AdapterIndex, DropReason), u64>,
    /// In the outbox from before this state began.
    before: u64,
    /// Closed with nobody to send them to.
    without_upstream: u64,
}

impl Ledger {
    pub(crate) fn take(&mut self, adapter: AdapterIndex, readings: u64) {
        *self.taken.entry(adapter).or_default() += readings;
    }

    pub(crate) fn drop(&mut self, adapter: AdapterIndex, reason: DropReason, readings: u64) {
        *self.dropped.entry((adapter, reason)).or_default() += readings;
    }

    pub(crate) fn begin_after(&mut self, readings: u64) {
        self.before = readings;
    }

    pub(crate) fn publish_to_nobody(&mut self, readings: u64) {
        self.without_upstream += readings;
    }

    /// Readings that came in, by adapter.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (AdapterIndex, u64)> + '_ {
        self.taken.iter().map(|(adapter, count)| (*adapter, *count))
    }

    /// Readings dropped, by adapter and reason.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = (AdapterIndex, DropReason, u64)> + '_ {
        self.dropped.iter().map(|((adapter, reason), count)| (*adapter, *reason, *count))
    }

    pub(crate) fn without_upstream(&self) -> u64 {
        self.without_upstream
    }
}

/// The whole balance, for `riser audit`, `health` and the end of `riser replay`. All in readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Balance {
    /// Came in.
    #[serde(rename = "in")]
    pub(crate) taken: u64,
    /// The other side has acknowledged them.
    pub(crate) published: u64,
    /// Waiting to be sent.
    pub(crate) queued: u64,
    /// In windows not yet closed.
    pub(crate) open: u64,
    /// Given up, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
    /// Whether the sum is right.
    pub(crate) balanced: bool,
    /// The same by adapter, as far as adapters can be told apart: before windows merge them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) adapters: BTreeMap<String, AdapterBalance>,
}

/// What one adapter brought.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct AdapterBalance {
    /// Came in through it.
    #[serde(rename = "in")]
    pub(crate) taken: u64,
    /// Of these given up before they reached a window, by reason.
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// What lies beyond the windows, in readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Beyond {
    pub(crate) published: u64,
    pub(crate) queued: u64,
    pub(crate) outbox_full: u64,
    pub(crate) refused: u64,
}

impl Balance {
    /// Draws the balance of `ledger`, `open` readings and what lies beyond the windows.
    pub(crate) fn draw(
        ledger: &Ledger,
        adapter_name: impl Fn(AdapterIndex) -> String,
        open: u64,
        beyond: Beyond,
    ) -> Self {
        let mut dropped = BTreeMap::new();
        let mut adapters: BTreeMap<String, AdapterBalance> = BTreeMap::new();
        for (adapter, count) in ledger.taken() {
            adapters.entry(adapter_name(adapter)).or_default().taken += count;
        }
        for (adapter, reason, count) in ledger.dropped() {
            *dropped.entry(reason.as_str().to_owned()).or_default() += count;
            let row = adapters.entry(adapter_name(adapter)).or_default();
            *row.dropped.entry(reason.as_str().to_owned()).or_default() += count;
        }
        for (reason, count) in [
            (DropReason::NoUpstream, ledger.without_upstream()),
            (DropReason::OutboxFull, beyond.outbox_full),
            (DropReason::UpstreamRefused, beyond.refused),
        ] {
            if count > 0 {
                *dropped.entry(reason.as_str().to_owned()).or_default() += count;
            }
        }
        let taken = ledger.before + ledger.taken().map(|(_, count)| count).sum::<u64>();
        let accounted = beyond.published + beyond.queued + open + dropped.values().sum::<u64>();
        Self {
            taken,
            published: beyond.published,
            queued: beyond.queued,
            open,
            dropped,
            balanced: taken == accounted,
            adapters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: AdapterIndex = AdapterIndex(0);

    fn draw(ledger: &Ledger, open: u64, beyond: Beyond) -> Balance {
        Balance::draw(ledger, |_| "mqtt.floor".to_owned(), open, beyond)
    }

    #[test]
    fn balances_when_every_reading_is_somewhere() {
        let mut ledger = Ledger::default();
        ledger.take(FLOOR, 10);
        ledger.drop(FLOOR, DropReason::Late, 1);
        let balance = draw(&ledger, 2, Beyond { published: 3, queued: 3, outbox_full: 1, refused: 0 });
        assert!(balance.balanced, "{balance:?}");
        assert_eq!(balance.dropped["late"], 1);
        assert_eq!(balance.dropped["outbox_full"], 1);
    }

    #[test]
    fn does_not_balance_when_one_is_missing() {
        let mut ledger = Ledger::default();
        ledger.take(FLOOR, 10);
        assert!(!draw(&ledger, 2, Beyond { published: 7, ..Beyond::default() }).balanced);
    }
}
