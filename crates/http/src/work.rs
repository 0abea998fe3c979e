//! What takes long or much memory, such as checking a configuration: so many at a time, and the rest is told to try again.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;

/// At a time.
const MOST: usize = 2;

/// Turns.
#[derive(Debug)]
pub(crate) struct Work(Arc<Semaphore>);

impl Default for Work {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Work {
    /// A turn, until it is dropped.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = Arc::clone(&self.0).try_acquire_owned();
        turn.map_err(|_| Problem::unavailable("others ask for the same at this moment; try again"))
    }
}
