//! The MQTT adapter for devices behind an embedded or remote broker: finds the device by the topic, and passes the
//! payload on without reading it.
//!
//! Promises:
//! - A QoS 1 message is acknowledged when the pipeline has reported its outcome, also a refusal: a bad payload would only
//!   be sent again. Repeated messages are marked as repeated. QoS 2 publishers are received at QoS 1.
//! - A message that several of the configured filters match is one uplink, by the first of them.
//! - A retained message that a remote broker sends after a subscription is accepted, as in Telegraf, unless its payload is
//!   the last one of that topic: a reconnection is not a new reading. After a restart it counts once more.
//!   The embedded broker sends no retained messages to the adapter.
//! - Messages that no filter matches, and zigbee2mqtt's messages without readings, are ignored and not counted.
//! - A command for a device of a network server is published in the format of The Things Stack or ChirpStack.
//! - A slow pipeline slows the broker down; the adapter has no unbounded queue.

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
pub use build::{EmbeddedBroker, embedded_subscriptions};
pub use downlink::NetworkServer;
pub use kind::{Mqtt, MqttTarget, TargetKeys};
pub use mqtt_link::{Captures, InvalidTopicFilter, TopicFilter};
pub use routes::Route;
