//! Time, sleep, chance and the watchdog, which restarts a node that gives no sign of life for ten minutes.

use embassy_nrf::Peri;
use embassy_nrf::peripherals::WDT;
use embassy_nrf::wdt::{Config, HaltConfig, Watchdog, WatchdogHandle};
use embassy_time::{Duration, Instant, Timer};
use node_core::Board;

const WATCHDOG_SECONDS: u32 = 600;
const FEED_EVERY: Duration = Duration::from_secs(300);
const TICKS_PER_SECOND: u32 = 32_768;

/// The chip.
pub(crate) struct Nrf {
    watchdog: Option<WatchdogHandle>,
    random: u32,
}

impl Nrf {
    pub(crate) fn new(watchdog: Peri<'static, WDT>, seed: u32) -> Self {
        let mut config = Config::default();
        config.timeout_ticks = WATCHDOG_SECONDS * TICKS_PER_SECOND;
        config.action_during_debug_halt = HaltConfig::Pause;
        // It fails only if it ran already with other settings, as a bootloader may leave it.
        let watchdog = Watchdog::try_new::<_, 1>(watchdog, config).ok().map(|(_, [handle])| handle);
        // Zero is the one state that xorshift never leaves.
        Self { watchdog, random: seed | 1 }
    }
}

impl Board for Nrf {
    fn uptime_ms(&mut self) -> u64 {
        Instant::now().as_millis()
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        let wake_at = Instant::from_millis(uptime_ms);
        loop {
            self.feed_watchdog();
            let now = Instant::now();
            if now >= wake_at {
                break;
            }
            // Nothing else runs: the executor waits for the clock in System ON.
            Timer::at(wake_at.min(now + FEED_EVERY)).await;
        }
    }

    fn feed_watchdog(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.pet();
        }
    }

    fn random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}
