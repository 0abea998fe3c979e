//! Notices that the machine slept. Its connections are dead by then, but their sockets do not know, and all timers
//! stood still: without a look at the clocks it would take two keep-alives to find out.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Ends soon after the machine has woken from a sleep, or several since the call, of more than `longer_than`.
pub(crate) async fn woken(longer_than: Duration) {
    let before = slept();
    while slept().saturating_sub(before) <= longer_than {
        sleep(LOOK_EVERY).await;
    }
}

/// How long the machine has slept since it booted: what `CLOCK_BOOTTIME` counts and `CLOCK_MONOTONIC` does not
/// (clock_gettime(2)).
fn slept() -> Duration {
    let awake = clock_gettime(ClockId::Monotonic);
    let whole = clock_gettime(ClockId::Boottime);
    Duration::try_from(whole - awake).unwrap_or_default()
}
