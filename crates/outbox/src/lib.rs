//! A durable, bounded queue of messages to send: one producer, one consumer.
//!
//! # Guarantees
//! - Every entry gets a sequence number (`seq`): 1, 2, 3 and so on, without gaps, and no number is used twice, also not
//!   after a restart. It is written into the entry's body at the offset that the producer chose. A receiver that sees a
//!   gap knows that an entry is missing.
//! - [`Outbox::append`] stores entries and the producer's `mark` together or not at all. After a crash the producer
//!   repeats its work and skips everything up to [`Outbox::mark`].
//! - An entry leaves the queue when the consumer [acknowledges](Outbox::acknowledge) it, in any order. Entries that were
//!   in flight during a crash are sent again: at least once, not exactly once.
//! - Every weight that was accepted is published, queued, or dropped for a reason. The counters change together with the
//!   entries, see [`Totals`]; each account has such counters too, see [`Account`].
//! - Entries come out bit for bit as they went in: every entry has a checksum.
//! - A call that fails because of the disk keeps its input. The next call that succeeds stores it.
//!
//! # When it is full
//! `max_bytes` limits the sum of topic, body, shares (5 bytes and the account's name each) and [`ENTRY_OVERHEAD`] over all
//! entries.
//! - [`WhenFull::DropOldest`]: the oldest normal entries are dropped. For an urgent entry the oldest urgent ones follow.
//! - [`WhenFull::DropNewest`]: a new normal entry is dropped. It still uses a `seq`, so that the receiver sees the gap.
//!   For an urgent entry the newest normal ones are dropped.
//! - An urgent entry is never dropped for a normal one. If dropping others does not free enough space, the new entry is
//!   dropped. An entry in flight ([fetched](Outbox::fetch) and not yet acknowledged) is never dropped: the receiver may
//!   have it already, and it would be counted as lost although it is not.
//!
//! # Fewer writes to flash
//! With [`Options::spill_after`] zero, only durable entries can be fetched. Otherwise an outbox on its own thread keeps
//! changes in memory for a while: entries can be fetched at once, and an entry that is acknowledged soon is never written
//! to the disk. The outbox commits when an entry, or an acknowledgement of an entry on the disk, has waited for
//! `spill_after`; when 1 MiB waits; at [`Handle::flush`]; and at the end. [`Status::mark`] is always the committed one.
//! After a crash the producer must append again everything after that mark, in the same order and without omissions.
//! Then the entries get the same numbers as before, and what was sent already is sent again unchanged. A producer calls
//! `flush` before it deletes what it would need for that.
//!
//! # Layout
//! A directory with a log, which is a [`journal`], and two snapshots. A record of the log is an entry or a change. A
//! change says which entries were added and removed, and contains the mark and the counters. A commit writes its entries,
//! then its change, then syncs once. A snapshot is the whole state at one position of the log; one is written for each
//! segment and at each `flush`. The log is kept from the older of the two snapshots on. What belongs to a consumer
//! (queue, counters, dropped ranges) is a separate part of the format; today there is one consumer.
//!
//! In memory: about 50 bytes for each entry, and the newest entries up to 1 MiB.
//!
//! # Deletion
//! A segment of the log (an eighth of `max_bytes`, 1 MiB at most) is deleted when it and all older ones contain no queued
//! entry. If the log is larger than twice the queue plus four segments, the entries that are left in its oldest segment
//! are written again at its end.
//!
//! # Damage
//! [`Outbox::open`] reads everything, and so does [`Outbox::fetch`] when it finds a damaged entry.
//! - A damaged entry is lost. It is counted as [`DropReason::Damaged`], with its number. A damaged change costs nothing,
//!   because the next one repeats it; nor does one damaged snapshot. If several changes in a row are damaged, entries that
//!   they removed are queued again and are sent once more.
//! - If the log ends before the snapshot's position, the entries that the snapshot knows are counted as lost.
//! - Without any snapshot the counters start again with the entries that are left, the mark is 0, and numbers continue at
//!   the next multiple of 2^40.
//! - A last change that is damaged or missing, and is newer than the snapshot, looks like a power cut: it is ignored, and
//!   the mark is the one before it. After a `flush` everything is in a snapshot, so that damage to it is always detected.
//!
//! [`spawn`] runs an outbox on a thread of its own, so that its callers do not wait for the disk.

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
