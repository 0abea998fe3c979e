//! The time of day, as far as the network has told it.

use crate::board::Link;

/// How often the network is asked again while the time is known, and while it is not.
const REFRESH_SECONDS: u32 = 24 * 3600;
const RETRY_SECONDS: u32 = 3600;

/// No node measured before: 2024-01-01. An earlier answer is a network that does not know the time itself.
const EARLIEST: u32 = 1_704_067_200;

#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The time of day when the node started.
    started_at: Option<u32>,
    /// Seconds since the start.
    ask_at: u32,
}

impl Clock {
    /// The time of day, so many seconds after the start.
    pub(crate) fn unix_time(&self, uptime: u32) -> Option<u32> {
        self.started_at?.checked_add(uptime)
    }

    /// Asks the network, if it is time to.
    pub(crate) async fn refresh(&mut self, uptime: u32, link: &mut impl Link) {
        if uptime < self.ask_at {
            return;
        }
        let answer = link.unix_time().await.filter(|time| *time >= EARLIEST);
        if let Some(started_at) = answer.and_then(|time| time.checked_sub(uptime)) {
            self.started_at = Some(started_at);
        }
        let wait = if answer.is_some() { REFRESH_SECONDS } else { RETRY_SECONDS };
        self.ask_at = uptime.saturating_add(wait);
    }
}
