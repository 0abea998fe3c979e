//! Recordings: JSON lines or CSV, read row by row; a bad row is reported with its line, the rest goes on.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use gateway_core::Timestamp;
use serde_json::Value as Json;

use crate::cli::lines::{self, Bounded, Lines};
use crate::cli::{Exit, Failure, time_text};

/// What one device measured at one time.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Row {
    pub(in crate::cli) at: Timestamp,
    pub(in crate::cli) device: String,
    pub(in crate::cli) metrics: Vec<Value>,
}

/// One value; `true` and `false` are states.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Value {
    pub(in crate::cli) metric: String,
    pub(in crate::cli) value: f64,
    pub(in crate::cli) boolean: bool,
}

impl Value {
    fn number(metric: &str, value: f64) -> Self {
        Self { metric: metric.to_owned(), value, boolean: false }
    }

    /// Texts, arrays and null make no metric.
    fn of_json(metric: &str, json: &Json) -> Option<Self> {
        match json {
            Json::Bool(on) => {
                Some(Self { metric: metric.to_owned(), value: f64::from(u8::from(*on)), boolean: true })
            }
            _ => json.as_f64().map(|value| Self::number(metric, value)),
        }
    }
}

/// A row that cannot be read.
#[derive(Debug)]
pub(in crate::cli) struct BadRow {
    pub(in crate::cli) line: u64,
    pub(in crate::cli) reason: String,
}

type Rows = Box<dyn Iterator<Item = Result<Row, BadRow>>>;

/// CSV where the name ends in `.csv`, else JSON lines.
pub(in crate::cli) fn open(path: &Path) -> Result<Rows, Failure> {
    let file = lines::open(path)?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        return csv_rows(file, path);
    }
    let lines = Lines::new(BufReader::new(file)).zip(1..);
    Ok(Box::new(lines.filter_map(|(line, number)| {
        let row = match line {
            Ok(line) if line.trim_ascii().is_empty() => return None,
            Ok(line) => json_row(&line),
            Err(error) => Err(error.to_string()),
        };
        Some(row.map_err(|reason| BadRow { line: number, reason }))
    })))
}

fn json_row(line: &[u8]) -> Result<Row, String> {
    let row: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let at = time(["time", "timestamp", "ts"].iter().find_map(|key| row.get(key)))?;
    let device = row.get("device").and_then(Json::as_str).ok_or("no `device`")?.to_owned();
    let metrics = match (row.get("metrics"), row.get("metric"), row.get("value")) {
        (Some(Json::Object(metrics)), _, _) => {
            metrics.iter().filter_map(|(name, value)| Value::of_json(name, value)).collect()
        }
        (None, Some(Json::String(name)), Some(value)) => {
            vec![Value::of_json(name, value).ok_or("`value` is no number")?]
        }
        _ => return Err("neither `metric` and `value` nor `metrics`".to_owned()),
    };
    Ok(Row { at, device, metrics })
}

/// An RFC 3339 text, or epoch seconds or milliseconds.
pub(in crate::cli) fn time(value: Option<&Json>) -> Result<Timestamp, String> {
    match value {
        Some(Json::String(text)) => at(text),
        Some(Json::Number(number)) => number
            .as_f64()
            .and_then(Timestamp::from_epoch_number)
            .ok_or_else(|| format!("`{number}` is no time since 1970")),
        _ => Err("no `time`".to_owned()),
    }
}

fn at(text: &str) -> Result<Timestamp, String> {
    let moment = time_text::moment(text);
    moment.map(|moment| moment.at).ok_or_else(|| format!("`{text}` is not a time like 2026-11-20T10:00:00Z"))
}

/// What the columns of a CSV file mean.
struct Columns {
    time: usize,
    device: Option<usize>,
    /// `metric` and `value`, or else every other column is a metric.
    long: Option<(usize, usize)>,
    names: Vec<String>,
}

fn csv_rows(file: File, path: &Path) -> Result<Rows, Failure> {
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(Bounded::new(file));
    let columns = reader
        .headers()
        .map_err(|error| error.to_string())
        .and_then(Columns::of)
        .map_err(|reason| Failure::new(Exit::NoInput, format!("{}:1: {reason}", path.display())))?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Box::new(reader.into_records().map(move |record| {
        let record = record.map_err(|error| BadRow {
            line: error.position().map_or(0, csv::Position::line),
            reason: error.to_string(),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        columns.row(&record, &stem).map_err(|reason| BadRow { line, reason })
    })))
}

impl Columns {
    fn of(head: &csv::StringRecord) -> Result<Self, String> {
        let names: Vec<String> = head.iter().map(str::to_owned).collect();
        let find =
            |wanted: &[&str]| names.iter().position(|name| wanted.contains(&name.to_lowercase().as_str()));
        let time =
            find(&["time", "timestamp", "ts"]).ok_or("no column `time`; the first line names the columns")?;
        let long = find(&["metric"]).zip(find(&["value"]));
        let device = find(&["device"]);
        Ok(Self { time, device, long, names })
    }

    /// A file without a `device` column is one device, called like the file.
    fn row(&self, record: &csv::StringRecord, stem: &str) -> Result<Row, String> {
        let at = at(record.get(self.time).unwrap_or_default())?;
        let device = self.device.and_then(|index| record.get(index)).unwrap_or(stem).to_owned();
        if device.is_empty() {
            return Err("no device".to_owned());
        }
        let number = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` is no number"));
        let metrics = match self.long {
            Some((metric, value)) => {
                let name = record.get(metric).filter(|name| !name.is_empty()).ok_or("no metric")?;
                vec![Value::number(name, number(record.get(value).unwrap_or_default())?)]
            }
            None => {
                let mut metrics = Vec::new();
                for (index, (name, cell)) in self.names.iter().zip(record).enumerate() {
                    if index != self.time && Some(index) != self.device && !cell.is_empty() {
                        metrics.push(Value::number(name, number(cell)?));
                    }
                }
                metrics
            }
        };
        Ok(Row { at, device, metrics })
    }
}
