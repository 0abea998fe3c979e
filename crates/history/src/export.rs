//! Everything of some devices in a stretch of time, written row by row: as CSV or Parquet, to anything that can be written to.
//!
//! Windows, and where retention has removed these, hours, and before them days. Memory is bounded: a page of rows is read, and
//! then written while nothing is read, so that a slow receiver holds up no writer of the history. CSV goes out as it is
//! read; Parquet a group of rows at a time.

mod csv;
mod pages;
#[cfg(feature = "parquet")]
mod parquet;

use std::io::{self, Write};

use gateway_core::Timestamp;

use self::pages::Pages;
use crate::error::HistoryError;
use crate::row::Summary;
use crate::store::Store;

/// The columns, in this order.
pub const COLUMNS: [&str; 9] = ["device", "metric", "start", "end", "avg", "min", "max", "std", "count"];

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// With a head line; times are RFC 3339.
    Csv,
    /// Times are milliseconds since 1970 (TIMESTAMP); needs the cargo feature `parquet`.
    Parquet,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What was read cannot be written.
    #[error("cannot write the export")]
    Write(#[from] io::Error),
    /// This program lacks the format.
    #[error("{}", gateway_core::left_out("Parquet files", "sink-parquet"))]
    LeftOut,
}

/// What an export wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// Rows without the head line.
    pub rows: u64,
    /// Windows, hours and days left out because damage made them unreadable.
    pub damaged: u64,
}

/// One metric of one window, hour or day.
pub(crate) struct ExportRow<'a> {
    pub(crate) device: &'a str,
    pub(crate) metric: &'a str,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) summary: &'a Summary,
}

/// Writes rows in a format.
trait RowWriter {
    fn write(&mut self, row: &ExportRow<'_>) -> io::Result<()>;
    fn finish(self) -> io::Result<()>;
}

impl Store {
    /// Writes what starts at `from` or later and before `to` of these devices, in this order, each in order of time. An
    /// hour or a day in which `from` lies is written as a whole.
    ///
    /// # Errors
    /// Where the history cannot be read or `out` cannot be written to; a part has been written then.
    pub fn export(
        &self,
        devices: &[Box<str>],
        (from, to): (Timestamp, Timestamp),
        format: Format,
        out: impl Write + Send,
    ) -> Result<Exported, ExportError> {
        match format {
            Format::Csv => self.export_with(devices, (from, to), csv::Rows::begin(out)?),
            #[cfg(feature = "parquet")]
            Format::Parquet => self.export_with(devices, (from, to), parquet::Rows::begin(out)?),
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => Err(ExportError::LeftOut),
        }
    }

    fn export_with(
        &self,
        devices: &[Box<str>],
        (from, to): (Timestamp, Timestamp),
        mut out: impl RowWriter,
    ) -> Result<Exported, ExportError> {
        let mut exported = Exported::default();
        for device in devices {
            let mut pages = Pages::of(self, device, (from.as_millis(), to.as_millis()))?;
            while let Some(page) = pages.next(self)? {
                exported.damaged += page.damaged;
                for row in &page.rows {
                    for (metric, summary) in &row.metrics {
                        let (start, end) = (row.start, row.end);
                        out.write(&ExportRow { device, metric, start, end, summary })?;
                        exported.rows += 1;
                    }
                }
            }
        }
        out.finish()?;
        Ok(exported)
    }
}

#[cfg(test)]
mod tests;
