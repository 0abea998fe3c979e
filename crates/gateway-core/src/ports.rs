//! The seams: what an adapter, a detector and a clock are to the gateway.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use crate::target::{Message, Prepare, Target};
use crate::{Ack, AdapterId, Condition, MemoryPermit, Moment, Score, Timestamp, Uplink};

/// Tells the time. Only the gateway's pipeline and its adapters hold one; everything else is given `now`.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;
}

/// How an adapter is doing, for `health` and for the status's `online`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterState {
    /// Not there yet.
    #[default]
    Starting,
    /// Its listener is bound, or its first subscriptions are acknowledged.
    Up,
    /// Not working; it tries again by itself.
    Down {
        /// Why, for people.
        reason: String,
    },
}

/// A command for a device behind an adapter: an action of an alert, or one from upstream.
#[derive(Debug)]
pub struct Command {
    /// Where to; only the adapter reads it.
    pub target: Target,
    /// The bytes to send.
    pub payload: Bytes,
    /// Answered once the link has taken it: acknowledged, where the link does that.
    pub done: oneshot::Sender<Result<(), CommandError>>,
}

/// Why a command did not reach its link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No connection, or it was lost before the other side took the command.
    #[error("{adapter} is not connected; the command was not sent")]
    NotConnected {
        /// Which adapter.
        adapter: AdapterId,
    },
    /// As many commands as may wait are waiting.
    #[error("{adapter} has too many commands waiting; the command was not sent")]
    Busy {
        /// Which adapter.
        adapter: AdapterId,
    },
    /// The device is out of reach.
    #[error("{adapter} does not reach the device: {reason}; the command was not sent")]
    Unreachable {
        /// Which adapter.
        adapter: AdapterId,
        /// Why.
        reason: String,
    },
    /// It was sent, and nothing says what became of it.
    #[error("{adapter} has no answer to the command ({reason}); the device may have followed it or not")]
    Unanswered {
        /// Which adapter.
        adapter: AdapterId,
        /// Why.
        reason: String,
    },
    /// The link cannot carry this command, or the device does not want it.
    #[error("{adapter} could not give this command: {reason}")]
    Refused {
        /// Which adapter.
        adapter: AdapterId,
        /// Why, and what would be allowed.
        reason: String,
    },
}

/// What an adapter is given to live on.
pub struct AdapterContext {
    /// Where uplinks go, in batches; bounded: a slow pipeline holds the adapter back, and the adapter its link.
    pub uplinks: mpsc::Sender<Vec<Uplink>>,
    /// Commands for its devices.
    pub commands: mpsc::Receiver<Command>,
    /// Where it tells how it is doing.
    pub condition: Condition,
    /// The time of arrival.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the gateway stops: stop taking, hand over what was taken, return.
    pub stop: CancellationToken,
}

/// An adapter that gave up; its supervisor starts it again after a pause.
#[derive(Debug, thiserror::Error)]
#[error("{adapter}: {reason}")]
pub struct AdapterError {
    /// Which.
    pub adapter: AdapterId,
    /// What went wrong, and what to do.
    pub reason: String,
}

/// A link to devices. Runs until stopped; lost connections are its own business, an error means that it cannot go on
/// by itself: then, and after a panic, it is thrown away and another is made.
#[async_trait]
pub trait Adapter: Send {
    /// Its name: `kind.name`.
    fn id(&self) -> &AdapterId;

    /// Runs until `context.stop`.
    async fn run(&mut self, context: &mut AdapterContext) -> Result<(), AdapterError>;
}

/// Who sent a QoS 1 or 2 message to the embedded broker, and whether for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its client id.
    pub client: Arc<str>,
    /// The same when the message is sent again.
    pub packet_id: u16,
    /// The client says that it sent this before (DUP): its acknowledgement was lost.
    pub again: bool,
}

/// A message that a client published to the embedded broker, handed over within the process.
#[derive(Debug)]
pub struct LocalMessage {
    /// What it was published to.
    pub topic: Arc<str>,
    /// The bytes.
    pub payload: Bytes,
    /// None at QoS 0, which is never sent again.
    pub origin: Option<Origin>,
    /// How many QoS 0 messages before it were lost for want of memory.
    pub lost_before: u32,
    /// Its part of the memory for what is under way.
    pub permit: MemoryPermit,
    /// The client of a QoS 1 or 2 message is acknowledged when this is told; dropped untold, its connection ends, and
    /// it sends again.
    pub ack: Ack,
}

/// The embedded broker, as an adapter sees it.
pub trait LocalBroker: Send + Sync {
    /// From now on the messages that `adapter` wants come here and nowhere else. Bounded: while it is full, and while
    /// nobody reads in an adapter's name, the clients concerned wait.
    fn attach(&self, adapter: &AdapterId) -> mpsc::Receiver<LocalMessage>;
}

/// Judges one series, reading by reading, in order, without looking ahead.
pub trait Detector: Send {
    /// Scores `value` against what was seen before, then learns from it.
    fn observe(&mut self, moment: Moment, value: f64) -> Score;
}
