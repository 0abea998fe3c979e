//! Messages in: subscribes at every connection, hands messages over in batches, acknowledges when told.

use crate::session::{Running, Signal};
use crate::{Message, Options, Qos, RefusedFilter};

/// What a subscriber hears.
#[derive(Debug)]
pub enum Event {
    /// Connected, and the broker has answered every subscription. Messages of a resumed session may come before.
    Up {
        /// The broker remembered us, and sends what was published meanwhile.
        session_present: bool,
        /// Filters that will bring nothing.
        refused: Vec<RefusedFilter>,
    },
    /// A message.
    Message(Message),
    /// The connection is gone, or an attempt to connect failed; it is tried again.
    Down {
        /// Why and what to do, for people.
        reason: String,
    },
}

fn heard(signal: Signal) -> Option<Event> {
    match signal {
        Signal::Message(message) => Some(Event::Message(message)),
        Signal::Up { connected, refused, .. } => {
            Some(Event::Up { session_present: connected.session_present, refused })
        }
        Signal::Down { reason } => Some(Event::Down { reason }),
        Signal::Sent(_) | Signal::Acked { .. } => None,
    }
}

/// A connection that listens. As long as nobody receives, no more than 128 messages are taken from the broker, and a
/// pause longer than the keep-alive costs the connection. Dropped, it vanishes without a DISCONNECT.
#[derive(Debug)]
pub struct Subscriber {
    running: Running,
    batch: Vec<Signal>,
}

impl Subscriber {
    /// Starts to connect, and keeps connected. An invalid filter is reported as [`Event::Down`].
    #[must_use]
    pub fn start(options: Options, filters: Vec<(String, Qos)>) -> Self {
        Self { running: Running::start(options, filters), batch: Vec::new() }
    }

    /// The next event. May be cancelled without loss.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = heard(self.running.signals.recv().await?) {
                return Some(event);
            }
        }
    }

    /// Waits for an event, and appends it and what else is there to `events`, up to `limit`. Returns how many; 0 where
    /// `limit` is. May be cancelled without loss.
    pub async fn recv_many(&mut self, events: &mut Vec<Event>, limit: usize) -> usize {
        let before = events.len();
        self.running.signals.recv_many(&mut self.batch, limit).await;
        events.extend(self.batch.drain(..).filter_map(heard));
        events.len() - before
    }

    /// Sends the acknowledgements told so far, then DISCONNECT; takes a second at most. A persistent session stays.
    pub async fn disconnect(mut self) {
        self.running.disconnect().await;
    }
}
