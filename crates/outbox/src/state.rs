//! The outbox's state without the entries: numbers, counters, dropped ranges.

use std::sync::Arc;

use crate::accounts::{decode_accounts, encode_accounts};
use crate::counters::Counters;
use crate::dropped::{self, DroppedRanges};
use crate::encoding::Decoder;
use crate::record::{Change, Numbers, decode_consumers, decode_totals, encode_consumers, encode_totals};

/// Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) numbers: Numbers,
    pub(crate) counters: Counters,
    pub(crate) dropped: DroppedRanges,
}

impl State {
    pub(crate) fn new() -> State {
        State {
            numbers: Numbers { next_seq: 1, ..Numbers::default() },
            counters: Counters::default(),
            dropped: DroppedRanges::default(),
        }
    }

    /// Replaces numbers and counters by those of a change. Accounts that the change does not contain stay.
    pub(crate) fn set(&mut self, change: &Change) {
        self.numbers = change.numbers;
        self.counters.totals = change.totals.clone();
        let accounts = Arc::make_mut(&mut self.counters.accounts);
        accounts.extend(change.accounts.iter().map(|(name, account)| (Arc::clone(name), *account)));
    }

    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        self.numbers.encode(bytes);
        encode_consumers(bytes);
        encode_totals(&self.counters.totals, bytes);
        encode_accounts(self.counters.accounts.iter(), bytes);
        dropped::encode(self.dropped.all(), bytes);
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Option<State> {
        let numbers = Numbers::decode(decoder)?;
        decode_consumers(decoder)?;
        let totals = decode_totals(decoder)?;
        let accounts = Arc::new(decode_accounts(decoder)?);
        Some(State {
            numbers,
            counters: Counters { totals, accounts },
            dropped: DroppedRanges::decode(decoder)?,
        })
    }
}
