//! The traits between the gateway and its parts: clock, adapter, embedded broker, detector.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use crate::target::{Fill, Message, Prepare, Target};
use crate::{Ack, AdapterId, Condition, MemoryPermit, Moment, Score, Timestamp, Uplink};

/// The wall clock. Only the pipeline and the adapters have one; all other code gets `now` as an argument.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The state of an adapter, for `health` and for `online` in the status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterState {
    /// Not ready yet.
    #[default]
    Starting,
    /// Its listener is bound, or its first subscriptions are acknowledged.
    Up,
    /// It does not work, and tries again by itself.
    Down {
        /// The reason, as text for people.
        reason: String,
    },
}

/// A command for a device behind an adapter: an action of an alert, or one from upstream.
#[derive(Debug)]
pub struct Command {
    /// The destination; only the adapter reads it.
    pub target: Target,
    /// The bytes to send.
    pub payload: Bytes,
    /// Receives the result: `Ok` when the link has accepted the command, or acknowledged it if the link does so.
    pub done: oneshot::Sender<Result<(), CommandError>>,
}

/// Why a command was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no connection, or it was lost before the other side accepted the command.
    #[error("{adapter} is not connected; the command was not sent")]
    NotConnected {
        /// The adapter.
        adapter: AdapterId,
    },
    /// The queue of commands is full.
    #[error("{adapter} has too many commands waiting; the command was not sent")]
    Busy {
        /// The adapter.
        adapter: AdapterId,
    },
    /// The device is out of reach.
    #[error("{adapter} does not reach the device: {reason}; the command was not sent")]
    Unreachable {
        /// The adapter.
        adapter: AdapterId,
        /// The reason.
        reason: String,
    },
    /// It was sent, but no answer says whether it was executed.
    #[error("{adapter} got no answer to the command ({reason}); the device may or may not have executed it")]
    Unanswered {
        /// The adapter.
        adapter: AdapterId,
        /// The reason.
        reason: String,
    },
    /// The link cannot carry this command, or the device refuses it.
    #[error("{adapter} could not send this command: {reason}")]
    Refused {
        /// The adapter.
        adapter: AdapterId,
        /// The reason, and what is allowed.
        reason: String,
    },
}

impl CommandError {
    /// Whether the command has certainly not been executed, and another try may succeed.
    #[must_use]
    pub const fn may_be_tried_again(&self) -> bool {
        match self {
            Self::NotConnected { .. } | Self::Busy { .. } | Self::Unreachable { .. } => true,
            Self::Unanswered { .. } | Self::Refused { .. } => false,
        }
    }
}

/// The channels and handles of a running adapter.
pub struct AdapterContext {
    /// Takes uplinks in batches. It is bounded: a slow pipeline slows the adapter down, and the adapter its link.
    pub uplinks: mpsc::Sender<Vec<Uplink>>,
    /// Commands for its devices.
    pub commands: mpsc::Receiver<Command>,
    /// Takes reports of the adapter's state.
    pub condition: Condition,
    /// Gives the time of arrival.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the gateway stops: stop receiving, pass on the messages received, return.
    pub stop: CancellationToken,
}

/// An adapter stopped with an error; its supervisor starts it again after a pause.
#[derive(Debug, thiserror::Error)]
#[error("{adapter}: {reason}")]
pub struct AdapterError {
    /// The adapter.
    pub adapter: AdapterId,
    /// The error and its remedy.
    pub reason: String,
}

/// A link to devices. It runs until stopped, and reconnects by itself. After an error or a panic it is dropped, and a new
/// one is made.
#[async_trait]
pub trait Adapter: Send {
    /// The id `kind.name`.
    fn id(&self) -> &AdapterId;

    /// Runs until `context.stop`.
    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError>;
}

/// The sender of a QoS 1 or 2 message to the embedded broker, and whether it repeats the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its client id.
    pub client: Arc<str>,
    /// Its user name: each user has client ids of his own.
    pub user: Option<Arc<str>>,
    /// The packet id; the same when the message is sent again.
    pub packet_id: u16,
    /// The client has set DUP: it sends the message again, because the acknowledgement was lost.
    pub again: bool,
}

/// A message that a client published to the embedded broker.
#[derive(Debug)]
pub struct LocalMessage {
    /// The topic it was published to.
    pub topic: Arc<str>,
    /// The bytes.
    pub payload: Bytes,
    /// `None` at QoS 0, because such a message is never sent again.
    pub origin: Option<Origin>,
    /// How many earlier QoS 0 messages were lost because the queue was full.
    pub lost_before: u32,
    /// Its part of the memory budget.
    pub memory: MemoryPermit,
    /// The client of a QoS 1 or 2 message is acknowledged when this is completed. If this is dropped, the client's
    /// connection is closed and the client sends again.
    pub ack: Ack,
}

/// The embedded broker, as an adapter sees it.
pub trait LocalBroker: Send + Sync {
    /// Returns the queue of the messages for `adapter`, and replaces an earlier one. It is bounded: while it is full, or
    /// while no receiver exists, the clients concerned wait.
    fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage>;

    /// Publishes a message at QoS 1. When this returns, it is where it must be: sent to the clients that are connected, kept
    /// for those with a session that are not.
    fn publish(&self, topic: &str, payload: Bytes);
}

/// Scores one series, reading by reading, in order, without looking ahead.
pub trait Detector: Send {
    /// Scores `value` against the earlier values, then learns from it.
    fn observe(&mut self, moment: Moment, value: f64) -> Score;
}
