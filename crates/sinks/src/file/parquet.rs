//! Makes a Parquet file of the lines of a `.part`.
//!
//! Guarantees: the file gets its final name when all of it is on the disk, and only then the lines are deleted; after a crash
//! at any point it is made again. At most [`GROUP_BYTES`] of lines are in memory. Lines that cannot be read, which takes a
//! disk that fails, are kept in a file beside it that ends in `.damaged`.

mod lines;
mod tail;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use gateway_core::durable;
use outbox::Lane;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use self::lines::{DamagedLines, Lines};
pub(super) use self::tail::last_lines;
use super::array_line;
use super::rows::{Cell, Column, Kind, columns};

/// Lines of a row group, at most; one line more may be begun.
const GROUP_BYTES: usize = 4 * 1024 * 1024;
const TEMPORARY: &str = ".tmp";
const DAMAGED: &str = ".damaged";

/// Makes the file `complete` of the lines in `part`, and deletes these.
///
/// # Errors
/// If the disk refuses. `part` is there then, or `complete`.
pub(super) fn convert(part: &Path, complete: &Path, lane: Lane) -> io::Result<()> {
    let temporary = durable::with_suffix(complete, TEMPORARY);
    let damaged = DamagedLines::new(durable::with_suffix(complete, DAMAGED));
    if let Err(error) = write(part, &temporary, damaged, columns(lane)) {
        // Its space may be what is missing.
        let _ = fs::remove_file(&temporary);
        return Err(io_error(error));
    }
    fs::rename(&temporary, complete)?;
    durable::sync_directory_of(complete)?;
    fs::remove_file(part)?;
    durable::sync_directory_of(part)
}

fn write(part: &Path, path: &Path, mut damaged: DamagedLines, columns: &[Column]) -> Result<()> {
    let mut lines = Lines::open(part)?;
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema(columns)?, properties())?;
    let mut group = Group::new(columns);
    while let Some(line) = lines.next()? {
        match array_line::decode(columns, line) {
            Some(row) => group.push(row, line.len()),
            None => damaged.push(line)?,
        }
        if group.bytes >= GROUP_BYTES {
            std::mem::replace(&mut group, Group::new(columns)).write(&mut writer)?;
        }
    }
    if group.bytes > 0 {
        group.write(&mut writer)?;
    }
    damaged.finish()?;
    Ok(writer.into_inner()?.sync_all()?)
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Time => (PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
            Kind::Integer => (PhysicalType::INT64, None),
            Kind::Float => (PhysicalType::DOUBLE, None),
        };
        let repetition = if column.is_optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(column.name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical);
        field.build().map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

fn properties() -> WriterPropertiesPtr {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("riser version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()));
    Arc::new(properties.build())
}

/// Rows that are written together.
struct Group {
    columns: Vec<ColumnBuffer>,
    /// Of their lines.
    bytes: usize,
}

struct ColumnBuffer {
    is_optional: bool,
    values: Values,
    /// For each row, whether it has a value: 1 or 0.
    levels: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Integer(Vec<i64>),
    Float(Vec<f64>),
}

impl Group {
    fn new(columns: &[Column]) -> Group {
        let columns = columns.iter().map(|column| ColumnBuffer {
            is_optional: column.is_optional,
            values: match column.kind {
                Kind::Text => Values::Text(Vec::new()),
                Kind::Time | Kind::Integer => Values::Integer(Vec::new()),
                Kind::Float => Values::Float(Vec::new()),
            },
            levels: Vec::new(),
        });
        Group { columns: columns.collect(), bytes: 0 }
    }

    fn push(&mut self, row: Vec<Cell<'_>>, bytes: usize) {
        self.bytes += bytes;
        for (column, cell) in self.columns.iter_mut().zip(row) {
            column.push(cell);
        }
    }

    fn write(self, writer: &mut SerializedFileWriter<File>) -> Result<()> {
        let mut group = writer.next_row_group()?;
        for column in self.columns {
            let missing = || ParquetError::General("a column is missing in the schema".to_owned());
            let mut chunk = group.next_column()?.ok_or_else(missing)?;
            column.write(chunk.untyped())?;
            chunk.close()?;
        }
        group.close().map(|_| ())
    }
}

impl ColumnBuffer {
    fn push(&mut self, cell: Cell<'_>) {
        let level = match (&mut self.values, cell) {
            (Values::Text(texts), Cell::Text(text)) => {
                texts.push(text.into_owned().into_bytes().into());
                1
            }
            (Values::Integer(numbers), Cell::Integer(number)) => {
                numbers.push(number);
                1
            }
            (Values::Integer(numbers), Cell::Time(time)) => {
                numbers.push(time.as_millis());
                1
            }
            (Values::Float(numbers), Cell::Float(number)) => {
                numbers.push(number);
                1
            }
            // A line is only read if each cell is of its column's kind.
            _ => 0,
        };
        self.levels.push(level);
    }

    fn write(&self, writer: &mut ColumnWriter<'_>) -> Result<()> {
        let levels = self.is_optional.then_some(self.levels.as_slice());
        match (&self.values, writer) {
            (Values::Text(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)
            }
            (Values::Integer(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)
            }
            (Values::Float(values), ColumnWriter::DoubleColumnWriter(writer)) => {
                writer.write_batch(values, levels, None)
            }
            _ => Err(ParquetError::General("a column is of another type in the schema".to_owned())),
        }
        .map(|_| ())
    }
}

/// The disk's own error, if it is one.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => {
            error.downcast::<io::Error>().map_or_else(io::Error::other, |error| *error)
        }
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;
