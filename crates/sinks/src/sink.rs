//! What a sink is: it writes batches of records and says of each record what came of it. Everything else is done for it by
//! [`crate::runner`]: fetching, batching, pauses, retries, acknowledgements, health.

use std::time::Duration;

use async_trait::async_trait;
use outbox::{Lane, Stored};
use record::Record;

/// A record to write, with its place in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub lane: Lane,
    /// Its number in the outbox.
    pub number: u64,
    pub record: Record,
    /// Bytes of its stored form.
    pub bytes: usize,
}

impl Item {
    /// The gateway's sequence number of an alert or aggregate; readings have none.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        (self.lane != Lane::Readings).then_some(self.number)
    }

    pub(crate) fn of(stored: &Stored) -> Result<Item, record::DecodeError> {
        let record = Record::decode(&stored.payload)?;
        Ok(Item { lane: stored.lane, number: stored.seq, record, bytes: stored.payload.len() })
    }
}

/// What came of one record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Taken,
    /// It is to be written again.
    Later,
    /// The receiver has it, in the place of an earlier one with the same time.
    SameTime,
    /// The receiver will never take it. Why, for the log.
    Never(String),
}

/// Why a batch was not written. Nothing of it is acknowledged: it is written again, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteError {
    /// The receiver is away, busy, or refuses the login.
    Retry {
        /// What happened and what to do, for the log and `health`. No secrets.
        reason: String,
        /// How long the receiver asks to be left alone.
        after: Option<Duration>,
    },
    /// The receiver refuses the batch as a whole, because of its size or of something in it: it is divided until the
    /// record is found, which is dropped.
    Refused { reason: String },
}

impl WriteError {
    /// An error after which the batch is written again at a time of the runner's choice.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> WriteError {
        WriteError::Retry { reason: reason.into(), after: None }
    }
}

/// How much a batch has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records, at most.
    pub records: usize,
    /// Bytes of their stored forms; a batch has one record at least.
    pub bytes: usize,
    /// How long a batch that is not full waits for more.
    pub linger: Duration,
    /// How long a write may take; then it is tried again.
    pub timeout: Duration,
    /// Whether a batch that is written again has the same records, also after a crash. Costs a sync for each batch.
    pub keeps_batches: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: 500,
            bytes: 1024 * 1024,
            linger: Duration::from_millis(200),
            timeout: Duration::from_secs(30),
            keeps_batches: false,
        }
    }
}

/// Writes records to one receiver.
#[async_trait]
pub trait Sink: Send {
    /// Writes a batch: records of one lane, the oldest first, at least one. Returns one outcome for each, in the same order.
    /// The same batch may be written several times. The future may be dropped before its end (at a time limit or at the
    /// stop): then it is unknown what arrived, and the batch is written again.
    ///
    /// # Errors
    /// Nothing was written, or it is unknown what was.
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError>;

    /// What is to be done while there is nothing to write. When it returns, it is called again; after an error when a pause
    /// has passed. The future may be dropped before its end.
    ///
    /// # Errors
    /// It could not be done, for the log and `health`.
    async fn rest(&mut self) -> Result<(), WriteError> {
        std::future::pending().await
    }
}
