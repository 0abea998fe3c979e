//! How much is sent and when, and what became of it: the same for every protocol.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

/// How often messages are released, in batches of what is due.
const TICK: Duration = Duration::from_millis(5);
/// The most messages that wait for an acknowledgement.
pub(crate) const MAX_UNACKNOWLEDGED: usize = 1024;
/// How long to wait for the last acknowledgements.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The rate and duration of sending.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Messages per second of all devices, which send in turn.
    pub rate: f64,
    /// The duration from the first contact; `None`: until stopped.
    pub duration: Option<Duration>,
}

impl Load {
    /// # Errors
    /// [`SimulateError::BadRate`] where the rate is not a number above 0.
    pub(crate) fn check(self) -> Result<Self, SimulateError> {
        if self.rate.is_finite() && self.rate > 0.0 {
            Ok(self)
        } else {
            Err(SimulateError::BadRate { rate: self.rate })
        }
    }
}

/// The counts of sent messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Acknowledged messages: over MQTT by the broker's PUBACK, over CoAP by the gateway's 2.04, over LoRaWAN by
    /// the PUSH_ACK to the forwarder, or for confirmed frames by the acknowledgement to the node.
    pub messages: u64,
    /// The readings in them, as the gateway's ledger counts.
    pub readings: u64,
    /// Repeated messages: the connection was lost, an acknowledgement did not come in time, or the gateway was
    /// busy. The gateway may have received them before.
    pub repeated: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages without an answer when the time was up.
    pub unacknowledged: u64,
    /// LoRaWAN devices that could not join and so sent nothing.
    pub not_joined: u64,
}

/// Nothing could be sent.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The rate is not a number above 0.
    #[error("cannot send {rate} messages a second; give a number above 0")]
    BadRate {
        /// The requested rate.
        rate: f64,
    },
    /// The first connection failed; later ones are tried again.
    #[error("cannot reach the target: {reason}")]
    Unreachable {
        /// The reason and the remedy.
        reason: String,
    },
    /// An identity or a key that cannot be used.
    #[cfg(feature = "coap")]
    #[error("the pre-shared key cannot be used")]
    BadKey {
        /// Why.
        #[source]
        source: coap_link::dtls::SetupError,
    },
    /// There are more devices than addresses.
    #[error("{devices} LoRaWAN devices are too many; give at most {most}")]
    TooManyDevices {
        /// The requested number.
        devices: usize,
        /// The limit.
        most: usize,
    },
    /// The gateway answers, but accepts no join request.
    #[error(
        "none of {devices} devices could join: the gateway answers, but not to their join requests. Are their \
         [devices.*] in its gateway.toml (--print-config writes them, with the same --seed and --devices), is its region \
         {region}? In its log and its health, refused_device_unknown and refused_mic show which"
    )]
    NoneJoined {
        /// The number of devices that tried.
        devices: u64,
        /// The region of their channels.
        region: String,
    },
    /// Each device would need its own session.
    #[error(
        "{devices} devices with an identity each are too many; give at most {most}, or one identity for all"
    )]
    TooManyIdentities {
        /// The requested number.
        devices: usize,
        /// The limit.
        most: usize,
    },
}

/// The schedule of a load, starting when this is made.
pub(crate) struct Turns {
    pace: Pace,
    started: Instant,
    ticks: Interval,
}

impl Turns {
    pub(crate) fn new(load: Load) -> Self {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { pace: Pace::new(load), started: Instant::now(), ticks }
    }

    /// Whether the time is up.
    pub(crate) const fn over(&self) -> bool {
        self.pace.over
    }

    /// Waits until [`due`](Self::due) should be called. Cancel safe.
    pub(crate) async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// The number of messages due, at most `free`.
    pub(crate) fn due(&mut self, free: usize) -> usize {
        self.pace.due(self.started.elapsed(), free)
    }
}

/// Computes the number of messages due.
struct Pace {
    load: Load,
    /// Messages released or skipped.
    passed: f64,
    /// The time is up.
    over: bool,
}

impl Pace {
    const fn new(load: Load) -> Self {
        Self { load, passed: 0.0, over: false }
    }

    /// The messages due by `elapsed`, at most `free`; a backlog of more than a second is skipped.
    fn due(&mut self, elapsed: Duration, free: usize) -> usize {
        let elapsed = self.load.duration.map_or(elapsed, |duration| elapsed.min(duration));
        let scheduled = self.whole(elapsed);
        self.passed = self.passed.max(scheduled - self.load.rate.ceil());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates"
        )]
        let due = ((scheduled - self.passed) as usize).min(free);
        #[expect(clippy::cast_precision_loss, reason = "at most MAX_UNACKNOWLEDGED")]
        let released = due as f64;
        self.passed += released;
        self.over = self.load.duration == Some(elapsed);
        due
    }

    fn whole(&self, elapsed: Duration) -> f64 {
        (self.load.rate * elapsed.as_secs_f64() + 1e-6).floor()
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
