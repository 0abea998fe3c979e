//! A durable, bounded queue of what is to be sent: one producer's progress, one consumer.
//!
//! # What it promises
//! - Every entry gets a sequence number (`seq`), from 1, without gaps, never twice, over restarts too. It is written into
//!   the entry's body where the producer left room for it. A receiver that sees a hole knows that an entry is missing.
//! - [`Outbox::append`] stores entries and the producer's `mark` together or not at all: after a crash the producer
//!   repeats its work and leaves out what [`Outbox::mark`] says is here already.
//! - An entry leaves the queue when the consumer [acknowledges](Outbox::acknowledge) it, in any order. What is in flight
//!   during a crash is sent again: at least once, not exactly once.
//! - Every weight ever accepted is published, queued or dropped for a reason; the counters change together with the
//!   entries, see [`Totals`]. So it is for each account that entries are put down to, see [`Account`].
//! - What it gives out is what was put in, bit for bit: every entry has a checksum.
//! - A call that fails, for the disk refuses, keeps what it was given: the next one that succeeds stores it.
//!
//! # When it is full
//! `max_bytes` bounds the sum of topic, body, shares (5 bytes and the account's name each) and [`ENTRY_OVERHEAD`] over all
//! entries.
//! - [`WhenFull::DropOldest`]: the oldest normal entries go; for an urgent entry, the oldest urgent ones after them.
//! - [`WhenFull::DropNewest`]: a new normal entry is dropped. It has its `seq` all the same, so that the receiver sees the
//!   hole. For an urgent entry the newest normal ones go.
//! - An urgent entry never goes for a normal one; an entry that nothing may make room for is dropped itself. An entry in
//!   flight ([fetched](Outbox::fetch) and not yet acknowledged) is never dropped: it may have arrived already, and would
//!   be counted as lost though it is not.
//!
//! # Sparing the flash
//! With [`Options::spill_after`] zero, what can be fetched is durable. Otherwise an outbox on its own thread keeps changes
//! in memory for a while: entries can be fetched at once, and what is acknowledged soon enough never touches the disk. It
//! commits when an entry has waited for `spill_after`, when an acknowledgement of what is on the disk has, when 1 MiB
//! waits, at [`Handle::flush`] and at the end. [`Status::mark`] is always the committed one. What a crash takes has to be
//! appended again by the producer from that mark on, in the same order and with nothing left out: then it gets the same
//! numbers as before, and what was sent already is sent again as it was. A producer that throws away what it could append
//! again calls `flush` before.
//!
//! # Layout
//! A directory with a log, which is a [`journal`], and two snapshots. A record of the log is an entry, or a change: which
//! entries came and went, the mark, the counters. A commit writes its entries, then its change, then syncs. A snapshot is
//! the whole state at one position of the log, written for every segment and at every `flush`; the log is kept from the older of
//! the two on. Numbers that a consumer has (a queue, counters, dropped ranges) stand in a part of their own, of which
//! there is one today.
//!
//! In memory: about 50 bytes for each entry, and the newest entries up to 1 MiB.
//!
//! # Deletion
//! Whole segments of the log (an eighth of `max_bytes`, 1 MiB at most) go, oldest first, when no queued entry stands in
//! them. Where the log is larger than twice the queue and four segments, what is left in its oldest segment is written once more at its end.
//!
//! # Damage
//! [`Outbox::open`] reads everything, and so does [`Outbox::fetch`] when it meets a damaged entry.
//! - A damaged entry is lost; it is counted as [`DropReason::Damaged`], with its number. A damaged change costs nothing,
//!   for the next one repeats it, nor does one damaged snapshot. Where several changes in a row are damaged, entries that
//!   left the queue in them come back and are sent once more.
//! - Where the log ends before the snapshot's position, the entries that the snapshot knows are counted as lost.
//! - Without any snapshot the counters begin anew with what is left, the mark is 0, and numbers go on at the next multiple
//!   of 2^40.
//! - What cannot be told from a power cut: a last change, not yet in a snapshot, that is wrong or not there. It takes the
//!   mark back with it. Up to a `flush` nothing is taken for a power cut.
//!
//! [`spawn`] runs an outbox on a thread of its own, so that its callers do not wait for a disk.

mod accounts;
mod actor;
mod commit;
mod counters;
mod cursor;
mod dropped;
mod encoding;
mod entry;
mod error;
mod handle;
mod inspect;
mod queue;
mod record;
mod recovery;
mod replay;
mod seqs;
mod snapshot;
mod staged;
mod state;
mod store;
mod totals;

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
