//! The models of devices as a whole on disk: `models/` in the data directory, written by `riser train`.
//!
//! A file that is damaged or of a later version is told and left out; it keeps nothing else from running.

use std::path::{Path, PathBuf};

use anomaly::multivariate::file::{self, Stored};

/// Most models that are used; the rest is told and left out.
const MAX_MODELS: usize = 4_096;

/// Where they lie.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("models")
}

/// All that can be used.
pub(crate) fn load(data_dir: &Path) -> Vec<Stored> {
    let (mut models, problems) = file::read_all(&folder(data_dir));
    for problem in problems {
        tracing::warn!("{}; its device goes without a model of its own", crate::telemetry::chain(&problem));
    }
    if models.len() > MAX_MODELS {
        tracing::warn!("{} models are too many; {MAX_MODELS} are used", models.len());
        models.truncate(MAX_MODELS);
    }
    models
}
