//! The scored rows, as CSV.

use std::path::Path;

use super::judge::Verdict;
use crate::cli::output_target::{OutputTarget, Place};
use crate::cli::{Exit, Failure};

const HEAD: [&str; 4] = ["timestamp", "value", "anomaly_score", "alert"];

/// Scored rows under way.
pub(super) struct Output {
    rows: csv::Writer<OutputTarget>,
    place: Place,
    score: String,
}

impl Output {
    /// Writes the head line too.
    ///
    /// # Errors
    /// Where the file cannot be created.
    pub(super) fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let target = OutputTarget::open(path)?;
        let place = target.place();
        let mut output = Self { rows: csv::Writer::from_writer(target), place, score: String::new() };
        let written = output.rows.write_record(HEAD);
        output.done(written)?;
        Ok(output)
    }

    /// One row.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn write(&mut self, time: &[u8], value: &[u8], verdict: Verdict) -> Result<(), Failure> {
        use std::fmt::Write as _;
        self.score.clear();
        let _ = write!(self.score, "{}", verdict.score);
        let alert: &[u8] = if verdict.alert { b"1" } else { b"0" };
        let written = self.rows.write_record([time, value, self.score.as_bytes(), alert]);
        self.done(written)
    }

    /// What was written until now can be read.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.rows.flush();
        flushed.map_err(|error| self.place.failure(&error))
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// Where that cannot be done; what was there before then stays.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Self { rows, place, .. } = self;
        rows.into_inner().map_err(|failed| place.failure(failed.error()))?.finish()
    }

    fn done(&self, written: csv::Result<()>) -> Result<(), Failure> {
        written.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => self.place.failure(&error),
            other => Failure::new(Exit::Software, format!("cannot write a row: {other:?}")),
        })
    }
}
