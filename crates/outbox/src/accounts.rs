//! Whose entries they are: the books of each account, and how shares and accounts stand in the file.
//!
//! The names are the producer's. At most [`MAX_ACCOUNTS`] are told apart; what comes after them is one account, "other".

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::entry::Share;
use crate::totals::DropReason;

/// The longest name of an account, in bytes.
pub const MAX_ACCOUNT_BYTES: usize = 128;
/// How many accounts are told apart, and how many shares an entry may have.
pub const MAX_ACCOUNTS: usize = 256;
/// The account of all whose names came too late.
const OTHER: &str = "other";
/// The account of what a file of schema version 1 held.
pub(crate) const EARLIER: &str = "earlier";
/// What a share takes beside the account's name: its weight and the name's length.
const SHARE_BYTES: usize = 5;

/// All accounts by name.
pub type Accounts = BTreeMap<Arc<str>, Account>;

/// What was ever accepted for one account, and where it is now, in weights. Over all accounts they sum up to the weights
/// of the [totals](crate::Totals).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// Ever appended.
    pub accepted: u64,
    /// Acknowledged by the consumer.
    pub published: u64,
    /// Waiting or in flight.
    pub queued: u64,
    /// Dropped for want of room.
    pub dropped_full: u64,
    /// Dropped because the consumer refused it for good.
    pub dropped_refused: u64,
    /// Lost because the file was damaged.
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
            DropReason::Refused => &mut self.dropped_refused,
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

/// What `encode_shares` makes, in bytes.
pub(crate) fn shares_bytes(shares: &[Share]) -> usize {
    shares.iter().map(|share| share.account.len() + SHARE_BYTES).sum()
}

/// The name under which `account` is accounted for: its own, unless it is a new one too many.
pub(crate) fn admitted(account: &Arc<str>, accounts: &Accounts) -> Arc<str> {
    if let Some((known, _)) = accounts.get_key_value(account) {
        return Arc::clone(known);
    }
    // The last place is kept for "other".
    let full = accounts.len() + usize::from(!accounts.contains_key(OTHER)) >= MAX_ACCOUNTS;
    if full { OTHER.into() } else { Arc::clone(account) }
}

/// As a row keeps them: for each, the weight (4 bytes, little-endian), the name's length (1 byte), the name.
pub(crate) fn encode_shares(shares: &[Share]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(shares_bytes(shares));
    for share in shares {
        bytes.extend(share.weight.to_le_bytes());
        push_name(&mut bytes, &share.account);
    }
    bytes
}

/// `None` where these are not shares.
pub(crate) fn decode_shares(mut bytes: &[u8]) -> Option<Vec<Share>> {
    let mut shares = Vec::new();
    while !bytes.is_empty() {
        let weight = u32::from_le_bytes(*take(&mut bytes)?);
        shares.push(Share { weight, account: take_name(&mut bytes)? });
    }
    Some(shares)
}

/// As the state keeps them: for each, the six numbers (8 bytes each, little-endian), the name's length, the name.
pub(crate) fn encode_accounts(accounts: &Accounts) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, account) in accounts {
        bytes.extend(account.numbers().into_iter().flat_map(u64::to_le_bytes));
        push_name(&mut bytes, name);
    }
    bytes
}

/// `None` where these are not accounts.
pub(crate) fn decode_accounts(mut bytes: &[u8]) -> Option<Accounts> {
    let mut accounts = Accounts::new();
    while !bytes.is_empty() {
        let mut number = || Some(u64::from_le_bytes(*take(&mut bytes)?));
        let account = Account {
            accepted: number()?,
            published: number()?,
            queued: number()?,
            dropped_full: number()?,
            dropped_refused: number()?,
            dropped_damaged: number()?,
        };
        accounts.insert(take_name(&mut bytes)?, account);
    }
    Some(accounts)
}

fn push_name(bytes: &mut Vec<u8>, name: &str) {
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend(name.as_bytes());
}

fn take_name(bytes: &mut &[u8]) -> Option<Arc<str>> {
    let [length] = *take(bytes)?;
    let (name, rest) = bytes.split_at_checked(usize::from(length))?;
    *bytes = rest;
    Some(std::str::from_utf8(name).ok()?.into())
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}
