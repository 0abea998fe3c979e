//! Entries: what the outbox stores, and the limits of an entry.

use std::fmt;
use std::sync::Arc;

use crate::accounts::{MAX_ACCOUNT_BYTES, MAX_ACCOUNTS, shares_bytes, weight};
use crate::lane::Lane;

/// The largest payload, in bytes: with all shares it fits into one record of the journal.
pub const MAX_PAYLOAD_BYTES: usize = 16 * 1024 * 1024 - 256 * 1024;
/// Memory that an entry takes beside its payload and shares, in bytes, about.
const ENTRY_OVERHEAD: usize = 64;

/// The part of an entry that counts for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The account's name, at most [`MAX_ACCOUNT_BYTES`](crate::MAX_ACCOUNT_BYTES) bytes.
    pub account: Arc<str>,
    /// How much of what the producer counts (readings, say).
    pub weight: u32,
}

/// Something to send. Every `Entry` can be stored: its limits are checked when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) lane: Lane,
    pub(crate) payload: Arc<[u8]>,
    pub(crate) shares: Vec<Share>,
}

impl Entry {
    /// The entry's weight is the sum of its `shares`, 0 without any.
    ///
    /// # Errors
    /// If the payload or an account's name is too long, or there are too many shares.
    pub fn new(lane: Lane, payload: impl Into<Arc<[u8]>>, shares: Vec<Share>) -> Result<Entry, EntryError> {
        let payload = payload.into();
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(EntryError::PayloadTooLarge { bytes: payload.len() });
        }
        if shares.len() > MAX_ACCOUNTS {
            return Err(EntryError::TooManyShares { shares: shares.len() });
        }
        if let Some(long) = shares.iter().find(|share| share.account.len() > MAX_ACCOUNT_BYTES) {
            return Err(EntryError::AccountTooLong { bytes: long.account.len() });
        }
        Ok(Entry { lane, payload, shares })
    }

    /// Its memory while it waits to be staged, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Entry>() + self.payload.len() + shares_bytes(&self.shares)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {} bytes)", self.lane.as_str(), self.payload.len())
    }
}

/// An entry with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) lane: Lane,
    pub(crate) seq: u64,
    /// A number before `seq`: no entry of the lane between the two is for any sink that `seq` is for.
    pub(crate) previous: u64,
    /// When it was stored, in Unix milliseconds; of an entry that was read: when the newest of its frame was.
    pub(crate) at_ms: i64,
    pub(crate) shares: Vec<Share>,
    pub(crate) payload: Arc<[u8]>,
}

impl Numbered {
    /// Its memory, and about what it takes on the disk, in bytes.
    pub(crate) fn size(&self) -> u64 {
        (ENTRY_OVERHEAD + shares_bytes(&self.shares) + self.payload.len()) as u64
    }

    pub(crate) fn to_stored(&self) -> Stored {
        Stored {
            lane: self.lane,
            seq: self.seq,
            payload: Arc::clone(&self.payload),
            weight: weight(&self.shares),
        }
    }
}

/// An entry as a sink gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub lane: Lane,
    /// Its number. Alerts and aggregates share one sequence, readings have their own.
    pub seq: u64,
    pub payload: Arc<[u8]>,
    /// The sum of its shares.
    pub weight: u64,
}

/// Why something cannot be an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// See [`MAX_PAYLOAD_BYTES`].
    #[error("a payload of {bytes} bytes is larger than the limit of {MAX_PAYLOAD_BYTES}")]
    PayloadTooLarge {
        /// The payload's length.
        bytes: usize,
    },
    /// See [`MAX_ACCOUNTS`].
    #[error("{shares} shares are more than the limit of {MAX_ACCOUNTS}")]
    TooManyShares {
        /// How many there are.
        shares: usize,
    },
    /// See [`MAX_ACCOUNT_BYTES`].
    #[error("an account's name of {bytes} bytes is longer than the limit of {MAX_ACCOUNT_BYTES}")]
    AccountTooLong {
        /// The name's length.
        bytes: usize,
    },
}
