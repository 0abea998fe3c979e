//! Time, sleep, chance and the watchdog. The watchdog restarts a node whose executor hangs (8 s) or whose work does (5 minutes
//! after the last sign of life).

use core::sync::atomic::{AtomicU32, Ordering};

use embassy_executor::Spawner;
use embassy_rp::clocks::RoscRng;
use embassy_rp::watchdog::Watchdog;
use embassy_time::{Duration, Instant, Timer};
use node_core::Board;

/// The longest that the chip's watchdog counts is 8.38 s.
const WATCHDOG: Duration = Duration::from_secs(8);
const FEED_EVERY: Duration = Duration::from_secs(2);
/// A delivery ends within two minutes.
const LONGEST_WORK_SECONDS: u32 = 300;

/// Until when the node may stay without a sign of life, in seconds since the start.
static ALIVE_UNTIL: AtomicU32 = AtomicU32::new(LONGEST_WORK_SECONDS);

fn seconds(instant: Instant) -> u32 {
    u32::try_from(instant.as_secs()).unwrap_or(u32::MAX)
}

#[embassy_executor::task]
async fn feed(mut watchdog: Watchdog) {
    while seconds(Instant::now()) < ALIVE_UNTIL.load(Ordering::Relaxed) {
        watchdog.feed(WATCHDOG);
        Timer::after(FEED_EVERY).await;
    }
}

/// Starts it, and the task that feeds it: a sleep of the node is longer than the watchdog.
pub(crate) fn start_watchdog(spawner: Spawner, mut watchdog: Watchdog) {
    watchdog.pause_on_debug(true);
    watchdog.start(WATCHDOG);
    // An error would mean that the task runs already.
    if let Ok(task) = feed(watchdog) {
        spawner.spawn(task);
    }
}

/// The chip.
pub(crate) struct Pico {
    random: RoscRng,
}

impl Pico {
    pub(crate) const fn new(random: RoscRng) -> Self {
        Self { random }
    }
}

impl Board for Pico {
    fn uptime_ms(&mut self) -> u64 {
        Instant::now().as_millis()
    }

    async fn sleep_until(&mut self, uptime_ms: u64) {
        let wake_at = Instant::from_millis(uptime_ms);
        ALIVE_UNTIL.store(seconds(wake_at).saturating_add(LONGEST_WORK_SECONDS), Ordering::Relaxed);
        // All tasks wait: the executor halts the core until an interrupt.
        Timer::at(wake_at).await;
    }

    fn feed_watchdog(&mut self) {
        ALIVE_UNTIL.store(seconds(Instant::now()).saturating_add(LONGEST_WORK_SECONDS), Ordering::Relaxed);
    }

    fn random(&mut self) -> u32 {
        self.random.next_u32()
    }
}
