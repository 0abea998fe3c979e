//! Keys of messages that their sender may send again, so that what comes twice counts once (docs/decisions/0003).

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};

use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

/// How many are remembered per adapter: no broker has more under way than there are packet ids (65,535). With fewer, one message
/// too many would push out the very keys that come again first.
const REMEMBERED: usize = 65_535;

/// The newest keys of one adapter.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "VecDeque<u64>", into = "VecDeque<u64>")]
pub(crate) struct Deliveries {
    /// Oldest first.
    order: VecDeque<u64>,
    /// How many times each stands in `order`: a broker uses its packet ids again.
    known: HashMap<u64, u32, FixedState>,
}

impl Deliveries {
    pub(crate) fn remember(&mut self, key: u64) {
        *self.known.entry(key).or_default() += 1;
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, key: u64) {
        if let Entry::Occupied(mut count) = self.known.entry(key) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    pub(crate) fn knows(&self, key: u64) -> bool {
        self.known.contains_key(&key)
    }
}

impl From<VecDeque<u64>> for Deliveries {
    fn from(keys: VecDeque<u64>) -> Self {
        let mut deliveries = Self::default();
        keys.into_iter().for_each(|key| deliveries.remember(key));
        deliveries
    }
}

impl From<Deliveries> for VecDeque<u64> {
    fn from(deliveries: Deliveries) -> Self {
        deliveries.order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_used_again_is_as_new_as_its_last_use() {
        let mut deliveries = Deliveries::default();
        (0..REMEMBERED as u64).for_each(|key| deliveries.remember(key));
        deliveries.remember(0);
        assert!(deliveries.knows(0));
        deliveries.remember(u64::MAX);
        assert!(deliveries.knows(0) && !deliveries.knows(1));
    }

    #[test]
    fn knows_as_many_messages_as_a_broker_can_have_under_way() {
        let mut deliveries = Deliveries::default();
        (0..=REMEMBERED as u64).for_each(|key| deliveries.remember(key));
        assert!(!deliveries.knows(0), "one too many");
        assert!((1..=REMEMBERED as u64).all(|key| deliveries.knows(key)));
        let stored: VecDeque<u64> = deliveries.into();
        assert_eq!(stored.len(), REMEMBERED);
        assert!(Deliveries::from(stored).knows(1));
    }
}
