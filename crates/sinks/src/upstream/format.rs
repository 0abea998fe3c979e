//! What the messages to the cloud look like: `[upstream] format`. A format does no IO: the pump asks it for messages and
//! reports what became of them.

mod fields;
mod json;
mod senml;
mod sparkplug;

use gateway_core::ports::Clock;
use mqtt_link::{Qos, WillSource};
use record::Record;

use super::Settings;
use super::config::Format;

/// A message to publish at QoS 1, not retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// A connection that has just been established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Connection {
    /// The number of the attempt: see [`mqtt_link::Options::will_source`].
    pub(super) attempt: u64,
    /// The newest record that was stored by then.
    pub(super) newest: u64,
}

/// A point in the order of messages at which a format may insert control messages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Point<'a> {
    /// Before everything else.
    First,
    /// No alert waits; aggregates may.
    BeforeAggregates,
    /// Immediately before the message of this record.
    Before(&'a Record),
    /// No record waits.
    Idle,
}

/// One format. Every control message and every [`Encoder::data`] that was accepted for sending is followed by
/// [`Encoder::submitted`].
pub(super) trait Encoder: Send + Sync {
    /// What to subscribe to, on the connection that publishes.
    fn subscriptions(&self) -> Vec<(String, Qos)> {
        Vec::new()
    }

    /// Replaces the last will with the status `offline`.
    fn will(&self) -> Option<WillSource> {
        None
    }

    fn connected(&mut self, _connection: Connection) {}

    /// A message on one of the subscriptions. It comes from outside.
    fn received(&mut self, _topic: &str, _payload: &[u8]) {}

    /// The next control message at this point. The same one again until [`Self::submitted`] or [`Self::skipped`].
    fn control(&mut self, _point: Point<'_>, _clock: &dyn Clock) -> Option<Outgoing> {
        None
    }

    /// The message of a record. `number` is its `seq`.
    fn data(&mut self, record: &Record, number: u64, clock: &dyn Clock) -> Outgoing;

    /// The message that was returned last is being sent.
    fn submitted(&mut self) {}

    /// The control message that was returned last can never be sent.
    fn skipped(&mut self) {}

    /// The last message before a planned end of the connection.
    fn farewell(&self, _clock: &dyn Clock) -> Option<Outgoing> {
        None
    }
}

/// The encoder of the configured format.
pub(super) fn encoder(settings: &Settings, clock: &dyn Clock) -> Box<dyn Encoder> {
    match settings.format {
        Format::Json => Box::new(json::Json::new(&settings.prefix)),
        Format::Senml => Box::new(senml::Senml::new(&settings.prefix)),
        Format::Sparkplug => {
            Box::new(sparkplug::Sparkplug::new(&settings.prefix, &settings.gateway, clock.now()))
        }
    }
}
