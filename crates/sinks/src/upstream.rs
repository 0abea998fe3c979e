//! The MQTT sink: sends everything in the outbox to the cloud broker at QoS 1, and deletes it when the broker has it.
//!
//! Guarantees:
//! - An entry is deleted from the outbox on PUBACK, or when the broker refuses it permanently (then it is counted as
//!   refused). Entries in flight when a connection breaks are sent again: at least once, in the order of the outbox.
//! - Alerts go before aggregates, also in the middle of a backlog.
//! - The retained status says `online` while the sink is connected and the gateway has set it, else `offline` (last will). With
//!   Sparkplug the last will is NDEATH, so that `offline` is published after a stop only.
//! - Messages without value later (health) are sent while connected and dropped otherwise.

pub mod check;
mod compress;
pub mod config;
mod format;
mod pump;
mod topics;
mod unqueued;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gateway_core::ports::Clock;
use mqtt_link::{MessageAck, Options, Will};
use outbox::SinkHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use config::{Compression, Format};
use pump::Pump;
pub use unqueued::UnqueuedMessage;

/// The name of this sink in the outbox.
pub const NAME: &str = "mqtt.upstream";

/// The queue of health messages for the pump, which reads them at once.
const MAX_UNQUEUED: usize = 16;

/// The settings of the connection to the cloud.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The connection; its last will is set here.
    pub link: Options,
    /// Messages in flight at once; at most [`mqtt_link::Publisher::WINDOW`].
    pub max_in_flight: u16,
    /// What the payloads and topics of records look like.
    pub format: Format,
    /// Applied to every payload from the outbox.
    pub compression: Compression,
    /// `gateway.prefix`: the first levels of all topics; Sparkplug's group.
    pub prefix: String,
    /// The gateway's id: Sparkplug's edge node.
    pub gateway: String,
    /// Topic of the retained status.
    pub status_topic: String,
    /// Payload of the status after the connection was lost (last will).
    pub offline: Bytes,
    /// Who takes the cloud's commands; none where nobody does.
    pub commands: Option<Commands>,
}

/// Where commands come from and go to.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Everything before the device's level: `building/gateways/hq/commands/`.
    pub base: String,
    /// Takes them; one that finds no room is told so.
    pub sender: mpsc::Sender<CloudCommand>,
}

/// A message on a topic of commands. It comes from outside.
#[derive(Debug)]
pub struct CloudCommand {
    /// The topic behind [`Commands::base`].
    pub device: String,
    pub payload: Bytes,
    /// To be sent once it is decided what happens with the command.
    pub ack: MessageAck,
}

/// The state of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Whether the broker answers.
    pub connected: bool,
    /// The last error.
    pub last_error: Option<String>,
    /// Messages from the outbox that the broker has acknowledged since the start.
    pub published: u64,
}

/// The task that empties the outbox.
#[derive(Debug)]
pub struct Upstream {
    unqueued: mpsc::Sender<UnqueuedMessage>,
    status: watch::Sender<Option<Bytes>>,
    state: watch::Receiver<State>,
    /// Payload of the status after a stop.
    last_status: Arc<OnceLock<Bytes>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Publishes messages that do not go through the outbox: status and health. Clones are cheap.
#[derive(Debug, Clone)]
pub struct UpstreamHandle {
    unqueued: mpsc::Sender<UnqueuedMessage>,
    status: watch::Sender<Option<Bytes>>,
    state: watch::Receiver<State>,
}

impl Upstream {
    /// Starts to connect and to send. An unreachable broker is not an error: the outbox stores entries meanwhile.
    #[must_use]
    pub fn start(mut settings: Settings, outbox: SinkHandle, clock: Arc<dyn Clock>) -> Self {
        settings.link.last_will = Some(Will {
            topic: settings.status_topic.clone(),
            payload: settings.offline.clone(),
            retain: true,
        });
        let (unqueued, unqueued_receiver) = mpsc::channel(MAX_UNQUEUED);
        let (status, status_receiver) = watch::channel(None);
        let (state_sender, state) = watch::channel(State::default());
        let stop = CancellationToken::new();
        let last_status = Arc::new(OnceLock::new());
        let pump = Pump::new(
            settings,
            outbox,
            clock,
            unqueued_receiver,
            status_receiver,
            Arc::clone(&last_status),
            state_sender,
        );
        let task = tokio::spawn(pump.run(stop.clone()));
        Self { unqueued, status, state, last_status, stop, task }
    }

    /// The handle for messages that do not go through the outbox.
    #[must_use]
    pub fn handle(&self) -> UpstreamHandle {
        UpstreamHandle {
            unqueued: self.unqueued.clone(),
            status: self.status.clone(),
            state: self.state.clone(),
        }
    }

    /// Waits a bounded time for messages in flight, publishes `last_status` (`offline`) and disconnects.
    pub async fn stop(self, last_status: Bytes) {
        // Set only here, because `stop` consumes `self`.
        let _ = self.last_status.set(last_status);
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!("the connection to the cloud ended unexpectedly: {error}");
        }
    }
}

impl UpstreamHandle {
    /// Sets the payload of the retained status, now and after every connection.
    pub fn set_status(&self, payload: Bytes) {
        self.status.send_replace(Some(payload));
    }

    /// Sends a message without value later. Returns false if the queue is full.
    #[must_use]
    pub fn try_publish_now(&self, message: UnqueuedMessage) -> bool {
        self.unqueued.try_send(message).is_ok()
    }

    /// The state of the connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }
}
