//! The processor: a clock that may go faster, and sleep.

use std::time::Duration;

use node_core::Board;
use tokio::time::Instant;

pub(crate) struct SimBoard {
    started: Instant,
    speed: f64,
}

impl SimBoard {
    pub(crate) fn new(speed: f64) -> Self {
        Self { started: Instant::now(), speed }
    }
}

impl Board for SimBoard {
    fn uptime_ms(&mut self) -> u64 {
        (self.started.elapsed().as_secs_f64() * self.speed * 1000.0) as u64
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        let wait = uptime_ms.saturating_sub(self.uptime_ms());
        // Rounded up, so that the node does not wake a little too early again and again.
        tokio::time::sleep(
            Duration::from_secs_f64(wait as f64 / 1000.0 / self.speed) + Duration::from_millis(1),
        )
        .await;
    }

    fn feed_watchdog(&mut self) {}

    fn random(&mut self) -> u32 {
        rand::random()
    }
}
