//! How much is sent and when, and what became of it: the same for every protocol.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

/// How often messages are released, in batches of what is due.
const TICK: Duration = Duration::from_millis(5);
/// How many messages wait for an acknowledgement at most.
pub(crate) const MAX_UNACKNOWLEDGED: usize = 1024;
/// How long to wait for the last acknowledgements.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(10);

/// How much to send.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Messages a second, of all devices together; they take turns.
    pub rate: f64,
    /// For how long, counted from the first contact; `None`: until stopped.
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

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Messages that were acknowledged: over MQTT by the broker's PUBACK, over CoAP by the gateway's 2.04, over LoRaWAN by
    /// the PUSH_ACK that the forwarder gets, or to the node itself where it asks for that.
    pub messages: u64,
    /// The readings in them, as the gateway's ledger counts.
    pub readings: u64,
    /// Messages that were sent again: the connection was lost, an acknowledgement did not come in time, or there was no
    /// room yet. The gateway may have had them before.
    pub repeated: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages without an answer when the time was up.
    pub unacknowledged: u64,
    /// LoRaWAN devices that asked to join and were not answered, so that they could send nothing.
    pub not_joined: u64,
}

/// Why nothing could be sent.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A rate that is no rate.
    #[error("cannot send {rate} messages a second; give a number above 0")]
    BadRate {
        /// What was asked.
        rate: f64,
    },
    /// The first connection failed; later ones are tried again.
    #[error("cannot reach the target: {reason}")]
    Unreachable {
        /// Why and what to do.
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
    /// There are no numbers for so many.
    #[error("{devices} LoRaWAN devices are too many; give at most {most}")]
    TooManyDevices {
        /// How many were asked for.
        devices: usize,
        /// How many can be.
        most: usize,
    },
    /// The gateway is there, and answers no join request.
    #[error(
        "none of {devices} devices could join: the gateway answers, but not to their join requests. Are their \
         [devices.*] in its gateway.toml (--print-config writes them, with the same --seed and --devices), is its region \
         {region}? In its log and its health, refused_device_unknown and refused_mic tell which"
    )]
    NoneJoined {
        /// How many have tried.
        devices: u64,
        /// Whose channels they used.
        region: String,
    },
    /// Each device would need a session of its own.
    #[error(
        "{devices} devices with an identity each are too many; give at most {most}, or one identity for all"
    )]
    TooManyIdentities {
        /// How many were asked for.
        devices: usize,
        /// How many can be.
        most: usize,
    },
}

/// The turns of a load as time goes by, from when this was made.
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

    /// Waits until it is time to ask for the next. May be cancelled.
    pub(crate) async fn tick(&mut self) {
        self.ticks.tick().await;
    }

    /// How many are due, of which `room` can be had.
    pub(crate) fn due(&mut self, room: usize) -> usize {
        self.pace.due(self.started.elapsed(), room)
    }
}

/// How many turns are due by now.
struct Pace {
    load: Load,
    /// Turns that were released or given up.
    passed: f64,
    /// The time is up.
    over: bool,
}

impl Pace {
    const fn new(load: Load) -> Self {
        Self { load, passed: 0.0, over: false }
    }

    /// Turns due by `elapsed`, of which `room` can be had; more than a second's worth is given up.
    fn due(&mut self, elapsed: Duration, room: usize) -> usize {
        let elapsed = self.load.duration.map_or(elapsed, |duration| elapsed.min(duration));
        let scheduled = self.whole(elapsed);
        self.passed = self.passed.max(scheduled - self.load.rate.ceil());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; saturates"
        )]
        let due = ((scheduled - self.passed) as usize).min(room);
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
