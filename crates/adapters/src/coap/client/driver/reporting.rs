//! Reports observed resources: values to the pipeline, states to `health` and the log.

use tracing::{debug, info, warn};

use super::super::observed::{Notification, Status};
use super::{Driver, Requester};

impl Driver<'_> {
    /// Queues a value for the pipeline.
    pub(super) fn enqueue(&mut self, index: usize, notification: Option<Notification>) {
        let (Some(notification), Some(following)) = (notification, self.following.get(index)) else { return };
        let follow = following.follow;
        if let Some(complaint) = self.intake.add(follow, notification, self.io.clock.now()) {
            debug!(adapter = %self.io.id, url = %follow.name, "coap: {complaint}");
            self.io.condition.part(&follow.name, status_name(&following.reported), Some(complaint));
        }
    }

    /// Reports a changed status to `health` and the log.
    pub(super) fn report(&mut self, requester: Requester) {
        let Requester::Observed(index) = requester else { return };
        let Some(following) = self.following.get_mut(index) else { return };
        let (status, name, adapter) = (following.observed.status(), &following.follow.name, self.io.id);
        if *status == following.reported {
            return;
        }
        match status {
            Status::Starting => {}
            Status::Observing => info!(%adapter, url = %name, "coap: observing"),
            Status::Polling => {
                let every = following.follow.every;
                info!(%adapter, url = %name, "coap: the device does not support Observe; polling every {every:?}");
            }
            Status::Down(reason) => warn!(%adapter, url = %name, "coap: {reason}; trying again"),
        }
        let error = if let Status::Down(reason) = status { Some(reason.clone()) } else { None };
        self.io.condition.part(name, status_name(status), error);
        following.reported = status.clone();
    }
}

/// The name of a status in `health`.
pub(super) const fn status_name(status: &Status) -> &'static str {
    match status {
        Status::Starting => "starting",
        Status::Observing => "observing",
        Status::Polling => "polling",
        Status::Down(_) => "down",
    }
}
