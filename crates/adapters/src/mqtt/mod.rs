//! Devices behind an MQTT broker, embedded or elsewhere: takes their messages, tells from the topic whose message it is, and hands it over
//! unread.
//!
//! Promises:
//! - QoS 1 messages are acknowledged once the pipeline has told their outcome, whatever it is: a bad payload would only
//!   come again. What is sent again, by a broker elsewhere or to the embedded one, is marked as such. QoS 2 publishers are taken at QoS 1.
//! - A message that several of the configured filters match is one uplink, by the first of them.
//! - A retained message that a broker elsewhere replays when we subscribe is taken, as Telegraf does, unless it is what that
//!   topic brought last: a reconnection is no new reading. After a restart it counts once more.
//!   The embedded broker replays none to us.
//! - What no filter matches, and what zigbee2mqtt says besides readings, is left aside and not counted.
//! - A command for a device of a network server is published where and as The Things Stack or ChirpStack want it.
//! - A slow pipeline slows the broker down; nothing piles up here.

mod adapter;
mod addresses;
mod build;
mod check;
mod commands;
pub mod config;
mod downlink;
mod intake;
mod kind;
mod local;
mod remote;
mod routes;
mod subscriptions;

pub use adapter::{MqttAdapter, Source, subscriptions};
pub use build::{EmbeddedBroker, wanted_of_embedded};
pub use downlink::NetworkServer;
pub use kind::{Mqtt, MqttTarget, TargetKeys};
pub use mqtt_link::{Captures, InvalidTopicFilter, TopicFilter};
pub use routes::Route;
