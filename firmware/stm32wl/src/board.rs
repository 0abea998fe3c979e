//! Time, sleep, chance and the watchdog. The watchdog restarts a node that hangs for 30 s, or whose work gives no sign of life
//! for five minutes.

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_executor::Spawner;
use embassy_stm32::Peri;
use embassy_stm32::peripherals::IWDG;
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_time::{Duration, Instant, Timer};
use node_core::Board;

/// The chip's watchdog goes on while the chip sleeps, and counts to 32 s at most; its clock is up to a tenth off.
const WATCHDOG_US: u32 = 28_000_000;
const FEED_EVERY: Duration = Duration::from_secs(20);
/// A delivery ends within two minutes.
const LONGEST_WORK_SECONDS: u32 = 300;

/// Until when the node may stay without a sign of life, in seconds since the start.
static ALIVE_UNTIL: AtomicU32 = AtomicU32::new(LONGEST_WORK_SECONDS);

fn seconds(instant: Instant) -> u32 {
    u32::try_from(instant.as_secs()).unwrap_or(u32::MAX)
}

#[embassy_executor::task]
async fn feed(mut watchdog: IndependentWatchdog<'static, IWDG>) {
    while seconds(Instant::now()) < ALIVE_UNTIL.load(Ordering::Relaxed) {
        watchdog.pet();
        Timer::after(FEED_EVERY).await;
    }
}

/// Starts it, and the task that feeds it: a sleep of the node is longer than the watchdog.
pub(crate) fn start_watchdog(spawner: Spawner, watchdog: Peri<'static, IWDG>) {
    let mut watchdog = IndependentWatchdog::new(watchdog, WATCHDOG_US);
    watchdog.unleash();
    // An error would mean that the task runs already.
    if let Ok(task) = feed(watchdog) {
        spawner.spawn(task);
    }
}

/// The chip.
pub(crate) struct Stm32wl {
    random: u32,
}

impl Stm32wl {
    pub(crate) const fn new(seed: u32) -> Self {
        // Zero is the one state that xorshift never leaves.
        Self { random: seed | 1 }
    }
}

impl Board for Stm32wl {
    fn uptime_ms(&mut self) -> u64 {
        Instant::now().as_millis()
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        let wake_at = Instant::from_millis(uptime_ms);
        ALIVE_UNTIL.store(seconds(wake_at).saturating_add(LONGEST_WORK_SECONDS), Ordering::Relaxed);
        // All tasks wait: the executor stops the chip's clocks.
        Timer::at(wake_at).await;
    }

    fn feed_watchdog(&mut self) {
        ALIVE_UNTIL.store(seconds(Instant::now()).saturating_add(LONGEST_WORK_SECONDS), Ordering::Relaxed);
    }

    fn random(&mut self) -> u32 {
        // Xorshift, started by the chip's generator: that one would keep the chip from stopping its clocks.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}
