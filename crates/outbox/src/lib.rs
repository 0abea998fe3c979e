//! A durable, bounded store of what is to be sent: one producer, several sinks.
//!
//! # Guarantees
//! - Every alert and every aggregate gets a sequence number (`seq`): 1, 2, 3 and so on, without gaps, and no number is used
//!   twice, also not after a restart. A receiver that sees a gap knows that an entry is missing. Readings are numbered in
//!   the same way, by themselves.
//! - An entry is stored once, whatever the number of sinks. Each sink takes the [lanes](Lane) that it wants, at its own
//!   pace, and [acknowledges](Outbox::acknowledge) in any order. A sink that is away holds up no other.
//! - [`Outbox::append`] stores entries and the producer's `mark` together or not at all. After a crash the producer
//!   repeats its work and skips everything up to [`Outbox::mark`].
//! - Entries that were in flight during a crash are sent again: at least once, not exactly once.
//! - For each sink every entry that was accepted is published, queued, or dropped for a reason. The counters change together
//!   with the entries, see [`Totals`]; each account has such counters too, see [`Account`].
//! - Entries come out bit for bit as they went in: all have a checksum.
//! - A call that fails because of the disk keeps its input. The next call that succeeds stores it.
//!
//! # When it is full
//! `max_bytes` limits the bytes of all logs on the disk. Space is freed when the slowest sink has the entries of a segment.
//! - [`WhenFull::DropOldest`]: the oldest segments are dropped, for the sinks that have not had them: readings first, then
//!   aggregates. For a new alert the oldest alerts follow.
//! - [`WhenFull::DropNewest`]: new aggregates and readings are dropped for the sinks that have fallen behind. They still use
//!   a number. For a new alert the newest aggregates are dropped.
//! - An alert is never dropped for anything else. If nothing can be dropped, the new entry is, for all sinks. An entry in
//!   flight ([fetched](Outbox::fetch) and not yet acknowledged) is never dropped: the receiver may have it already.
//!
//! # Fewer writes to flash
//! If the producer repeats ([`Options::producer_repeats`]), entries can be fetched before they are durable, and an
//! outbox on its own thread commits them only after 20 ms or [`Options::spill_after`]: an entry that all sinks acknowledge
//! before is never written to the disk. [`Status::mark`] is always the committed one. After a crash the producer must append
//! again everything after that mark, in the same order and without omissions. Then the entries get the same numbers as
//! before, and what was sent already is sent again unchanged. A producer calls `flush` before it deletes what it would need
//! for that.
//!
//! # Layout
//! A directory with two snapshots and three logs, one for each lane, which are [`journal`]s. A record of a log is a frame:
//! entries in the order of their numbers. The aggregates' log also has changes. A change makes everything that was
//! written before it, in all logs, part of the outbox; it has the progress and the counters of the sinks. A commit syncs the
//! logs of the other lanes first, if they have new entries. A snapshot is the whole state at one change; one is written for
//! each segment and at each `flush`. The aggregates' log is kept from the older of the two snapshots on. What was written
//! after the newest change is cut off when the outbox is opened.
//!
//! In memory: for each sink the ranges of numbers that it has, and the newest entries up to 1 MiB a lane. What waits on the
//! disk takes no memory.
//!
//! # Deletion
//! A segment (a sixteenth of `max_bytes`, 1 MiB at most) is deleted after a snapshot in which no sink needs it.
//!
//! # Damage
//! [`Outbox::open`] reads everything, and so does [`Outbox::fetch`] when it finds that entries are missing.
//! - A damaged frame costs its entries. They are counted as [`DropReason::Damaged`] for every sink that needed them, with
//!   their numbers. A damaged change costs nothing, because the next one repeats it; nor does one damaged snapshot.
//! - If a log ends before the snapshot's position, the entries that the snapshot knows are counted as lost.
//! - Without any snapshot the counters start again: every sink gets all entries that are left, the mark is 0, and numbers
//!   continue at the next multiple of 2^40.
//! - A last change that is damaged or missing, and is newer than the snapshot, looks like a power cut: it is ignored, and
//!   the mark is the one before it. After a `flush` everything is in a snapshot, so that damage to it is always detected.
//!
//! [`spawn`] runs an outbox on a thread of its own, so that its callers do not wait for the disk.

mod accounts;
mod actor;
mod change;
mod commit;
mod counters;
mod dropped;
mod encoding;
mod entry;
mod error;
mod frame;
mod full;
mod handle;
mod inspect;
mod lane;
mod log;
mod reader;
mod recovery;
mod replay;
mod rewind;
mod seqs;
mod snapshot;
mod staged;
mod state;
mod store;
mod totals;

pub use accounts::{Account, Accounts, MAX_ACCOUNT_BYTES, MAX_ACCOUNTS};
pub use actor::spawn;
pub use entry::{Entry, EntryError, MAX_PAYLOAD_BYTES, Share, Stored};
pub use error::OutboxError;
pub use handle::{Handle, SinkHandle, SinkStatus, Status, TryAppend};
pub use inspect::{Inspection, SinkInspection};
pub use lane::{Lane, PerLane};
pub use recovery::{Damage, Recovery};
pub use store::{MAX_IN_FLIGHT, Options, Outbox, Request, SinkOptions, Start, WhenFull};
pub use totals::{Count, DropReason, DroppedRange, Totals};
