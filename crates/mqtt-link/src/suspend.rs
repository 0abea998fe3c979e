//! Detects that the machine was suspended. Its connections are dead then, but the sockets do not notice and timers stood
//! still: without this it would take two keep-alive intervals to find out.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Returns after the machine was suspended for more than `threshold` in total since the call.
pub(crate) async fn resumed(threshold: Duration) {
    let before = suspended_time();
    while suspended_time().saturating_sub(before) <= threshold {
        sleep(POLL_INTERVAL).await;
    }
}

/// The time the machine was suspended since boot: `CLOCK_BOOTTIME` minus `CLOCK_MONOTONIC` (clock_gettime(2)).
fn suspended_time() -> Duration {
    let awake = clock_gettime(ClockId::Monotonic);
    let whole = clock_gettime(ClockId::Boottime);
    Duration::try_from(whole - awake).unwrap_or_default()
}
