//! Writes records to files: JSON lines, CSV or Parquet, a new file each day.
//!
//! Guarantees: a record is acknowledged when it is on the disk; a file under its final name is complete; a record that is
//! written again after a crash stands once. While the disk is full or fails, records wait in the store. See [`folder`].

mod array_line;
pub mod config;
mod folder;
#[cfg(feature = "sink-parquet")]
mod parquet;
#[cfg(not(feature = "sink-parquet"))]
#[path = "file/parquet_left_out.rs"]
mod parquet;
mod rows;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::files::Files;
use gateway_core::findings::{KeyPath, Report};
use gateway_core::ports::Clock;
use gateway_core::settings::{BuildError, ByteSize};
use outbox::Lane;

use self::config::{Config, Format};
use self::folder::{Folder, Layout};
use crate::kind::{Example, Send, SinkKind, Start};
use crate::sink::{Item, Limits, Outcome, Sink, WriteError};

/// How long the names of finished files are looked after at most, so that a clock that is set is noticed.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// A file that is full of acknowledged records gets its final name so long after its time: by then the store has the
/// acknowledgements.
const GRACE: Duration = Duration::from_secs(2);
/// The sink waits while a file becomes Parquet, and a crash meanwhile begins it anew.
const LARGEST_PARQUET: ByteSize = ByteSize::mib(256);

/// The kind `file`.
#[derive(Debug, Clone, PartialEq)]
pub struct FileKind;

impl SinkKind for FileKind {
    const NAME: &'static str = "file";
    const LABEL: &'static str = "files";
    const DOC: &'static str = "Files on this machine: JSON lines, CSV or Parquet, a new one each day.";

    type Table = Config;

    fn example() -> Example {
        Example { name: "export", values: Vec::new() }
    }

    fn read_files(table: &mut Config, _path: &KeyPath, files: &mut Files<'_>) {
        let text = table.path.to_string_lossy().replace("{data_dir}", &files.data_dir.to_string_lossy());
        table.path = files.directory.join(text);
    }

    fn check(table: &Config, path: &KeyPath, report: &mut Report) {
        Send::check(&table.send, path, report);
        if table.rotate.0 < Duration::from_secs(1) {
            report.error(&path.key("rotate"), "must be 1s at least");
        }
        if table.max_size.0 < 1024 {
            report.error(&path.key("max_size"), "must be 1KiB at least");
        }
        if table.format == Format::Parquet {
            if !cfg!(feature = "sink-parquet") {
                let why = gateway_core::left_out("Parquet files", "sink-parquet");
                report.error(&path.key("format"), why);
            }
            if table.max_size > LARGEST_PARQUET {
                let why = format!("must be {LARGEST_PARQUET} at most with format = \"parquet\"");
                report.error(&path.key("max_size"), why);
            }
        }
    }

    fn probe(table: &Config, path: &KeyPath, report: &mut Report) {
        let missing = table.path.ancestors().find(|folder| folder.exists());
        let is_read_only = missing.and_then(|folder| folder.metadata().ok());
        if is_read_only.is_some_and(|found| found.permissions().readonly() || !found.is_dir()) {
            report.warning(&path.key("path"), format!("{} cannot be written to", table.path.display()));
        }
    }

    fn send(table: &Config) -> &[Send] {
        &table.send
    }

    fn start(table: &Config) -> Start {
        table.start
    }

    fn limits(_table: &Config) -> Limits {
        let linger = Duration::from_secs(1);
        Limits { records: 5_000, linger, keeps_batches: true, ..Limits::default() }
    }

    fn build(_path: &KeyPath, table: &Config, clock: &Arc<dyn Clock>) -> Result<Box<dyn Sink>, BuildError> {
        let layout = Layout {
            path: table.path.clone(),
            format: table.format,
            rotate: table.rotate.0,
            max_size: table.max_size.0,
        };
        let (folder, clock) = (Arc::default(), Arc::clone(clock));
        Ok(Box::new(FileSink { layout, folder, is_unsure: false, clock }))
    }
}

/// Writes to one folder.
struct FileSink {
    layout: Layout,
    /// Opened at the first write.
    folder: Arc<Mutex<Option<Folder>>>,
    /// Whether the last write was given up: it may have gone on in its thread.
    is_unsure: bool,
    clock: Arc<dyn Clock>,
}

impl FileSink {
    /// Runs `work` on the folder where it may wait for the disk.
    async fn with_folder<T: std::marker::Send + 'static>(
        &self,
        work: impl FnOnce(&mut Folder) -> io::Result<T> + std::marker::Send + 'static,
    ) -> io::Result<T> {
        let (folder, layout) = (Arc::clone(&self.folder), self.layout.clone());
        let run = move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            if folder.is_none() {
                *folder = Some(Folder::open(layout)?);
            }
            folder.as_mut().map_or_else(|| Err(io::ErrorKind::NotFound.into()), work)
        };
        tokio::task::spawn_blocking(run).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    fn failure(&self, error: &io::Error) -> WriteError {
        let path = self.layout.path.display();
        WriteError::retry(format!(
            "cannot write to {path}: {error}; look at the disk and at the folder's owner"
        ))
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn write(&mut self, batch: &[Item]) -> Result<Vec<Outcome>, WriteError> {
        let lane = batch.first().map_or(Lane::Aggregates, |item| item.lane);
        let lines = rows::lines(self.layout.format, batch);
        let now = self.clock.now();
        let is_again = std::mem::replace(&mut self.is_unsure, true);
        let write = move |folder: &mut Folder| {
            if is_again {
                folder.reopen();
            }
            folder.write(lane, &lines, now)
        };
        let written = self.with_folder(write).await;
        self.is_unsure = false;
        written.map_err(|error| self.failure(&error))?;
        Ok(vec![Outcome::Taken; batch.len()])
    }

    async fn rest(&mut self) -> Result<(), WriteError> {
        let now = self.clock.now();
        let finished = self.with_folder(move |folder| folder.finish_due(now - GRACE)).await;
        let due = finished.map_err(|error| self.failure(&error))?;
        let wait = due.map_or(LONGEST_REST, |due| (due + GRACE).since(now).min(LONGEST_REST));
        tokio::time::sleep(wait.max(Duration::from_millis(100))).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
