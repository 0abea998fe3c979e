//! A simulated radio: advertisements of a simulated building reach the gateway as if BlueZ had received them.

use tokio::sync::{broadcast, mpsc};

use crate::scan_result::ScanResult;

/// Advertisements queued for each receiver.
const CAPACITY: usize = 1_024;

/// Sends to every [`crate::Radio`] that was started with a clone of it.
#[derive(Debug, Clone)]
pub struct SimulatedRadio(broadcast::Sender<ScanResult>);

impl Default for SimulatedRadio {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl SimulatedRadio {
    /// Sends an advertisement. Returns whether any radio receives it.
    pub fn advertise(&self, result: ScanResult) -> bool {
        self.0.send(result).is_ok()
    }

    /// Forwards the advertisements to a radio as long as it exists.
    pub(crate) async fn relay(self, to: mpsc::Sender<ScanResult>) {
        let mut results = self.0.subscribe();
        loop {
            let result = match results.recv().await {
                Ok(result) => result,
                // As on the air, a slow receiver misses advertisements.
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if to.send(result).await.is_err() {
                return;
            }
        }
    }
}
