//! The loss ledger: every reading that came in is published, queued, in an open window, or dropped for a reason; for each
//! adapter and as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use gateway_core::DropReason;
use read_model::{Balance, Row};
use serde::{Deserialize, Serialize};

use super::step::{AdapterIndex, Correction};

/// What the pipeline itself has counted since the store was made, or since the sinks were changed. Part of the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    taken: BTreeMap<AdapterIndex, u64>,
    dropped: BTreeMap<(AdapterIndex, DropReason), u64>,
}

impl Ledger {
    pub fn take(&mut self, adapter: AdapterIndex, readings: u64) {
        add(self.taken.entry(adapter).or_default(), readings);
    }

    pub fn drop(&mut self, adapter: AdapterIndex, reason: DropReason, readings: u64) {
        add(self.dropped.entry((adapter, reason)).or_default(), readings);
    }

    /// What a damaged store has made us forget.
    pub fn correct(&mut self, correction: &Correction) {
        self.take(correction.adapter, correction.forgotten);
        if correction.lost > 0 {
            self.drop(correction.adapter, DropReason::Damaged, correction.lost);
        }
    }

    /// Readings that are not in this ledger any more.
    pub fn leave_out(&mut self, adapter: AdapterIndex, readings: u64) {
        let taken = self.taken.entry(adapter).or_default();
        *taken = taken.saturating_sub(readings);
    }

    /// Readings that came in, by adapter.
    pub fn taken(&self) -> impl Iterator<Item = (AdapterIndex, u64)> + '_ {
        self.taken.iter().map(|(adapter, count)| (*adapter, *count))
    }

    /// Readings that came in, of all adapters.
    pub fn taken_in_all(&self) -> u64 {
        self.taken.values().fold(0, |sum, readings| sum.saturating_add(*readings))
    }

    /// Readings dropped, by adapter and reason.
    pub fn dropped(&self) -> impl Iterator<Item = (AdapterIndex, DropReason, u64)> + '_ {
        self.dropped.iter().map(|((adapter, reason), count)| (*adapter, *reason, *count))
    }
}

/// Numbers from a file may be anything.
fn add(count: &mut u64, readings: u64) {
    *count = count.saturating_add(readings);
}

/// What lies outside the windows, in readings, by account: the adapter's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalAccounts {
    pub accounts: BTreeMap<Arc<str>, Account>,
}

/// One adapter's share of what lies outside the windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    pub published: u64,
    pub queued: u64,
    pub full: u64,
    pub refused: u64,
    pub damaged: u64,
}

impl ExternalAccounts {
    /// Readings on their way into the outbox.
    pub fn queue(&mut self, account: &Arc<str>, readings: u64) {
        self.accounts.entry(Arc::clone(account)).or_default().queued += readings;
    }
}

impl From<&BTreeMap<Arc<str>, outbox::Account>> for ExternalAccounts {
    fn from(accounts: &BTreeMap<Arc<str>, outbox::Account>) -> Self {
        let row = |account: &outbox::Account| Account {
            published: account.published,
            queued: account.queued,
            full: account.dropped_full,
            refused: account.dropped_refused,
            damaged: account.dropped_damaged,
        };
        Self { accounts: accounts.iter().map(|(name, account)| (Arc::clone(name), row(account))).collect() }
    }
}

/// The balance of `ledger`, of `open` readings by adapter and of what lies outside the windows.
pub fn balance_of(
    ledger: &Ledger,
    name: impl Fn(AdapterIndex) -> String,
    open: impl IntoIterator<Item = (AdapterIndex, u64)>,
    external: &ExternalAccounts,
) -> Balance {
    let mut open_by_adapter: BTreeMap<AdapterIndex, u64> = BTreeMap::new();
    for (adapter, readings) in open {
        *open_by_adapter.entry(adapter).or_default() += readings;
    }
    let mut adapters: BTreeMap<String, Row> = BTreeMap::new();
    for (adapter, readings) in ledger.taken() {
        adapters.entry(name(adapter)).or_default().taken += readings;
    }
    for (adapter, reason, readings) in ledger.dropped() {
        adapters.entry(name(adapter)).or_default().drop(reason, readings);
    }
    for (adapter, readings) in open_by_adapter {
        adapters.entry(name(adapter)).or_default().open += readings;
    }
    for (name, account) in &external.accounts {
        let row = adapters.entry(name.to_string()).or_default();
        row.published += account.published;
        row.queued += account.queued;
        row.drop(DropReason::OutboxFull, account.full);
        row.drop(DropReason::UpstreamRefused, account.refused);
        row.drop(DropReason::Damaged, account.damaged);
    }
    Balance::of(adapters)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: AdapterIndex = AdapterIndex(0);

    fn balance_of(ledger: &Ledger, open: u64, account: Account) -> Balance {
        let external = ExternalAccounts { accounts: BTreeMap::from([("mqtt.floor".into(), account)]) };
        super::balance_of(ledger, |_| "mqtt.floor".to_owned(), [(FLOOR, open)], &external)
    }

    #[test]
    fn balances_when_every_reading_is_somewhere() {
        let mut ledger = Ledger::default();
        ledger.take(FLOOR, 10);
        ledger.drop(FLOOR, DropReason::Late, 1);
        let balance =
            balance_of(&ledger, 2, Account { published: 3, queued: 3, full: 1, ..Account::default() });
        assert!(balance.balanced, "{balance:?}");
        assert_eq!(balance.total.dropped["late"], 1);
        assert_eq!(balance.total.dropped["outbox_full"], 1);
        assert_eq!(balance.adapters["mqtt.floor"], balance.total);
    }

    #[test]
    fn does_not_balance_when_one_is_missing() {
        let mut ledger = Ledger::default();
        ledger.take(FLOOR, 10);
        assert!(!balance_of(&ledger, 2, Account { published: 7, ..Account::default() }).balanced);
    }

    #[test]
    fn does_not_balance_when_one_adapter_pays_for_another() {
        let mut ledger = Ledger::default();
        ledger.take(FLOOR, 1);
        let external = ExternalAccounts {
            accounts: BTreeMap::from([("coap.lan".into(), Account { published: 1, ..Account::default() })]),
        };
        let balance = super::balance_of(&ledger, |_| "mqtt.floor".to_owned(), [], &external);
        assert_eq!(balance.total.taken, balance.total.accounted());
        assert!(!balance.balanced);
    }
}
