//! `csv`: lines of cells (RFC 4180, commas) with the configured columns.
//!
//! - `device` names the device, `time`, `timestamp` or `ts` the time of its line (RFC 3339, local without an offset, or
//!   epoch seconds or milliseconds), `_` is ignored; every other column is a metric.
//! - An empty cell makes no metric, and names no device: the line is of its sender; `nan` and `inf` are counted as not finite; the words of `value` count 1 and 0.
//! - A line that repeats the columns' names is a header and is passed over; so are empty lines.
//! - A wrong number of cells, or a cell that is none of these, refuses the payload and names the line.

use gateway_core::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use crate::{CodecError, CsvProblem, DecodeError, Input, Measurements, time, words};

/// The codec with its columns.
#[derive(Debug, Clone)]
pub(crate) struct Csv {
    columns: Vec<Column>,
    names: Vec<String>,
    zone: TimeZone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Device,
    Time,
    Ignored,
    Metric,
}

impl Csv {
    pub(crate) fn new(names: &[String], zone: TimeZone) -> Result<Self, CodecError> {
        if names.is_empty() {
            return Err(CodecError::NoColumns);
        }
        let columns: Vec<_> = names.iter().map(|name| kind(name)).collect();
        for (index, name) in names.iter().enumerate() {
            let before = names.get(..index).unwrap_or_default();
            if kind(name) != Column::Ignored && before.contains(name) {
                return Err(CodecError::Columns { problem: format!("names `{name}` twice") });
            }
        }
        if columns.iter().filter(|column| **column == Column::Time).count() > 1 {
            return Err(CodecError::Columns { problem: "names more than one time".into() });
        }
        if !columns.contains(&Column::Metric) {
            return Err(CodecError::Columns { problem: "names no metric".into() });
        }
        Ok(Self { columns, names: names.to_vec(), zone })
    }

    pub(crate) fn decode(&self, input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
        self.each_line(input, |line, cells| self.line(line, cells, out))
    }

    /// One object a line, cells as texts by column.
    pub(crate) fn data(&self, input: &Input<'_>) -> Result<Json, DecodeError> {
        let mut lines = Vec::new();
        self.each_line(input, |_, cells| {
            let object: Map<String, Json> =
                self.names.iter().zip(cells).map(|(name, cell)| (name.clone(), cell.into())).collect();
            lines.push(Json::Object(object));
            Ok(())
        })?;
        Ok(lines.into())
    }

    fn each_line(
        &self,
        input: &Input<'_>,
        mut take: impl FnMut(usize, &csv::StringRecord) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let text = crate::text(input.payload)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut cells = csv::StringRecord::new();
        loop {
            let line = usize::try_from(reader.position().line()).unwrap_or(usize::MAX);
            let more = reader
                .read_record(&mut cells)
                .map_err(|_| DecodeError::Csv { line, problem: CsvProblem::Syntax })?;
            if !more {
                return Ok(());
            }
            let line = cells.position().and_then(|at| usize::try_from(at.line()).ok()).unwrap_or(line);
            if cells.len() != self.columns.len() {
                let problem = CsvProblem::Cells { found: cells.len(), expected: self.columns.len() };
                return Err(DecodeError::Csv { line, problem });
            }
            if !self.names.iter().eq(cells.iter()) {
                take(line, &cells)?;
            }
        }
    }

    fn line(
        &self,
        line: usize,
        cells: &csv::StringRecord,
        out: &mut Measurements,
    ) -> Result<(), DecodeError> {
        out.begin_record();
        let (mut device, mut at) = (None, None);
        for (index, ((column, name), cell)) in self.columns.iter().zip(&self.names).zip(cells).enumerate() {
            match column {
                _ if cell.is_empty() => {}
                Column::Ignored => {}
                Column::Device => device = Some(cell),
                Column::Time => at = Some(self.time(cell, out)?),
                Column::Metric => {
                    let problem = CsvProblem::NotANumber { column: index + 1 };
                    let value = words::number_or_word(cell).ok_or(DecodeError::Csv { line, problem })?;
                    out.push(name, value)?;
                }
            }
        }
        if let Some(device) = device {
            out.set_device(device)?;
        }
        if let Some(at) = at {
            out.set_time(at);
        }
        Ok(())
    }

    fn time(&self, cell: &str, out: &Measurements) -> Result<Timestamp, DecodeError> {
        time::from_text(cell, &self.zone).ok_or_else(|| DecodeError::BadTime { record: out.record() })
    }
}

fn kind(name: &str) -> Column {
    match name {
        "device" => Column::Device,
        "_" | "" => Column::Ignored,
        name if time::rank_of_key(name).is_some() => Column::Time,
        _ => Column::Metric,
    }
}
