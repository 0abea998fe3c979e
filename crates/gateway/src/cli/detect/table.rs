//! The rows of a CSV file, one at a time.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use csv::ByteRecord;

use super::columns::Columns;
use super::text;
use crate::cli::{Exit, Failure, time_text};

/// The longest row in bytes. A quote that is never closed would otherwise take all that follows into memory.
const LONGEST_ROW: usize = 1 << 20;

/// An open file behind its head line.
pub(super) struct Table {
    name: String,
    rows: csv::Reader<Limited>,
    /// Bytes read since the last row.
    since_row: Rc<Cell<usize>>,
    /// Read already, to find the columns.
    first: Option<ByteRecord>,
    can_wait: bool,
}

impl Table {
    /// Opens a file, or stdin for `-`, and finds the columns of the series.
    ///
    /// # Errors
    /// Where there is no such file, head line or column.
    pub(super) fn open(path: &Path, column: Option<&str>) -> Result<(Self, Columns), Failure> {
        let name = path.display().to_string();
        let (input, can_wait) = open(path).map_err(|error| unreadable(&name, &error))?;
        Self::of(name, input, can_wait, column)
    }

    fn of(
        name: String,
        input: Box<dyn Read>,
        can_wait: bool,
        column: Option<&str>,
    ) -> Result<(Self, Columns), Failure> {
        let since_row = Rc::new(Cell::new(0));
        let input = Limited { input, since_row: Rc::clone(&since_row) };
        // A row ends at LF alone, so that lines can be counted; Columns leaves the CR before it out.
        let rows = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(input);
        let mut table = Self { name, rows, since_row, first: None, can_wait };

        let mut head = ByteRecord::new();
        if !table.next(&mut head)? {
            return Err(table.failure("is empty; the first line must name the columns"));
        }
        if head.iter().any(|cell| text(cell).and_then(time_text::written_out).is_some()) {
            return Err(
                table.failure("has no head line; the first line must name the columns: timestamp,value")
            );
        }
        let mut first = ByteRecord::new();
        let first = table.next(&mut first)?.then_some(first);
        let columns = Columns::find(&head, first.as_ref(), column)?;
        table.first = first;
        Ok((table, columns))
    }

    /// Reads the next row into `row`; false at the end.
    ///
    /// # Errors
    /// Where the file cannot be read on.
    pub(super) fn next(&mut self, row: &mut ByteRecord) -> Result<bool, Failure> {
        if let Some(first) = self.first.take() {
            *row = first;
            return Ok(true);
        }
        loop {
            let found = self.rows.read_byte_record(row).map_err(|error| match error.into_kind() {
                csv::ErrorKind::Io(error) => unreadable(&self.name, &error),
                other => self.failure(&format!("is not CSV: {other:?}")),
            })?;
            self.since_row.set(0);
            let is_blank = row.len() == 1 && row.get(0) == Some(b"\r");
            if !(found && is_blank) {
                return Ok(found);
            }
        }
    }

    /// In which line of the file `row`, the last that was read, ends.
    pub(super) fn line(&self, row: &ByteRecord) -> u64 {
        // It begins before the blank lines that precede it; behind it, the line has been counted up.
        let begin = row.position().map_or(0, csv::Position::line);
        let end = self.rows.position().line().saturating_sub(1);
        begin.max(end)
    }

    /// Whether the next row may come later, as from a pipe or a terminal.
    pub(super) const fn can_wait(&self) -> bool {
        self.can_wait
    }

    fn failure(&self, what: &str) -> Failure {
        Failure::new(Exit::NoInput, format!("{} {what}", self.name))
    }
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::NoInput, format!("cannot read {name}: {error}"))
}

fn open(path: &Path) -> io::Result<(Box<dyn Read>, bool)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), true));
    }
    let file = File::open(path)?;
    let can_wait = !file.metadata()?.is_file();
    Ok((Box::new(file), can_wait))
}

/// Input that refuses to go on where a row is longer than [`LONGEST_ROW`].
struct Limited {
    input: Box<dyn Read>,
    since_row: Rc<Cell<usize>>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row.get() > LONGEST_ROW {
            return Err(io::Error::other("a row is longer than 1 MiB; is a quote not closed?"));
        }
        let count = self.input.read(buffer)?;
        self.since_row.set(self.since_row.get().saturating_add(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Time, value, and the line that the row ends in.
    type Cells = (Vec<u8>, Vec<u8>, u64);

    fn read(bytes: Vec<u8>) -> Result<Vec<Cells>, Failure> {
        let (mut table, columns) = Table::of("a.csv".into(), Box::new(io::Cursor::new(bytes)), false, None)?;
        let (mut row, mut found) = (ByteRecord::new(), Vec::new());
        while table.next(&mut row)? {
            let (time, value) = columns.cells(&row);
            found.push((time.to_vec(), value.to_vec(), table.line(&row)));
        }
        Ok(found)
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for text in ["timestamp,value\n1,2\n\n3,4\n5,6\n", "timestamp,value\r\n1,2\r\n\r\n3,4\r\n5,6"] {
            let lines: Vec<u64> = read(text.into()).unwrap().into_iter().map(|(_, _, line)| line).collect();
            assert_eq!(lines, [2, 4, 5], "{text:?}");
        }
    }

    /// What may stand in a cell: commas, quotes and whatever is no end of a line.
    fn any_cell() -> impl Strategy<Value = String> {
        prop_oneof![3 => "[ -~]{0,12}", 1 => "[^\r\n]{0,6}", 1 => Just("2014-04-01 00:00:00".to_owned())]
    }

    proptest! {
        #[test]
        fn cells_come_back_as_they_were_written(
            cells in prop::collection::vec((any_cell(), any_cell()), 0..40),
            is_dos: bool,
        ) {
            let terminator = if is_dos { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
            writer.write_record(["timestamp", "value"]).unwrap();
            cells.iter().for_each(|(time, value)| writer.write_record([time, value]).unwrap());
            let found = read(writer.into_inner().unwrap()).unwrap();
            let expected: Vec<_> = (2_u64..)
                .zip(&cells)
                .map(|(line, (time, value))| (time.clone().into_bytes(), value.clone().into_bytes(), line))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn no_bytes_are_too_much(bytes: Vec<u8>, is_headed: bool) {
            let head = if is_headed { b"timestamp,value\n".as_slice() } else { b"" };
            let _ = read([head, &bytes].concat());
        }
    }
}
