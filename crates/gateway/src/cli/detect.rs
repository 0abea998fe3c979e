//! `riser detect`: one series of a CSV file through the anomaly model and its rule, strictly in order.
//!
//! What it promises: each row in is one row out, its time and value as they stood; the judgement of a row depends on it
//! and on the rows before it, on nothing else; memory does not grow with the file; where the input can wait (a pipe, a
//! terminal) a row is answered before the next one is read.

use std::path::PathBuf;

use anomaly::Trial;

use self::columns::Columns;
use self::judge::{Judge, Verdict};
use self::output::Output;
use self::table::Table;
use super::{ConfigArg, Exit, Failure, time_text};

mod columns;
mod judge;
mod output;
mod table;

/// Bad rows that are reported one by one; of the others there is a count.
const MAX_REPORTED_ROWS: u64 = 10;

/// Which series, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// CSV with a head line; `-` for stdin
    file: PathBuf,
    /// The column to judge; else `value`, else the only one with numbers
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// Where to write, whole or not at all; else stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Readings to learn on before it may speak
    #[arg(long, value_name = "N")]
    trial: Option<u32>,
    /// How many rows there will be, where you know: it then learns on 15 % of them, at most 750; --trial wins
    #[arg(long, value_name = "N")]
    length: Option<u64>,
    #[command(flatten)]
    config: ConfigArg,
}

impl Args {
    const fn trial(&self) -> Trial {
        match (self.trial, self.length) {
            (Some(readings), _) => Trial::Readings(readings),
            (None, Some(length)) => Trial::OfLength(length),
            (None, None) => Trial::Default,
        }
    }
}

pub(crate) fn detect(args: &Args) -> Result<Exit, Failure> {
    crate::telemetry::start("warn");
    let config = super::run::load_or_default(&args.config)?.config;
    let judge = Judge::new(config.anomaly.threshold, args.trial())
        .map_err(|problem| Failure::new(Exit::Config, problem.to_string()))?;
    let (table, columns) = Table::open(&args.file, args.column.as_deref())?;
    let output = Output::create(args.output.as_deref())?;
    let name = args.file.display().to_string();
    Detection { name, columns, judge, output, rows: 0, bad_rows: 0 }.run(table)
}

/// One run of the command.
struct Detection {
    /// The file's, for messages.
    name: String,
    columns: Columns,
    judge: Judge,
    output: Output,
    rows: u64,
    bad_rows: u64,
}

impl Detection {
    fn run(mut self, mut table: Table) -> Result<Exit, Failure> {
        let mut row = csv::ByteRecord::new();
        while table.next(&mut row)? {
            self.take(&row, table.line(&row))?;
            if table.can_wait() {
                self.output.flush()?;
            }
        }
        self.finish()
    }

    fn take(&mut self, row: &csv::ByteRecord, line: u64) -> Result<(), Failure> {
        self.rows += 1;
        let (time, value) = self.columns.cells(row);
        let verdict = match read(time, value) {
            Ok((moment, number)) => self.judge.observe(moment, number),
            Err(reason) => {
                self.bad_rows += 1;
                if self.bad_rows <= MAX_REPORTED_ROWS {
                    tracing::warn!("{}:{line}: {reason}; this row is not scored", self.name);
                }
                Verdict { score: 0.0, alert: self.judge.is_raised() }
            }
        };
        self.output.write(time, value, verdict)
    }

    fn finish(self) -> Result<Exit, Failure> {
        self.output.finish()?;
        tracing::info!("{} rows; the model's state has {} bytes", self.rows, self.judge.state_bytes());
        let unreported = self.bad_rows.saturating_sub(MAX_REPORTED_ROWS);
        if unreported > 0 {
            tracing::warn!("{}: {unreported} more rows that were not scored", self.name);
        }
        if self.rows > 0 && self.bad_rows == self.rows {
            let message = format!("{}: no row has a time and a number", self.name);
            return Err(Failure::new(Exit::NoInput, message));
        }
        Ok(Exit::Fine)
    }
}

/// What a row says, or why it says nothing.
fn read(time: &[u8], value: &[u8]) -> Result<(gateway_core::Moment, f64), String> {
    let moment = text(time)
        .and_then(time_text::moment)
        .ok_or_else(|| format!("`{}` is not a time like 2014-04-01 00:00:00", shown(time)))?;
    let number = columns::number(value).ok_or_else(|| format!("`{}` is not a number", shown(value)))?;
    Ok((moment, number))
}

fn text(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok()
}

/// A cell as messages show it: short, and nothing in it that a terminal would obey.
fn shown(cell: &[u8]) -> String {
    super::tail::printable(String::from_utf8_lossy(cell.get(..64).unwrap_or(cell)).into_owned())
}
