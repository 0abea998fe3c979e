//! A durable, bounded queue of what is to be sent: one SQLite file, one producer's progress, one consumer.
//!
//! # What it promises
//! - Every entry gets a sequence number (`seq`), from 1, without gaps, never twice, over restarts too. It is written into
//!   the entry's body where the producer left room for it. Who receives entries and sees a hole knows that one is missing.
//! - [`Outbox::append`] stores entries and the producer's `mark` in one transaction: after a crash the producer repeats
//!   its work and leaves out what [`Outbox::mark`] says is here already.
//! - An entry leaves the queue when the consumer [acknowledges](Outbox::acknowledge) it. What is in flight during a crash
//!   is sent again: at least once, not exactly once.
//! - Every weight ever accepted is published, queued or dropped for a reason; the counters change in the transactions
//!   that move the entries, see [`Totals`].
//!
//! # When it is full
//! `max_bytes` bounds the sum of topic, body and [`ENTRY_OVERHEAD`] over all entries.
//! - [`WhenFull::DropOldest`]: the oldest normal entries go; for an urgent entry, the oldest urgent ones after them.
//! - [`WhenFull::DropNewest`]: a new normal entry is dropped. It has its `seq` all the same, so that the consumer's other
//!   end sees the hole. For an urgent entry the newest normal ones go.
//! - An urgent entry never goes for a normal one; an entry that nothing may make room for is dropped itself. An entry in
//!   flight ([fetched](Outbox::fetch) and not yet acknowledged) is never dropped: it may have arrived already, and would
//!   count as lost what is not.
//!
//! # The file
//! SQLite in WAL mode, `synchronous=FULL`, locked by the process that has it open. Freed pages are used again and never
//! given back: the file stays about as large as the queue ever was, which `max_bytes` bounds. The write-ahead log is
//! taken over every 1,000 pages and cut to 4 MiB.
//!
//! [`spawn`] runs an outbox on a thread of its own, so that nobody else waits for a disk.

mod actor;
mod commit;
mod entry;
mod error;
mod handle;
mod inspect;
mod schema;
mod store;
mod totals;

pub use actor::spawn;
pub use entry::{Body, ENTRY_OVERHEAD, Entry, EntryError, MAX_BODY_BYTES, MAX_TOPIC_BYTES, Priority, Stored};
pub use error::OutboxError;
pub use handle::{Handle, Status};
pub use inspect::Inspection;
pub use store::{Change, MAX_IN_FLIGHT, Options, Outbox, WhenFull};
pub use totals::{Count, DropReason, DroppedRange, Totals};
