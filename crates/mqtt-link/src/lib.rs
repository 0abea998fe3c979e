//! MQTT connections for adapters and sinks: MQTT 5 and 3.1.1, over TCP, TLS and WebSocket.
//!
//! - [`Subscriber`] receives messages. Its owner acknowledges each one after it has stored it.
//! - [`Publisher`] sends messages at QoS 1. It returns each message's token when the broker has acknowledged it.
//! - [`Duplex`] does both on one connection.
//!
//! All reconnect with growing pauses until they are dropped. None stores messages while it is disconnected: the broker
//! does that for a persistent subscriber, the caller does it for a publisher. A failure that repeats is reported every few
//! minutes only.

mod broker_url;
mod duplex;
mod explain;
mod link;
mod message;
mod options;
mod publisher;
mod session;
pub mod settings;
mod subscriber;
mod suspend;
pub mod tls;
mod topic_filter;
mod v4;
mod v5;
mod watchdog;

pub use broker_url::{BrokerUrl, BrokerUrlError, Scheme};
pub use duplex::{Duplex, DuplexEvent};
pub use link::Refusal;
pub use message::{Message, MessageAck, Topic};
pub use options::{Options, Protocol, Qos, Session, Tls, Will, WillSource};
pub use publisher::{Publisher, PublisherEvent, SubmitError};
pub use session::RefusedFilter;
pub use subscriber::{Event, Subscriber};
pub use topic_filter::{Captures, InvalidTopicFilter, TopicFilter};
