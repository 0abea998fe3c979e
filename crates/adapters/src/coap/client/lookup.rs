//! Looking up where a device is, each time anew: its name may lead elsewhere than the last time.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::driver::Who;
use super::url::CoapUrl;

/// How long the system may take to look a name up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Names that are looked up at once for what is observed. Commands do not wait for each other.
const AT_ONCE: usize = 8;

/// What came of a look-up.
pub(super) struct Found {
    pub(super) who: Who,
    pub(super) url: Arc<CoapUrl>,
    /// Where the device may be, or why nobody knows.
    pub(super) addresses: Result<Vec<SocketAddr>, String>,
}

pub(super) struct Lookups {
    running: JoinSet<Found>,
    turns: Arc<Semaphore>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        Self { running: JoinSet::new(), turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Begins to look for the device of `url`.
    pub(super) fn begin(&mut self, who: Who, url: Arc<CoapUrl>) {
        let turns = Arc::clone(&self.turns);
        self.running.spawn(async move {
            // Never closed, so never an error.
            let turn = match who {
                Who::Observed(_) => turns.acquire().await.ok(),
                Who::Command(_) => None,
            };
            let addresses = look_up(&url).await;
            drop(turn);
            Found { who, url, addresses }
        });
    }

    /// The next that is done. Safe to cancel.
    pub(super) async fn next(&mut self) -> Found {
        loop {
            match self.running.join_next().await {
                Some(Ok(found)) => return found,
                // It neither panics nor is it aborted.
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }
}

async fn look_up(url: &CoapUrl) -> Result<Vec<SocketAddr>, String> {
    let host = url.host();
    match tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, url.port()))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(format!("cannot look up {host}: {error}")),
        Err(_) => Err(format!("cannot look up {host}: no answer within {PATIENCE:?}")),
    }
}
