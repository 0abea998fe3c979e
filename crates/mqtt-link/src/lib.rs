//! One broker connection, for adapters and sinks alike: MQTT 5 and 3.1.1, over TCP, TLS and WebSockets.
//!
//! - [`Subscriber`]: messages in, with acknowledgements given by whoever has made them safe.
//! - [`Publisher`]: messages out at QoS 1, each with a token that comes back when the broker has the message.
//!
//! Both reconnect by themselves, with growing pauses, for as long as they live. Neither keeps messages over a lost
//! connection: the broker does for a persistent subscriber, the caller's own store does for a publisher.
//! Attempts that fail again for the same reason are told every few minutes only.

mod broker_url;
mod explain;
mod link;
mod message;
mod options;
mod patience;
mod publisher;
mod session;
pub mod settings;
mod sleep;
mod subscriber;
pub mod tls;
mod topic_filter;
mod v4;
mod v5;

pub use broker_url::{BrokerUrl, BrokerUrlError, Scheme};
pub use link::Refusal;
pub use message::{Message, MessageAck, Topic};
pub use options::{Options, Protocol, Qos, Session, Tls, Will};
pub use publisher::{Publisher, PublisherEvent, SubmitError};
pub use session::RefusedFilter;
pub use subscriber::{Event, Subscriber};
pub use topic_filter::{Captures, InvalidTopicFilter, TopicFilter};
