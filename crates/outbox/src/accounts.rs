//! Counters for each account: queued, published, dropped.
//!
//! The producer chooses the names. There are at most [`MAX_ACCOUNTS`]; later names count towards the account "other".

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::encoding::{Decoder, put_text, put_u64};
use crate::entry::Share;
use crate::totals::DropReason;

/// The longest name of an account, in bytes.
pub const MAX_ACCOUNT_BYTES: usize = 128;
/// How many accounts there are at most, and how many shares an entry may have.
pub const MAX_ACCOUNTS: usize = 1_024;
/// The account for names beyond the limit.
const OTHER: &str = "other";
/// Bytes of a share without the account's name: its weight and the name's length.
const SHARE_BYTES: usize = 5;

/// All accounts by name.
pub type Accounts = BTreeMap<Arc<str>, Account>;

/// Everything accepted for one account and where it is now, in weights. Over all accounts these sum up to the weights of
/// the [totals](crate::Totals).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Ever appended.
    pub accepted: u64,
    /// Acknowledged by the sink.
    pub published: u64,
    /// Waiting or in flight.
    pub queued: u64,
    /// Dropped because the outbox was full.
    pub dropped_full: u64,
    /// Dropped because the sink can never take it.
    pub dropped_refused: u64,
    /// Lost to a damaged file.
    pub dropped_damaged: u64,
}

impl Account {
    /// Whether accepted = published + queued + dropped.
    pub fn balanced(&self) -> bool {
        let parts =
            [self.published, self.queued, self.dropped_full, self.dropped_refused, self.dropped_damaged];
        self.accepted == parts.into_iter().fold(0, u64::saturating_add)
    }

    pub(crate) fn of_reason(&mut self, reason: DropReason) -> &mut u64 {
        match reason {
            DropReason::Full => &mut self.dropped_full,
            // Only readings are dropped for their time, and they have no shares.
            DropReason::Refused | DropReason::SameTime => &mut self.dropped_refused,
            DropReason::Damaged => &mut self.dropped_damaged,
        }
    }

    fn numbers(&self) -> [u64; 6] {
        let Account { accepted, published, queued, dropped_full, dropped_refused, dropped_damaged } = *self;
        [accepted, published, queued, dropped_full, dropped_refused, dropped_damaged]
    }
}

/// The sum of the shares.
pub(crate) fn weight(shares: &[Share]) -> u64 {
    shares.iter().map(|share| u64::from(share.weight)).sum()
}

/// Memory of the shares, in bytes, about.
pub(crate) fn shares_bytes(shares: &[Share]) -> usize {
    shares.iter().map(|share| share.account.len() + SHARE_BYTES).sum()
}

/// The account to count for: `account` itself, or "other" if there are too many.
pub(crate) fn admitted(account: &Arc<str>, accounts: &Accounts) -> Arc<str> {
    if let Some((known, _)) = accounts.get_key_value(account) {
        return Arc::clone(known);
    }
    // The last one is reserved for "other".
    let full = accounts.len() + usize::from(!accounts.contains_key(OTHER)) >= MAX_ACCOUNTS;
    if full { OTHER.into() } else { Arc::clone(account) }
}

/// For each: the name and the six numbers.
pub(crate) fn encode_accounts<'a>(
    accounts: impl ExactSizeIterator<Item = (&'a Arc<str>, &'a Account)>,
    bytes: &mut Vec<u8>,
) {
    put_u64(bytes, accounts.len() as u64);
    for (name, account) in accounts {
        put_text(bytes, name);
        account.numbers().into_iter().for_each(|number| put_u64(bytes, number));
    }
}

/// `None` if the bytes are something else.
pub(crate) fn decode_accounts(decoder: &mut Decoder<'_>) -> Option<Accounts> {
    let mut accounts = Accounts::new();
    for _ in 0..decoder.u64()? {
        let name = decoder.text()?.into();
        let account = Account {
            accepted: decoder.u64()?,
            published: decoder.u64()?,
            queued: decoder.u64()?,
            dropped_full: decoder.u64()?,
            dropped_refused: decoder.u64()?,
            dropped_damaged: decoder.u64()?,
        };
        accounts.insert(name, account);
    }
    Some(accounts)
}
