//! The history: closed windows of devices, kept for a while in one SQLite file. One writer, any number of readers in this
//! process or others.
//!
//! # What it promises
//! - A window of a device is there once, in its highest revision, however often and in any order it was
//!   [appended](Store::append).
//! - Numbers come out as they went in, bit for bit; every row has a checksum. Rows that damage made unreadable are left
//!   out and [counted](Visited::damaged).
//! - Reading never holds more in memory than asked for, and never sees half of what one `append` stored.
//!
//! # What it does not promise
//! It is no part of the loss ledger: windows that cannot be stored are left out, and the [writer](spawn) counts and reports
//! them; nothing waits for it. A power cut takes the windows that were not flushed or that the disk had not written yet
//! (`synchronous=NORMAL`), always the newest; the file stays whole.
//!
//! # The file
//! ```text
//! device  (id, name)          names, once
//! metric  (id, name)
//! recent  (start, device, length) -> revision, metrics     the newest, in order of time
//! windows (device, start, length) -> revision, metrics     all others, in order of device
//! ```
//! Appending where all devices write to the same few pages, and moving many windows of a device at once to where it is
//! read, spares the flash: a page takes tens of windows, and would otherwise be written for each of them. A window is in one
//! of the two only. Times are milliseconds, `length` = end − start. `metrics` is described in `blob.rs`.

mod aside;
mod blob;
mod error;
mod handle;
mod names;
mod read;
mod retention;
mod row;
mod schema;
mod store;
mod writer;

pub use error::HistoryError;
pub use handle::{Handle, Status};
pub use read::Visited;
pub use row::{Row, Summary};
pub use store::Store;
pub use writer::{Options, spawn};
