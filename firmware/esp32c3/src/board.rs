//! Time, sleep, chance and the watchdog. While no task runs the scheduler lets the chip sleep lightly, its RAM kept.

use embassy_time::{Duration, Instant, Timer};
use esp_hal::peripherals::TIMG1;
use esp_hal::rng::Rng;
use esp_hal::timer::timg::{MwdtStage, Wdt};
use node_core::Board;

/// A delivery ends within a few seconds.
const WATCHDOG: esp_hal::time::Duration = esp_hal::time::Duration::from_secs(300);
/// The node wakes to feed the watchdog, whose clock may run in sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// The chip.
pub struct Esp32C3 {
    watchdog: Wdt<TIMG1<'static>>,
    random: Rng,
}

impl Esp32C3 {
    /// Starts the watchdog.
    pub fn start(mut watchdog: Wdt<TIMG1<'static>>) -> Self {
        watchdog.set_timeout(MwdtStage::Stage0, WATCHDOG);
        watchdog.enable();
        Self { watchdog, random: Rng::new() }
    }
}

impl Board for Esp32C3 {
    fn uptime_ms(&mut self) -> u64 {
        Instant::now().as_millis()
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        let longest = Instant::now() + LONGEST_SLEEP;
        Timer::at(longest.min(Instant::from_millis(uptime_ms))).await;
        self.feed_watchdog();
    }

    fn feed_watchdog(&mut self) {
        self.watchdog.feed();
    }

    fn random(&mut self) -> u32 {
        self.random.random()
    }
}
