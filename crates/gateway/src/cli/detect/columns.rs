//! Which columns of a CSV file are the series: by the head line, else by what the first row holds.

use csv::ByteRecord;

use super::text;
use crate::cli::{Exit, Failure, time_text};

/// What a column of times may be called, in lower case.
const TIME_NAMES: [&str; 6] = ["timestamp", "time", "ts", "datetime", "date_time", "date"];
/// What the column to judge is called, in lower case.
const VALUE_NAME: &str = "value";

/// Where in a row its time and its value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Columns {
    time: usize,
    value: usize,
}

impl Columns {
    /// `wanted` is the name of the column to judge, where the user gave one.
    ///
    /// # Errors
    /// Where that is no column, or where there are several it could be.
    pub(super) fn find(
        head: &ByteRecord,
        first: Option<&ByteRecord>,
        wanted: Option<&str>,
    ) -> Result<Self, Failure> {
        let table = Beginning { names: head.iter().map(name).collect(), first };
        let time = table.time();
        let value = match wanted {
            Some(wanted) => table.named(wanted).ok_or_else(|| {
                Failure::new(
                    Exit::Usage,
                    format!("no column `{wanted}`; there are: {}", table.names.join(", ")),
                )
            }),
            None => table.value(time),
        }?;
        Ok(Self { time, value })
    }

    /// The time and the value of a row, as they stand; empty where the row is too short.
    pub(super) fn cells<'a>(&self, row: &'a ByteRecord) -> (&'a [u8], &'a [u8]) {
        (cell(row, self.time), cell(row, self.value))
    }
}

/// A cell as it stands, without the CR of the line's end.
fn cell(row: &ByteRecord, index: usize) -> &[u8] {
    let cell = row.get(index).unwrap_or_default();
    cell.strip_suffix(b"\r").unwrap_or(cell)
}

/// The number in a cell; none for text, NaN and infinities.
pub(super) fn number(cell: &[u8]) -> Option<f64> {
    text(cell)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn name(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).trim().to_owned()
}

/// The head line, and the first row where there is one.
struct Beginning<'a> {
    names: Vec<String>,
    first: Option<&'a ByteRecord>,
}

impl Beginning<'_> {
    /// As it is written, else without regard to case.
    fn named(&self, wanted: &str) -> Option<usize> {
        let exact = self.names.iter().position(|name| name == wanted);
        exact.or_else(|| self.names.iter().position(|name| name.to_lowercase() == wanted.to_lowercase()))
    }

    /// By name, else the first that holds a time, else the first.
    fn time(&self) -> usize {
        let named = TIME_NAMES.iter().find_map(|name| self.named(name));
        let holds =
            || self.first?.iter().position(|cell| text(cell).and_then(time_text::written_out).is_some());
        named.or_else(holds).unwrap_or(0)
    }

    /// By name, else the only one besides the time, else the only one of them that holds a number.
    fn value(&self, time: usize) -> Result<usize, Failure> {
        if let Some(named) = self.named(VALUE_NAME) {
            return Ok(named);
        }
        let others: Vec<usize> = (0..self.names.len()).filter(|index| *index != time).collect();
        if let [only] = others.as_slice() {
            return Ok(*only);
        }
        let has_number = |index: &usize| self.first.is_some_and(|row| number(cell(row, *index)).is_some());
        let numbers: Vec<usize> = others.into_iter().filter(has_number).collect();
        match numbers.as_slice() {
            [only] => Ok(*only),
            [] => Err(Failure::new(Exit::Usage, self.choose("no column `value`, and none with numbers"))),
            _ => Err(Failure::new(Exit::Usage, self.choose("no column `value`, and several with numbers"))),
        }
    }

    fn choose(&self, problem: &str) -> String {
        format!("{problem}; name one of these with --column: {}", self.names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(head: &[&str], first: &[&str], wanted: Option<&str>) -> Result<(usize, usize), String> {
        let first = (!first.is_empty()).then(|| ByteRecord::from(first.to_vec()));
        Columns::find(&ByteRecord::from(head.to_vec()), first.as_ref(), wanted)
            .map(|columns| (columns.time, columns.value))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn names_decide_first() {
        assert_eq!(found(&["timestamp", "value"], &[], None), Ok((0, 1)));
        assert_eq!(found(&["Value", "x", " Time "], &["1", "2", "3"], None), Ok((2, 0)));
        assert_eq!(found(&["timestamp", "value", "co2"], &[], Some("co2")), Ok((0, 2)));
        assert_eq!(found(&["timestamp", "CO2"], &[], Some("co2")), Ok((0, 1)));
    }

    #[test]
    fn what_the_first_row_holds_decides_then() {
        assert_eq!(found(&["room", "when", "t"], &["a", "2014-04-01 00:00:00", "21.5"], None), Ok((1, 2)));
        assert_eq!(found(&["n", "t"], &["1396310700", "21.5"], None), Ok((0, 1)));
        assert_eq!(found(&["time", "temperature"], &["2014-04-01", "broken"], None), Ok((0, 1)));
    }

    #[test]
    fn who_cannot_tell_asks() {
        let several = found(&["time", "a", "b"], &["2014-04-01", "1", "2"], None).unwrap_err();
        assert!(several.contains("several") && several.contains("time, a, b"), "{several}");
        let none = found(&["time", "a", "b"], &["2014-04-01", "x", "NaN"], None).unwrap_err();
        assert!(none.contains("none with numbers"), "{none}");
        let unknown = found(&["time", "a"], &[], Some("b")).unwrap_err();
        assert!(unknown.contains("no column `b`"), "{unknown}");
        assert!(found(&["time"], &["2014-04-01"], None).is_err());
    }
}
