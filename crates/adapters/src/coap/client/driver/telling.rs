//! What the loop tells others of the resources that it follows: readings to the pipeline, states to `health` and the log.

use tracing::{debug, info, warn};

use super::super::observed::{News, Status};
use super::{Driver, Who};

impl Driver<'_> {
    /// Hands on what a device told.
    pub(super) fn take_in(&mut self, index: usize, news: Option<News>) {
        let (Some(news), Some(following)) = (news, self.following.get(index)) else { return };
        let follow = following.follow;
        if let Some(complaint) = self.intake.add(follow, news, self.io.clock.now()) {
            debug!(adapter = %self.io.id, url = %follow.name, "coap: {complaint}");
            self.io.condition.part(&follow.name, word(&following.told), Some(complaint));
        }
    }

    /// Tells `health` and the log what has changed.
    pub(super) fn tell(&mut self, who: Who) {
        let Who::Observed(index) = who else { return };
        let Some(following) = self.following.get_mut(index) else { return };
        let (status, name, adapter) = (following.observed.status(), &following.follow.name, self.io.id);
        if *status == following.told {
            return;
        }
        match status {
            Status::Starting => {}
            Status::Observing => info!(%adapter, url = %name, "coap: observes"),
            Status::Polling => {
                let every = following.follow.every;
                info!(%adapter, url = %name, "coap: does not let itself be observed; polls every {every:?}");
            }
            Status::Down(reason) => warn!(%adapter, url = %name, "coap: {reason}; trying again"),
        }
        let error = if let Status::Down(reason) = status { Some(reason.clone()) } else { None };
        self.io.condition.part(name, word(status), error);
        following.told = status.clone();
    }
}

/// A status in the word of `health`.
pub(super) const fn word(status: &Status) -> &'static str {
    match status {
        Status::Starting => "starting",
        Status::Observing => "observing",
        Status::Polling => "polling",
        Status::Down(_) => "down",
    }
}
