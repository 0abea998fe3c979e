//! An export as CSV: a head line, then a line a row. Numbers are the shortest text that gives the same number again.
//! A text that a spreadsheet would take for a formula has a `'` in front: names come from devices.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::{COLUMNS, ExportRow, RowWriter};

pub(super) struct Rows<W: Write> {
    out: ::csv::Writer<W>,
    cell: String,
}

impl<W: Write> Rows<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let mut rows = Self { out: ::csv::Writer::from_writer(out), cell: String::new() };
        rows.out.write_record(COLUMNS).map_err(io_error)?;
        Ok(rows)
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        self.cell.clear();
        if is_formula {
            self.cell.push('\'');
        }
        self.cell.push_str(text);
        self.out.write_field(&self.cell).map_err(io_error)
    }

    fn cell(&mut self, value: impl std::fmt::Display) -> io::Result<()> {
        self.cell.clear();
        write!(self.cell, "{value}").map_err(io::Error::other)?;
        self.out.write_field(&self.cell).map_err(io_error)
    }
}

impl<W: Write> RowWriter for Rows<W> {
    fn write(&mut self, row: &ExportRow<'_>) -> io::Result<()> {
        let summary = row.summary;
        self.text(row.device)?;
        self.text(row.metric)?;
        self.cell(row.start)?;
        self.cell(row.end)?;
        for number in [summary.avg, summary.min, summary.max, summary.std] {
            self.cell(number)?;
        }
        self.cell(summary.count)?;
        self.out.write_record(None::<&[u8]>).map_err(io_error)
    }

    fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The receiver's own error, if it is one.
fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}
