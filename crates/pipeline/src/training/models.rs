//! The models of devices as a whole on disk: `models/` in the data directory, written by `riser train` and by a gateway
//! that trains by itself; and the windows of the local history that they are fitted to.
//!
//! A file that is damaged or of a later version is logged and left out; it keeps nothing else from running.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anomaly::multivariate::file::{self, Stored};
use anomaly::multivariate::{Fitted, Windows};
use gateway_core::{MetricKind, Timestamp};
use history::{HistoryError, Store};

/// Most models that are used; the rest is logged and left out.
pub const MAX_MODELS: usize = 4_096;

/// `[aggregate.metrics.*] kind`: counters are no part of a model.
pub type Kinds = BTreeMap<String, MetricKind>;

/// What the local history has of a device; of a counter nothing. A window that begins after `now` is of a clock that was
/// wrong.
pub fn windows(store: &Store, device: &str, now: Timestamp, kinds: &Kinds) -> Result<Windows, HistoryError> {
    let mut windows = Windows::default();
    let visited = store.visit(device, Timestamp::from_millis(i64::MIN), now, |row| {
        let averages = row.metrics.iter().map(|(name, summary)| (&**name, summary.avg));
        let averages = averages.filter(|(name, _)| kinds.get(*name) != Some(&MetricKind::Counter));
        windows.push(row.start, row.end, averages);
        ControlFlow::Continue(())
    })?;
    if visited.damaged > 0 {
        tracing::warn!(device, damaged = visited.damaged, "damaged windows of the history are left out");
    }
    Ok(windows)
}

/// What is kept of a fitted model: with whose it is, and the range of its windows.
pub fn stored(device: &str, range: Option<(Timestamp, Timestamp)>, fitted: &Fitted) -> Stored {
    let (from, to) = range.unwrap_or((Timestamp::EPOCH, Timestamp::EPOCH));
    let windows = u32::try_from(fitted.windows).unwrap_or(u32::MAX);
    Stored { device: device.into(), from, to, windows, model: fitted.model.clone() }
}

/// Where they lie.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}

/// All that can be used.
pub fn load(data_dir: &Path) -> Vec<Stored> {
    let (mut models, problems) = file::read_all(&folder(data_dir));
    for problem in problems {
        tracing::warn!("{}; its device has no model now", gateway_core::chain(&problem));
    }
    if models.len() > MAX_MODELS {
        tracing::warn!("{} models are too many; {MAX_MODELS} are used", models.len());
        models.truncate(MAX_MODELS);
    }
    models
}

/// How many there are, usable or not.
pub fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, |entries| {
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "model")).count()
    })
}
