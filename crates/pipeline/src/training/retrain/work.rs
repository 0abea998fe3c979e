//! One look at the history: finds the devices that are due, and fits one. It blocks, and knows nothing of tasks.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anomaly::multivariate::file::{self, FileError, Stored};
use anomaly::multivariate::{FitError, MIN_WINDOWS, fit};
use gateway_core::Timestamp;
use history::{HistoryError, Store};

use crate::training::models::{self, Kinds, MAX_MODELS};

/// A range that ends farther ahead than the longest window is of a clock that was wrong.
const AHEAD: Duration = Duration::from_secs(8 * 86_400);

/// Why a device has no new model.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    File(#[from] FileError),
    /// No trouble: one metric, or too few windows.
    #[error(transparent)]
    Unfit(#[from] FitError),
    #[error("no thread can be started to train on")]
    Thread(#[from] rayon::ThreadPoolBuildError),
    /// A bug.
    #[error("training broke off; this is a bug, please report what the log has of a panic")]
    Panic,
}

/// One look: where, when, and by which configuration.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) history: PathBuf,
    /// Where the models are.
    pub(super) folder: PathBuf,
    pub(super) kinds: Kinds,
    pub(super) retrain: Duration,
    pub(super) now: Timestamp,
}

/// How far the model of a device reaches.
enum ModelRange {
    Nothing,
    Until(Timestamp),
    /// Of a later version, or not to be read: logged at the start, and left as it is.
    Unreadable,
}

impl Look {
    /// The devices to train, but those that wait. None where nothing was stored yet.
    pub(super) fn due(&self, waiting: &BTreeSet<Box<str>>) -> Result<Vec<Box<str>>, Failure> {
        if !self.history.exists() {
            return Ok(Vec::new());
        }
        let store = match Store::open_read_only(&self.history) {
            Err(HistoryError::Empty { .. }) => return Ok(Vec::new()),
            store => store?,
        };
        let mut free = MAX_MODELS.saturating_sub(models::count(&self.folder));
        let mut due = Vec::new();
        for device in store.devices()? {
            if waiting.contains(&device) {
                continue;
            }
            let is_due = match self.known(&device) {
                ModelRange::Nothing if free > 0 && self.has(&store, &device, None, MIN_WINDOWS)? => {
                    free -= 1;
                    true
                }
                ModelRange::Nothing | ModelRange::Unreadable => false,
                ModelRange::Until(to) => self.has(&store, &device, Some(to + self.retrain), 1)?,
            };
            if is_due {
                due.push(device);
            }
        }
        Ok(due)
    }

    /// Fits a model to all that the history has of a device. linfa spreads over all cores; here it gets one thread.
    pub(super) fn fit(&self, device: &str) -> Result<Stored, Failure> {
        let name = |_| "training".to_owned();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).thread_name(name).build()?;
        pool.install(|| {
            let store = Store::open_read_only(&self.history)?;
            let windows = models::windows(&store, device, self.now, &self.kinds)?;
            drop(store);
            let range = windows.range();
            let fitted = fit(windows, |_| {})?;
            Ok(models::stored(device, range, &fitted))
        })
    }

    fn known(&self, device: &str) -> ModelRange {
        match file::read(&file::path(&self.folder, device)) {
            Ok(stored) if *stored.device == *device && stored.to <= self.now + AHEAD => {
                ModelRange::Until(stored.to)
            }
            Ok(_) | Err(FileError::Damaged { .. }) => ModelRange::Nothing,
            Err(FileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                ModelRange::Nothing
            }
            Err(_) => ModelRange::Unreadable,
        }
    }

    /// Whether the history has so many windows of the device that begin at `from` or later, and not in the future.
    fn has(
        &self,
        store: &Store,
        device: &str,
        from: Option<Timestamp>,
        windows: usize,
    ) -> Result<bool, HistoryError> {
        let from = from.unwrap_or(Timestamp::from_millis(i64::MIN));
        Ok(store.read(device, from, self.now, windows)?.len() >= windows)
    }
}
