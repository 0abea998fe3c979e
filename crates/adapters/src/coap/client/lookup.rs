//! Looks up the addresses of a device before each connection, because the name may have moved.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::driver::Requester;
use super::url::CoapUrl;

/// The time limit of a look-up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Parallel look-ups for observed resources. Commands do not wait for each other.
const MAX_PARALLEL: usize = 8;

/// The result of a look-up.
pub(super) struct Found {
    pub(super) requester: Requester,
    pub(super) url: Arc<CoapUrl>,
    /// The addresses of the device, or the error.
    pub(super) addresses: Result<Vec<SocketAddr>, String>,
}

pub(super) struct Lookups {
    running: JoinSet<Found>,
    permits: Arc<Semaphore>,
}

impl Lookups {
    pub(super) fn new() -> Self {
        Self { running: JoinSet::new(), permits: Arc::new(Semaphore::new(MAX_PARALLEL)) }
    }

    /// Starts a look-up of the host of `url`.
    pub(super) fn begin(&mut self, requester: Requester, url: Arc<CoapUrl>) {
        let permits = Arc::clone(&self.permits);
        self.running.spawn(async move {
            // Never closed, so never an error.
            let permit = match requester {
                Requester::Observed(_) => permits.acquire().await.ok(),
                Requester::Command(_) => None,
            };
            let addresses = look_up(&url).await;
            drop(permit);
            Found { requester, url, addresses }
        });
    }

    /// The next finished look-up. Cancel safe.
    pub(super) async fn next(&mut self) -> Found {
        loop {
            match self.running.join_next().await {
                Some(Ok(found)) => return found,
                // The task neither panics nor is it aborted.
                Some(Err(_)) => {}
                None => pending().await,
            }
        }
    }
}

async fn look_up(url: &CoapUrl) -> Result<Vec<SocketAddr>, String> {
    let host = url.host();
    match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((host, url.port()))).await {
        Ok(Ok(addresses)) => Ok(addresses.collect()),
        Ok(Err(error)) => Err(format!("cannot look up {host}: {error}")),
        Err(_) => Err(format!("cannot look up {host}: no answer within {LOOKUP_TIMEOUT:?}")),
    }
}
