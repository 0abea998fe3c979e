//! The cloud broker: everything that the outbox holds goes there, at QoS 1, and is deleted when the broker has it.
//!
//! Promises:
//! - An entry leaves the outbox on PUBACK, or when the broker refuses it for good (then it is counted as refused). What
//!   was under way when a connection broke is sent again: at least once, in the order of the outbox.
//! - Urgent entries go before all others, also in the middle of a backlog.
//! - The retained status says `online` while we are connected and the gateway has said so, else `offline` (last will).
//! - Messages that are worth nothing later (health) are sent while connected and dropped otherwise.

pub mod check;
mod compress;
pub mod config;
mod direct;
mod pump;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gateway_core::ports::Clock;
use mqtt_link::{Options, Will};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use config::Compression;
pub use direct::Direct;
use pump::Pump;

/// Health messages that may wait for the pump; it takes them at once.
const WAITING_DIRECTS: usize = 16;

/// What the connection to the cloud is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connection; its last will is set here.
    pub link: Options,
    /// Messages under way at once; at most [`mqtt_link::Publisher::WINDOW`].
    pub max_in_flight: u16,
    /// Applied to every payload from the outbox.
    pub compression: Compression,
    /// Topic of the retained status.
    pub status_topic: String,
    /// What the status says when we are gone.
    pub offline: Bytes,
}

/// How the connection is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the broker answers.
    pub connected: bool,
    /// Why it did not, the last time it did not.
    pub last_error: Option<String>,
    /// Messages from the outbox that the broker has acknowledged since the start.
    pub published: u64,
}

/// The task that empties the outbox.
#[derive(Debug)]
pub struct Upstream {
    directs: mpsc::Sender<Direct>,
    status: watch::Sender<Option<Bytes>>,
    state: watch::Receiver<State>,
    /// What the status says at the end.
    farewell: Arc<OnceLock<Bytes>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A way to say something beside the outbox. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Speaker {
    directs: mpsc::Sender<Direct>,
    status: watch::Sender<Option<Bytes>>,
    state: watch::Receiver<State>,
}

impl Upstream {
    /// Starts to connect and to send. A broker that is away is no error: the outbox fills meanwhile.
    #[must_use]
    pub fn start(mut settings: Settings, outbox: outbox::Handle, clock: Arc<dyn Clock>) -> Self {
        settings.link.last_will = Some(Will {
            topic: settings.status_topic.clone(),
            payload: settings.offline.clone(),
            retain: true,
        });
        let (directs, direct_receiver) = mpsc::channel(WAITING_DIRECTS);
        let (status, status_receiver) = watch::channel(None);
        let (state_sender, state) = watch::channel(State::default());
        let stop = CancellationToken::new();
        let farewell = Arc::new(OnceLock::new());
        let pump = Pump::new(
            settings,
            outbox,
            clock,
            direct_receiver,
            status_receiver,
            Arc::clone(&farewell),
            state_sender,
        );
        let task = tokio::spawn(pump.run(stop.clone()));
        Self { directs, status, state, farewell, stop, task }
    }

    /// A way to say something beside the outbox.
    #[must_use]
    pub fn speaker(&self) -> Speaker {
        Speaker { directs: self.directs.clone(), status: self.status.clone(), state: self.state.clone() }
    }

    /// Waits a bounded time for what is under way, says `farewell` (`offline`, as of now) and disconnects.
    pub async fn stop(self, farewell: Bytes) {
        // Set once, here: `stop` takes the whole.
        let _ = self.farewell.set(farewell);
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the connection to the cloud ended oddly: {error}");
        }
    }
}

impl Speaker {
    /// What the retained status says from now on, at every connection.
    pub fn set_status(&self, payload: Bytes) {
        self.status.send_replace(Some(payload));
    }

    /// Sends a message that is worth nothing later; whether there was room for it.
    #[must_use]
    pub fn say(&self, direct: Direct) -> bool {
        self.directs.try_send(direct).is_ok()
    }

    /// How the connection is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }
}
