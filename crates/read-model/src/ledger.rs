//! The loss ledger as readers see it: every reading that came in is published, queued, in an open window, or dropped for
//! a reason; for each adapter and as a whole.

use std::collections::BTreeMap;

use gateway_core::DropReason;
use serde::{Deserialize, Serialize};

/// One line of the ledger, in readings: an adapter's, or the sum.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Row {
    /// Came in.
    #[serde(rename = "in")]
    pub taken: u64,
    /// The other side has acknowledged them.
    pub published: u64,
    /// Waiting to be sent.
    pub queued: u64,
    /// In windows not yet closed.
    pub open: u64,
    /// Given up, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Row {
    /// Counts readings as dropped.
    pub fn drop(&mut self, reason: DropReason, readings: u64) {
        if readings > 0 {
            *self.dropped.entry(reason.as_str().to_owned()).or_default() += readings;
        }
    }

    fn add(&mut self, other: &Self) {
        self.taken += other.taken;
        self.published += other.published;
        self.queued += other.queued;
        self.open += other.open;
        for (reason, readings) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += readings;
        }
    }

    /// Where the readings are that came in.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.published + self.queued + self.open + self.dropped.values().sum::<u64>()
    }

    /// Whether every reading that came in is accounted for.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.taken == self.accounted()
    }
}

/// The whole balance, for `riser audit`, `health` and the end of `riser replay`. All in readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// The sum.
    #[serde(flatten)]
    pub total: Row,
    /// Whether it is right, for each adapter.
    pub balanced: bool,
    /// The same by adapter.
    pub adapters: BTreeMap<String, Row>,
}

impl Balance {
    /// The sum of `adapters`, by name; one that never had a reading is left out.
    #[must_use]
    pub fn of(mut adapters: BTreeMap<String, Row>) -> Self {
        adapters.retain(|_, row| row.taken > 0 || row.accounted() > 0);
        let mut total = Row::default();
        adapters.values().for_each(|row| total.add(row));
        Self { balanced: adapters.values().all(Row::is_balanced), total, adapters }
    }
}
