//! The local history: its thread, and the log of its problems.
//!
//! It is no part of the loss ledger, and nothing depends on it: its problems are logged, and the gateway goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::ports::Clock;
use history::{Handle, Options, Status};
use tokio::sync::watch;

/// How long a stop gives the disk to take what waits.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the history is.
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("history.db")
}

/// Starts the history.
pub fn start(options: Options, clock: Arc<dyn Clock>) -> Option<Handle> {
    match history::spawn(options, clock) {
        // Where `close` is not answered, its disk holds the thread, maybe for ever.
        Ok((handle, _thread)) => {
            tokio::spawn(log(handle.status()));
            Some(handle)
        }
        Err(error) => {
            tracing::error!("there is no history: its thread cannot be started: {error}");
            None
        }
    }
}

/// Writes what waits. A disk that does not answer holds its thread alone, maybe for ever.
pub async fn close(history: &Handle) {
    if tokio::time::timeout(CLOSE_TIMEOUT, history.close()).await.is_err() {
        tracing::error!("the history's disk does not answer; its newest windows are left out");
    }
}

/// Logs each problem once, its end, and what it cost.
async fn log(mut status: watch::Receiver<Status>) {
    let mut logged = Status::default();
    loop {
        let now = status.borrow_and_update().clone();
        if let Some(aside) = now.aside.as_ref().filter(|_| now.aside != logged.aside) {
            let aside = aside.display();
            tracing::error!("the history was damaged; it is kept as {aside}, and a new one is begun");
        }
        match (&logged.trouble, &now.trouble) {
            (None, Some(why)) => {
                tracing::error!("history: {why}; nothing else is affected, and it is tried again");
            }
            (Some(_), None) => {
                let left_out = now.left_out;
                tracing::info!(left_out, "the history can be written again; rows left out since the start");
            }
            _ => {}
        }
        logged = now;
        if status.changed().await.is_err() {
            return;
        }
    }
}
