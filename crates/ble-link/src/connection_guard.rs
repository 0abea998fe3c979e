//! A connection to a device that does not outlive its guard, also if the future that opened it is dropped.

/// What can end a connection or a connection attempt.
pub(crate) trait Disconnect: Clone + Send + Sync + 'static {
    /// A failure means that there is no connection.
    fn disconnect(&self) -> impl Future<Output = ()> + Send;
}

/// A connection that was opened at our request. Disconnects when it is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard<C: Disconnect> {
    pub(crate) connection: C,
    is_open: bool,
}

impl<C: Disconnect> ConnectionGuard<C> {
    pub(crate) fn new(connection: C) -> Self {
        Self { connection, is_open: true }
    }

    /// Disconnects and waits for that.
    pub(crate) async fn close(mut self) {
        self.is_open = false;
        self.connection.disconnect().await;
    }
}

impl<C: Disconnect> Drop for ConnectionGuard<C> {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_open {
            let connection = self.connection.clone();
            runtime.spawn(async move { connection.disconnect().await });
        }
    }
}
