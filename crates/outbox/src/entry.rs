//! Entries: what the queue holds, and the limits of an entry.

use std::fmt;
use std::sync::Arc;

use crate::accounts::{MAX_ACCOUNT_BYTES, MAX_ACCOUNTS, shares_bytes};

/// The largest body, in bytes: with the longest topic and all shares it fits into one record of the journal.
pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024 - 256 * 1024;
/// The longest topic, in bytes (as long as a string in MQTT can be).
pub const MAX_TOPIC_BYTES: usize = 65_535;
/// Bytes that an entry counts towards the limit beside its topic, body and shares: for the log and the index in memory.
pub const ENTRY_OVERHEAD: u64 = 64;

/// The order of sending and dropping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Sent before every normal entry, and dropped after all of them.
    Urgent,
    /// Sent in the order of the numbers.
    Normal,
}

/// Bytes, and the offset at which the outbox inserts the entry's `seq`.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    bytes: Vec<u8>,
    seq_at: usize,
}

impl Body {
    /// `seq` is inserted, in decimal, before the byte at `seq_at`.
    ///
    /// # Errors
    /// If there are too many bytes, or `seq_at` is beyond their end.
    pub fn new(bytes: Vec<u8>, seq_at: usize) -> Result<Body, EntryError> {
        if bytes.len() > MAX_BODY_BYTES {
            return Err(EntryError::BodyTooLarge { bytes: bytes.len() });
        }
        if seq_at > bytes.len() {
            return Err(EntryError::SeqOutside { seq_at, bytes: bytes.len() });
        }
        Ok(Body { bytes, seq_at })
    }

    /// The body with `seq` in it.
    pub(crate) fn with_seq(&self, seq: u64) -> Vec<u8> {
        let (before, after) = self.bytes.split_at_checked(self.seq_at).unwrap_or((&self.bytes, &[]));
        [before, seq.to_string().as_bytes(), after].concat()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes, seq at {})", self.bytes.len(), self.seq_at)
    }
}

/// The part of an entry that counts for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The account's name, at most [`MAX_ACCOUNT_BYTES`](crate::MAX_ACCOUNT_BYTES) bytes.
    pub account: Arc<str>,
    /// How much of what the producer counts (readings, say).
    pub weight: u32,
}

/// A message to send. Every `Entry` can be stored: its limits are checked when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) priority: Priority,
    pub(crate) topic: String,
    pub(crate) body: Body,
    pub(crate) shares: Vec<Share>,
}

impl Entry {
    /// The entry's weight is the sum of its `shares`, 0 without any.
    ///
    /// # Errors
    /// If the topic or an account's name is too long, or there are too many shares.
    pub fn new(
        priority: Priority,
        topic: String,
        body: Body,
        shares: Vec<Share>,
    ) -> Result<Entry, EntryError> {
        if topic.len() > MAX_TOPIC_BYTES {
            return Err(EntryError::TopicTooLong { bytes: topic.len() });
        }
        if shares.len() > MAX_ACCOUNTS {
            return Err(EntryError::TooManyShares { shares: shares.len() });
        }
        if let Some(long) = shares.iter().find(|share| share.account.len() > MAX_ACCOUNT_BYTES) {
            return Err(EntryError::AccountTooLong { bytes: long.account.len() });
        }
        Ok(Entry { priority, topic, body, shares })
    }

    /// Its memory while it waits to be staged, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<Entry>() + self.topic.len() + self.body.bytes.len() + shares_bytes(&self.shares)
    }
}

/// An entry as the consumer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence number.
    pub seq: u64,
    pub priority: Priority,
    pub topic: String,
    /// The body, with `seq` in it.
    pub bytes: Vec<u8>,
    /// The sum of its shares.
    pub weight: u64,
}

/// Why something cannot be an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// See [`MAX_BODY_BYTES`].
    #[error("a body of {bytes} bytes is larger than the limit of {MAX_BODY_BYTES}")]
    BodyTooLarge {
        /// The body's length.
        bytes: usize,
    },
    /// See [`MAX_TOPIC_BYTES`].
    #[error("a topic of {bytes} bytes is longer than the limit of {MAX_TOPIC_BYTES}")]
    TopicTooLong {
        /// The topic's length.
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
    /// `seq` has to stand within the body or at its end.
    #[error("the sequence number's place {seq_at} lies outside a body of {bytes} bytes")]
    SeqOutside {
        /// The place asked for.
        seq_at: usize,
        /// The body's length.
        bytes: usize,
    },
}
