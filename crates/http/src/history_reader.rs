//! Reads the history for the API: on threads that may wait for a disk, two questions at a time, so that no number of
//! browsers takes the gateway's time or memory.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use history::{Handle, HistoryError, Store};
use pipeline::clock::monotonic;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::problem::Problem;

/// Questions at a time.
const AT_A_TIME: usize = 2;
/// How long a question waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// What waits to be written is written for who reads, at most so often: flash wears out. And how long that may take.
const FRESH: Duration = Duration::from_secs(5);
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// The gateway's history: its file, and who writes it.
#[derive(Clone)]
pub struct HistorySource {
    pub path: PathBuf,
    pub writer: Handle,
}

/// The history as the overview shows it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HistoryView {
    /// The start of the oldest window.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// On the disk.
    bytes: u64,
}

/// The history's readers. Clones share them.
#[derive(Clone)]
pub(crate) struct HistoryReader(Option<Arc<Shared>>);

struct Shared {
    path: PathBuf,
    writer: Handle,
    written: Mutex<Option<Instant>>,
    turns: Semaphore,
    /// Open files that nobody reads now, by their inodes: a damaged file is put aside, and another takes its path.
    idle: Mutex<Vec<(u64, Store)>>,
}

impl HistoryReader {
    pub(crate) fn new(source: Option<HistorySource>) -> Self {
        Self(source.map(|HistorySource { path, writer }| {
            Arc::new(Shared {
                path,
                writer,
                written: Mutex::default(),
                turns: Semaphore::new(AT_A_TIME),
                idle: Mutex::default(),
            })
        }))
    }

    /// What `question` finds, the newest windows included; none without a history, and before its first window is written.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Store) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<Option<T>, Problem> {
        let Some(shared) = &self.0 else { return Ok(None) };
        shared.write_what_waits().await;
        self.read_written(question).await
    }

    /// The same of what is written already: costs the flash nothing.
    async fn read_written<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Store) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<Option<T>, Problem> {
        let Some(shared) = self.0.clone() else { return Ok(None) };
        let busy = || Problem::unavailable("too many questions to the history at once; try again");
        let turn = tokio::time::timeout(TURN_TIMEOUT, shared.turns.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let reader = Arc::clone(&shared);
        let answer = tokio::task::spawn_blocking(move || reader.answer(question)).await;
        let unreadable = |why: String| {
            tracing::warn!("the history cannot be read: {why}");
            Problem::unavailable("the history cannot be read now; the log says why")
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unreadable(gateway_core::chain(&error))),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// The file, for what takes long; none without a history.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|shared| shared.path.as_path())
    }

    pub(crate) async fn view(&self) -> Option<HistoryView> {
        let view = self.read_written(|store| {
            let from = store.span()?.map(|(from, _)| from.to_string());
            Ok(HistoryView { from, bytes: store.used_bytes()? })
        });
        view.await.ok().flatten()
    }
}

impl Shared {
    async fn write_what_waits(&self) {
        {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            if written.is_some_and(|at| monotonic().duration_since(at) < FRESH) {
                return;
            }
            *written = Some(monotonic());
        }
        let _ = tokio::time::timeout(WRITE_TIMEOUT, self.writer.written()).await;
    }

    fn answer<T>(
        &self,
        question: impl FnOnce(&Store) -> Result<T, HistoryError>,
    ) -> Result<Option<T>, HistoryError> {
        let inode = std::fs::metadata(&self.path).map_or(0, |file| file.ino());
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let store = match idle {
            Some((opened, store)) if opened == inode => store,
            _ => match Store::open_read_only(&self.path) {
                Ok(store) => store,
                // The writer has not begun it yet.
                Err(_) if !self.path.exists() => return Ok(None),
                Err(HistoryError::Empty { .. }) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        let answer = question(&store)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((inode, store));
        Ok(Some(answer))
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Timestamp;
    use history::{Options, Row, Summary};
    use pipeline::clock::SystemClock;

    use super::*;

    fn store_one(path: &Path, device: &str) {
        let summary = Summary { avg: 21.0, min: 20.0, max: 22.0, std: 0.5, count: 30 };
        let start = Timestamp::from_millis(1_795_168_800_000);
        let end = Timestamp::from_millis(1_795_169_100_000);
        let row = Row { start, end, revision: 0, metrics: vec![("temperature".into(), summary)] };
        Store::open(path).unwrap().append(&[(device.into(), row)]).unwrap();
    }

    #[tokio::test]
    async fn reads_the_file_that_has_taken_the_place_of_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        store_one(&path, "before");
        let day = Duration::from_secs(86_400);
        let options = Options {
            path: folder.path().join("other.db"),
            keep: day,
            keep_hours: day,
            keep_days: day,
            readings: Duration::ZERO,
            max_bytes: 1 << 30,
        };
        let (writer, _thread) = history::spawn(options, Arc::new(SystemClock)).unwrap();
        let reader = HistoryReader::new(Some(HistorySource { path: path.clone(), writer }));
        let devices = || reader.read(Store::devices);
        assert_eq!(devices().await.unwrap().unwrap(), [Box::from("before")]);
        std::fs::rename(&path, folder.path().join("history.db.damaged-1")).unwrap();
        assert_eq!(devices().await.unwrap(), None);
        store_one(&path, "after");
        assert_eq!(devices().await.unwrap().unwrap(), [Box::from("after")]);
    }
}
