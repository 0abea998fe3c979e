//! The clock of the receive windows.

use embassy_time::{Duration, Instant, Timer};

/// Counts from the end of an uplink.
pub(crate) struct WindowTimer(Instant);

impl WindowTimer {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl lorawan_device::async_device::radio::Timer for WindowTimer {
    fn reset(&mut self) {
        self.0 = Instant::now();
    }

    async fn at(&mut self, millis: u64) {
        Timer::at(self.0 + Duration::from_millis(millis)).await;
    }

    async fn delay_ms(&mut self, millis: u64) {
        Timer::after_millis(millis).await;
    }
}
