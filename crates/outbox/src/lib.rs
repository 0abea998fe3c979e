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
//!   that move the entries, see [`Totals`]. So it is for each account that entries are put down to, see [`Account`].
//! - What it gives out is what was put in, bit for bit: every entry has a checksum.
//!
//! # When it is full
//! `max_bytes` bounds the sum of topic, body, shares (5 bytes and the account's name each) and [`ENTRY_OVERHEAD`] over all
//! entries.
//! - [`WhenFull::DropOldest`]: the oldest normal entries go; for an urgent entry, the oldest urgent ones after them.
//! - [`WhenFull::DropNewest`]: a new normal entry is dropped. It has its `seq` all the same, so that the consumer's other
//!   end sees the hole. For an urgent entry the newest normal ones go.
//! - An urgent entry never goes for a normal one; an entry that nothing may make room for is dropped itself. An entry in
//!   flight ([fetched](Outbox::fetch) and not yet acknowledged) is never dropped: it may have arrived already, and would
//!   count as lost what is not.
//!
//! # Sparing the flash
//! With [`Options::spill_after`] zero, what can be fetched is durable. Otherwise an outbox on its own thread keeps changes
//! in a transaction that stays open: entries can be fetched at once, and what is acknowledged soon enough never touches the
//! disk. It commits when an entry has waited for `spill_after`, when an acknowledgement of what is on the disk has, when
//! 1 MiB waits, at [`Handle::flush`] and at the end. [`Status::mark`] is always the committed one. What a crash takes has to
//! be appended again by the producer from that mark on, in the same order and with nothing left out: then it gets the same
//! numbers as before, and what was sent already is sent again as it was. A producer that throws away what it could append
//! again calls `flush` before. Where a commit fails, what waits is kept in memory and tried again, under the same numbers.
//!
//! # The file
//! SQLite in WAL mode, `synchronous=FULL`, locked by the process that has it open. Freed pages are used again and never
//! given back: the file stays about as large as the queue ever was, which `max_bytes` bounds. The write-ahead log is
//! taken over every 1,000 pages and cut to 4 MiB.
//!
//! # Damage
//! [`Outbox::open`] reads all of the file: SQLite's `quick_check`, every checksum, the sums against the counters, the frames
//! of the log. Where something is wrong, what can be read is saved into a new file and the damaged one is kept
//! beside it as `….damaged` (the newest only; while it lasts this takes three times the room). So it is where damage shows
//! later, with what the program knows itself in place of what the file says.
//! - The counters survived: what is missing is counted as [`DropReason::Damaged`], with ranges of its numbers.
//! - They did not: the books begin anew with what could be saved, the mark is 0, and numbers go on behind those set aside
//!   for use, a million at a time, on another page; where those are lost too, at the next multiple of 2^40.
//! - One wrong bit costs the entries of its page at most; in the page where the table begins, all of them.
//! - What cannot be told from a power cut: a last commit in the log that is wrong, or a log that is shorter than it was.
//!   Both take the mark back with them.
//!
//! [`spawn`] runs an outbox on a thread of its own, so that nobody else waits for a disk.

mod accounts;
mod actor;
mod books;
mod commit;
mod entry;
mod error;
mod handle;
mod inspect;
mod log;
mod migrate;
mod missing;
mod ranges;
mod recovery;
mod replace;
mod row;
mod salvage;
mod scan;
mod schema;
mod state;
mod store;
mod totals;
mod transaction;
mod unsaved;

pub use accounts::{Account, Accounts, MAX_ACCOUNT_BYTES, MAX_ACCOUNTS};
pub use actor::spawn;
pub use entry::{
    Body, ENTRY_OVERHEAD, Entry, EntryError, MAX_BODY_BYTES, MAX_TOPIC_BYTES, Priority, Share, Stored,
};
pub use error::OutboxError;
pub use handle::{Handle, Status, TryAppend};
pub use inspect::Inspection;
pub use recovery::{Damage, Recovery};
pub use store::{Change, MAX_IN_FLIGHT, Options, Outbox, WhenFull};
pub use totals::{Count, DropReason, DroppedRange, Totals};
