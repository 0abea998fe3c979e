//! A sink's totals and its counters of each account, changed together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::accounts::{Account, Accounts, admitted, weight};
use crate::encoding::{Decoder, put_u64};
use crate::entry::Share;
use crate::totals::{Count, DropReason, Totals};

/// Totals and accounts at one moment. Clones are cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) totals: Totals,
    pub(crate) accounts: Arc<Accounts>,
}

/// A sink's queued entries, counted again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) weights: BTreeMap<Arc<str>, u64>,
}

impl Tally {
    /// `accounts`: those of the sink.
    pub(crate) fn add(&mut self, shares: &[Share], size: u64, accounts: &Accounts) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        for share in shares {
            let sum = self.weights.entry(admitted(&share.account, accounts)).or_default();
            *sum = sum.saturating_add(u64::from(share.weight));
        }
    }
}

impl Counters {
    pub(crate) fn accept(&mut self, shares: &[Share]) {
        self.totals.accepted.add(weight(shares));
        self.each(shares, |account, weight| add(&mut account.accepted, weight));
    }

    pub(crate) fn enqueue(&mut self, shares: &[Share], size: u64) {
        self.totals.queued.add(weight(shares));
        add(&mut self.totals.queued_bytes, size);
        self.each(shares, |account, weight| add(&mut account.queued, weight));
    }

    pub(crate) fn dequeue(&mut self, shares: &[Share], size: u64) {
        self.totals.queued.subtract(weight(shares));
        self.totals.queued_bytes = self.totals.queued_bytes.saturating_sub(size);
        self.each(shares, |account, weight| account.queued = account.queued.saturating_sub(weight));
    }

    pub(crate) fn publish(&mut self, shares: &[Share]) {
        self.totals.published.add(weight(shares));
        self.each(shares, |account, weight| add(&mut account.published, weight));
    }

    /// An entry that was published is not, any more. Does nothing and returns `false` if so much was never published.
    pub(crate) fn unpublish(&mut self, shares: &[Share]) -> bool {
        let published = |share: &Share| {
            let account = self.accounts.get(&admitted(&share.account, &self.accounts));
            account.is_some_and(|account| account.published >= u64::from(share.weight))
        };
        if self.totals.published.entries == 0 || !shares.iter().all(published) {
            return false;
        }
        self.totals.published.subtract(weight(shares));
        self.each(shares, |account, weight| account.published = account.published.saturating_sub(weight));
        true
    }

    pub(crate) fn drop(&mut self, shares: &[Share], reason: DropReason) {
        self.totals.of_reason(reason).add(weight(shares));
        self.each(shares, |account, weight| add(account.of_reason(reason), weight));
    }

    /// Makes the counters agree with the entries that are really queued. Missing ones were lost to damage. Surplus ones are
    /// queued again because of damage; they will be sent once more, and count as accepted once more. Returns what was lost.
    pub(crate) fn reconcile(&mut self, found: &Tally) -> Count {
        let mut lost = Count::default();
        let totals = &mut self.totals;
        settle(
            (&mut totals.accepted.entries, &mut totals.queued.entries, &mut totals.dropped_damaged.entries),
            found.entries,
            &mut lost.entries,
        );
        totals.queued_bytes = found.bytes;
        let accounts = Arc::make_mut(&mut self.accounts);
        for name in found.weights.keys() {
            accounts.entry(Arc::clone(name)).or_default();
        }
        for (name, account) in accounts.iter_mut() {
            let found = found.weights.get(name).copied().unwrap_or_default();
            let Account { accepted, queued, dropped_damaged, .. } = account;
            settle((accepted, queued, dropped_damaged), found, &mut lost.weight);
        }
        let sum = |part: fn(&Account) -> u64| accounts.values().map(part).fold(0, u64::saturating_add);
        totals.accepted.weight = sum(|account| account.accepted);
        totals.published.weight = sum(|account| account.published);
        totals.queued.weight = sum(|account| account.queued);
        totals.dropped_full.weight = sum(|account| account.dropped_full);
        totals.dropped_refused.weight = sum(|account| account.dropped_refused);
        totals.dropped_damaged.weight = sum(|account| account.dropped_damaged);
        lost
    }

    fn each(&mut self, shares: &[Share], change: impl Fn(&mut Account, u64)) {
        if shares.is_empty() {
            return;
        }
        let accounts = Arc::make_mut(&mut self.accounts);
        for share in shares {
            let account = admitted(&share.account, accounts);
            change(accounts.entry(account).or_default(), u64::from(share.weight));
        }
    }
}

fn settle((accepted, queued, damaged): (&mut u64, &mut u64, &mut u64), found: u64, lost: &mut u64) {
    add(accepted, found.saturating_sub(*queued));
    let missing = queued.saturating_sub(found);
    add(damaged, missing);
    add(lost, missing);
    *queued = found;
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

pub(crate) fn encode_totals(totals: &Totals, bytes: &mut Vec<u8>) {
    let Totals {
        accepted,
        published,
        queued,
        dropped_full,
        dropped_refused,
        dropped_damaged,
        dropped_same_time,
        queued_bytes,
    } = totals;
    let dropped = [dropped_full, dropped_refused, dropped_damaged, dropped_same_time];
    for count in [accepted, published, queued].into_iter().chain(dropped) {
        put_u64(bytes, count.entries);
        put_u64(bytes, count.weight);
    }
    put_u64(bytes, *queued_bytes);
}

pub(crate) fn decode_totals(decoder: &mut Decoder<'_>) -> Option<Totals> {
    let mut count = || Some(Count { entries: decoder.u64()?, weight: decoder.u64()? });
    Some(Totals {
        accepted: count()?,
        published: count()?,
        queued: count()?,
        dropped_full: count()?,
        dropped_refused: count()?,
        dropped_damaged: count()?,
        dropped_same_time: count()?,
        queued_bytes: decoder.u64()?,
    })
}
