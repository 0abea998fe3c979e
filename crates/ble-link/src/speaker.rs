//! A radio without a radio: what a simulated building says is heard as if it came through BlueZ.

use tokio::sync::{broadcast, mpsc};

use crate::heard::Heard;

/// Advertisements that are under way.
const ROOM: usize = 1_024;

/// Speaks to every radio that was started with a clone of it.
#[derive(Debug, Clone)]
pub struct Speaker(broadcast::Sender<Heard>);

impl Default for Speaker {
    fn default() -> Self {
        Self(broadcast::Sender::new(ROOM))
    }
}

impl Speaker {
    /// Advertises. Says whether anybody listens.
    pub fn say(&self, heard: Heard) -> bool {
        self.0.send(heard).is_ok()
    }

    /// Hands what is said to a radio, for as long as there is one.
    pub(crate) async fn relay(self, to: mpsc::Sender<Heard>) {
        let mut heard = self.0.subscribe();
        loop {
            let said = match heard.recv().await {
                Ok(said) => said,
                // As in the air: who does not listen in time has missed it.
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if to.send(said).await.is_err() {
                return;
            }
        }
    }
}
