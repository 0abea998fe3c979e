//! The subscriptions of a session whose retained messages are still to be sent, in their order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::subscriptions::Entry;

/// A subscription whose retained messages are being sent.
#[derive(Debug, Clone)]
pub(crate) struct RetainedScan {
    pub(crate) filter: Arc<str>,
    pub(crate) entry: Entry,
    /// The topic that was looked at last.
    pub(crate) after: Option<Arc<str>>,
}

/// One scan for each filter. Every change takes about the same time, however many there are.
#[derive(Debug, Default)]
pub(crate) struct Scans {
    by_number: BTreeMap<u64, RetainedScan>,
    numbers: HashMap<Arc<str>, u64, RandomState>,
    next: u64,
}

impl RetainedScan {
    pub(crate) const fn new(filter: Arc<str>, entry: Entry) -> Self {
        Self { filter, entry, after: None }
    }
}

impl Scans {
    /// Adds a scan behind the others; an older one of the same filter ends.
    pub(crate) fn push(&mut self, scan: RetainedScan) {
        self.remove(&scan.filter);
        self.numbers.insert(Arc::clone(&scan.filter), self.next);
        self.by_number.insert(self.next, scan);
        self.next += 1;
    }

    pub(crate) fn remove(&mut self, filter: &str) {
        if let Some(number) = self.numbers.remove(filter) {
            self.by_number.remove(&number);
        }
    }

    pub(crate) fn first(&self) -> Option<&RetainedScan> {
        self.by_number.first_key_value().map(|(_, scan)| scan)
    }

    /// The first one looked at this topic last.
    pub(crate) fn set_first(&mut self, after: Arc<str>) {
        if let Some(mut first) = self.by_number.first_entry() {
            first.get_mut().after = Some(after);
        }
    }

    pub(crate) fn remove_first(&mut self) {
        if let Some((_, scan)) = self.by_number.pop_first() {
            self.numbers.remove(&scan.filter);
        }
        if self.by_number.is_empty() {
            // An idle session holds no memory for them.
            *self = Self { next: self.next, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::subscriptions::Subscriber;

    #[test]
    fn a_filter_that_is_subscribed_to_again_is_scanned_once_and_last() {
        let entry = Entry { subscriber: Subscriber::Adapter(1), options: 0, identifier: None };
        let mut scans = Scans::default();
        for filter in ["a", "b", "a", "c"] {
            scans.push(RetainedScan::new(filter.into(), entry));
        }
        scans.remove("c");
        let mut order = Vec::new();
        while let Some(scan) = scans.first() {
            order.push(scan.filter.to_string());
            scans.remove_first();
        }
        assert_eq!(order, ["b", "a"]);
    }
}
