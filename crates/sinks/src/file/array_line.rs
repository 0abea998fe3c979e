//! A row as one line of text: a JSON array, as in `["lounge",1795168800000,"temperature",21.5]`. Times are milliseconds since
//! 1970.
//!
//! Guarantee: what is read from a line is what was written, to the last bit of each number. What JSON has no number for
//! (infinity, "not a number") is a text.

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use super::rows::Cell;

/// The line, with its line break.
pub(super) fn encode(row: &[Cell<'_>]) -> Vec<u8> {
    // Writing into memory does not fail.
    let mut line = serde_json::to_vec(&Row(row)).unwrap_or_default();
    line.push(b'\n');
    line
}

struct Row<'a>(&'a [Cell<'a>]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for cell in self.0 {
            match cell {
                Cell::Missing => array.serialize_element(&())?,
                Cell::Text(text) => array.serialize_element(text)?,
                Cell::Time(time) => array.serialize_element(&time.as_millis())?,
                Cell::Integer(number) => array.serialize_element(number)?,
                Cell::Float(number) if number.is_finite() => array.serialize_element(number)?,
                Cell::Float(number) => array.serialize_element(&number.to_string())?,
            }
        }
        array.end()
    }
}

/// The row of a line; `None` if the line is damaged.
#[cfg(feature = "sink-parquet")]
pub(super) fn decode(columns: &[super::rows::Column], line: &[u8]) -> Option<Vec<Cell<'static>>> {
    let values: Vec<serde_json::Value> = serde_json::from_slice(line.strip_suffix(b"\n")?).ok()?;
    if values.len() != columns.len() {
        return None;
    }
    columns.iter().zip(values).map(|(column, value)| cell(*column, value)).collect()
}

#[cfg(feature = "sink-parquet")]
fn cell(column: super::rows::Column, value: serde_json::Value) -> Option<Cell<'static>> {
    use super::rows::Kind;
    use serde_json::Value;
    match (column.kind, value) {
        (_, Value::Null) => column.is_optional.then_some(Cell::Missing),
        (Kind::Text, Value::String(text)) => Some(Cell::Text(text.into())),
        (Kind::Time, Value::Number(number)) => {
            Some(Cell::Time(gateway_core::Timestamp::from_millis(number.as_i64()?)))
        }
        (Kind::Integer, Value::Number(number)) => number.as_i64().map(Cell::Integer),
        (Kind::Float, Value::Number(number)) => number.as_f64().map(Cell::Float),
        (Kind::Float, Value::String(text)) => text.parse().ok().map(Cell::Float),
        _ => None,
    }
}

#[cfg(all(test, feature = "sink-parquet"))]
mod tests {
    use gateway_core::Timestamp;
    use outbox::Lane;

    use super::*;
    use crate::file::rows::columns;

    fn reading(device: &str, millis: i64, value: f64) -> Vec<Cell<'static>> {
        vec![
            Cell::Text(device.to_owned().into()),
            Cell::Time(Timestamp::from_millis(millis)),
            Cell::Text("temperature".into()),
            Cell::Float(value),
        ]
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        assert_eq!(
            encode(&reading("lounge", 1_795_168_800_000, 21.5)),
            b"[\"lounge\",1795168800000,\"temperature\",21.5]\n"
        );
        let extremes = [
            0.1 + 0.2,
            -0.0,
            5.0,
            1e300,
            9_007_199_254_740_993.0,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        for value in extremes {
            let row = reading("two\nlines, \"quoted\" \u{2028}\u{0}Büro 会議室", i64::MIN, value);
            let line = encode(&row);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let read = decode(columns(Lane::Readings), &line).expect("a row");
            assert_eq!(read, row);
            assert!(matches!(read[3], Cell::Float(read) if read.to_bits() == value.to_bits()), "{value}");
        }
        let read = decode(columns(Lane::Readings), &encode(&reading("a", i64::MAX, f64::NAN)));
        assert!(matches!(read.expect("a row")[3], Cell::Float(number) if number.is_nan()));
    }

    #[test]
    fn a_damaged_line_is_no_row() {
        let line = encode(&reading("lounge", 0, 21.5));
        let columns = columns(Lane::Readings);
        for cut in 0..line.len() {
            assert_eq!(decode(columns, &line[..cut]), None, "{cut}");
        }
        for text in [
            "[]\n",
            "[1,2,3,4]\n",
            "[\"a\",0.5,\"b\",1]\n",
            "[\"a\",null,\"b\",1]\n",
            "\0\0\n",
            "[\"a\",0,\"b\",\"c\"]\n",
        ] {
            assert_eq!(decode(columns, text.as_bytes()), None, "{text}");
        }
    }
}
