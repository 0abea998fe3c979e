//! An export as a Parquet file: rows are gathered into groups, which are written one after the other.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::{COLUMNS, ExportRow, RowWriter};

/// Rows of a group: about 5 MiB in memory.
const GROUP: usize = 65_536;

pub(super) struct Rows<W: Write + Send> {
    out: SerializedFileWriter<W>,
    device: Vec<ByteArray>,
    metric: Vec<ByteArray>,
    start: Vec<i64>,
    end: Vec<i64>,
    /// avg, min, max, std.
    numbers: [Vec<f64>; 4],
    count: Vec<i64>,
}

impl<W: Write + Send> Rows<W> {
    pub(super) fn begin(out: W) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(concat!("riser version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()));
        let out = schema()
            .and_then(|schema| SerializedFileWriter::new(out, schema, Arc::new(properties.build())))
            .map_err(io_error)?;
        let (device, metric, start, end) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { out, device, metric, start, end, numbers: Default::default(), count: Vec::new() })
    }

    fn write_group(&mut self) -> Result<()> {
        let missing = || ParquetError::General("a column is missing in the schema".to_owned());
        let [avg, min, max, std] = &self.numbers;
        let columns = [
            Values::Text(&self.device),
            Values::Text(&self.metric),
            Values::Integer(&self.start),
            Values::Integer(&self.end),
            Values::Float(avg),
            Values::Float(min),
            Values::Float(max),
            Values::Float(std),
            Values::Integer(&self.count),
        ];
        let mut group = self.out.next_row_group()?;
        for values in columns {
            let mut column = group.next_column()?.ok_or_else(missing)?;
            values.write(column.untyped())?;
            column.close()?;
        }
        group.close()?;
        self.device.clear();
        self.metric.clear();
        self.start.clear();
        self.end.clear();
        self.numbers.iter_mut().for_each(Vec::clear);
        self.count.clear();
        Ok(())
    }
}

impl<W: Write + Send> RowWriter for Rows<W> {
    fn write(&mut self, row: &ExportRow<'_>) -> io::Result<()> {
        push_text(&mut self.device, row.device);
        push_text(&mut self.metric, row.metric);
        self.start.push(row.start.as_millis());
        self.end.push(row.end.as_millis());
        let summary = row.summary;
        let numbers = [summary.avg, summary.min, summary.max, summary.std];
        self.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.push(number));
        self.count.push(i64::try_from(summary.count).unwrap_or(i64::MAX));
        if self.count.len() >= GROUP { self.write_group().map_err(io_error) } else { Ok(()) }
    }

    fn finish(mut self) -> io::Result<()> {
        let written = if self.count.is_empty() { Ok(()) } else { self.write_group() };
        let written = written.and_then(|()| self.out.finish().map(drop));
        written.map_err(io_error)
    }
}

/// A text that is the same as the one before takes no memory of its own.
fn push_text(column: &mut Vec<ByteArray>, text: &str) {
    let same = column.last().filter(|last| last.data() == text.as_bytes()).cloned();
    column.push(same.unwrap_or_else(|| ByteArray::from(text.as_bytes().to_vec())));
}

enum Values<'a> {
    Text(&'a [ByteArray]),
    Integer(&'a [i64]),
    Float(&'a [f64]),
}

impl Values<'_> {
    fn write(&self, column: &mut ColumnWriter<'_>) -> Result<()> {
        match (self, column) {
            (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(column)) => {
                column.write_batch(values, None, None)
            }
            (Values::Integer(values), ColumnWriter::Int64ColumnWriter(column)) => {
                column.write_batch(values, None, None)
            }
            (Values::Float(values), ColumnWriter::DoubleColumnWriter(column)) => {
                column.write_batch(values, None, None)
            }
            _ => Err(ParquetError::General("a column is of another type in the schema".to_owned())),
        }
        .map(|_| ())
    }
}

fn schema() -> Result<TypePtr> {
    let field = |name: &&str| {
        let (physical, logical) = match *name {
            "device" | "metric" => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            "start" | "end" => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            "count" => (PhysicalType::INT64, None),
            _ => (PhysicalType::DOUBLE, None),
        };
        let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
        field.with_logical_type(logical).build().map(Arc::new)
    };
    let fields = COLUMNS.iter().map(field).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

/// The receiver's own error, if it is one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => {
            error.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
        }
        other => io::Error::other(other),
    }
}
