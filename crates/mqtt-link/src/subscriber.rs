//! Subscriber: subscribes on every connection and delivers messages in batches. The owner acknowledges them.

use crate::session::{ConnectionTask, Signal};
use crate::{Message, Options, Qos, RefusedFilter};

#[derive(Debug)]
pub enum Event {
    /// Connected, and every subscription is answered. Messages of a resumed session may arrive earlier.
    Up {
        /// The broker has kept the session, and delivers what was published meanwhile.
        session_present: bool,
        /// Filters that the broker rejected.
        refused: Vec<RefusedFilter>,
    },
    Message(Message),
    /// The connection ended or an attempt failed; the next attempt follows.
    Down {
        /// What happened and what to do.
        reason: String,
    },
}

fn to_event(signal: Signal) -> Option<Event> {
    match signal {
        Signal::Message(message) => Some(Event::Message(message)),
        Signal::Up { connected, refused, .. } => {
            Some(Event::Up { session_present: connected.session_present, refused })
        }
        Signal::Down { reason } => Some(Event::Down { reason }),
        Signal::Sent(_) | Signal::Acked { .. } => None,
    }
}

/// A subscribing connection. While nothing is received from it, it reads no more than 128 messages; a pause longer than the
/// keep-alive ends the connection. Dropping it closes the connection without a DISCONNECT.
#[derive(Debug)]
pub struct Subscriber {
    connection: ConnectionTask,
    batch: Vec<Signal>,
}

impl Subscriber {
    /// Starts connecting, and reconnects until dropped. An invalid filter is reported as [`Event::Down`].
    #[must_use]
    pub fn start(options: Options, filters: Vec<(String, Qos)>) -> Self {
        Self { connection: ConnectionTask::start(options, filters), batch: Vec::new() }
    }

    /// The next event. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = to_event(self.connection.signals.recv().await?) {
                return Some(event);
            }
        }
    }

    /// Waits for an event and appends it and those already received to `events`, at most `limit`. Returns their number;
    /// 0 if `limit` is 0. Cancel safe.
    pub async fn recv_many(&mut self, events: &mut Vec<Event>, limit: usize) -> usize {
        let before = events.len();
        self.connection.signals.recv_many(&mut self.batch, limit).await;
        events.extend(self.batch.drain(..).filter_map(to_event));
        events.len() - before
    }

    /// Sends pending acknowledgements and DISCONNECT, within one second. A persistent session stays.
    pub async fn disconnect(mut self) {
        self.connection.disconnect().await;
    }
}
