//! The broker's own thread: all connections share it, so that none waits for a lock that another thread has, and messages
//! that come together are handled together.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::BrokerError;

/// How long tasks that block may go on after the end, such as the check of a password.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Ends when it is dropped.
pub(crate) struct BrokerThread {
    runtime: Handle,
    _end: oneshot::Sender<()>,
}

impl BrokerThread {
    pub(crate) fn start() -> Result<Self, BrokerError> {
        let failed = |source| BrokerError::Thread { source };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("broker".to_owned());
        thread
            .spawn(move || {
                // An error: the sender was dropped, which is the end.
                let _ = runtime.block_on(ended);
                runtime.shutdown_timeout(END_TIMEOUT);
            })
            .map_err(failed)?;
        Ok(Self { runtime: handle, _end: end })
    }

    /// Runs `work` on the thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        self.runtime
            .spawn(work)
            .await
            .map_err(|error| BrokerError::Thread { source: io::Error::other(error) })
    }
}
