//! The history: closed windows of devices with what they give by the hour and by the day, alerts, and readings where they are
//! asked for, each kept for a while in one SQLite file. One writer, any number of readers in this process or others.
//!
//! # What it promises
//! - A window of a device is there once, in its highest revision, however often and in any order it was
//!   [appended](Store::append). So is each beginning and end of an alert, and each reading.
//! - Numbers come out as they went in, bit for bit; every row has a checksum. Rows that damage made unreadable are left
//!   out and [counted](Visited::damaged).
//! - Hours and days are always what their windows give together, also those windows that were corrected, that came late, or
//!   that are no longer kept ([0029](../../../docs/decisions/0029-tiers-of-the-history.md)).
//! - Reading never holds more in memory than asked for, and never sees half of what one `append` stored.
//!
//! # What it does not promise
//! It is no part of the loss ledger: rows that cannot be stored are left out, and the [writer](spawn) counts and reports
//! them; nothing waits for it. A power cut takes the rows that were not flushed or that the disk had not written yet
//! (`synchronous=NORMAL`), always the newest; the file stays whole.
//!
//! # The file
//! ```text
//! device  (id, name)          names, once
//! metric  (id, name)
//! recent  (start, device, length) -> revision, metrics     the newest windows, in order of time
//! windows (device, start, length) -> revision, metrics     all others, in order of device
//! hours   (device, start)         -> metrics               what the rows of `windows` give together
//! days    (device, start)         -> metrics
//! alerts  (since, device, rule, metric) -> raised, cleared
//! recent_readings (start, device, number) -> metrics       as `recent` and `windows`
//! readings        (device, start, number) -> metrics
//! mark    (part)              -> removed_before            up to where retention has removed a table
//! ```
//! Appending where all devices write to the same few pages, and moving many windows of a device at once to where it is
//! read, spares the flash: a page takes tens of windows, and would otherwise be written for each of them. A window is in one
//! of the two only. Times are milliseconds, `length` = end − start. `metrics` is described in `blob.rs`.

mod alerts;
mod aside;
mod batch;
mod blob;
mod buckets;
mod error;
mod export;
mod handle;
mod marks;
mod merge;
mod names;
mod read;
mod readings;
mod retention;
mod rolling;
mod row;
mod schema;
mod series;
mod sparkline;
mod store;
mod tiers;
mod windows;
mod writer;

pub use alerts::{AlertCursor, AlertQuery, NotACursor, StoredAlert};
pub use batch::{AlertRow, Batch, ReadingRow};
pub use error::HistoryError;
pub use export::{COLUMNS, ExportError, Exported, Format};
pub use handle::{Handle, Status};
pub use read::Visited;
pub use row::{Row, Summary};
pub use series::{Point, Points, SeriesQuery, Source};
pub use store::Store;
pub use writer::{Options, spawn};
