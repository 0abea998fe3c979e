//! The embedded MQTT broker for the building's own devices, so that sensors need nothing but the gateway.
//!
//! The protocol, the routing and the sessions on disk are the `mqtt5` crate's. What stands here is the house around
//! them: who may come in (`auth`), by which doors and how many at once (`door`), what each may publish and read
//! (`acl`), and an `engine` that wires mqtt5's parts together.
//!
//! Promises:
//! - MQTT 3.1.1 and 5 over TCP, TLS, WebSocket (path `/mqtt`) and WebSocket over TLS; QoS 0 to 2, retained messages,
//!   wills, persistent sessions, `$share`.
//! - [`Broker::start`] returns with every address open that can be. One that is taken is no reason not to start: it is
//!   tried again until it is free, and the [`Condition`](gateway_core::Condition) says so, with the remedy.
//! - Bounded: clients, packet size, queues, subscriptions, retained messages ([`Limits`]). A handshake that stalls
//!   holds up nobody else, and a flood of connections from outside never keeps the gateway's own commands out: they
//!   have a loopback door of their own ([`Broker::internal_address`]).
//! - What the gateway's adapters want of a client's messages ([`Tap`]) is theirs before mqtt5 routes it; the client of a
//!   QoS 1 or 2 message is acknowledged when the adapter has told its outcome, and waits alone. Where an adapter has no
//!   room or no outcome for too long, the client's connection ends without an acknowledgement, so it sends again.
//! - QoS 2 is acknowledged like QoS 1: at least once for the adapters, exactly once for subscribers.
//! - A persistent session's QoS 1 messages, queued for a client that is away, survive `kill -9`, except those of the last quarter of a second: that long
//!   mqtt5 keeps them in memory, so that a subscriber who acknowledges at once costs no disk write.

mod acl;
mod auth;
mod broker;
pub mod check;
mod client;
pub mod config;
mod door;
mod engine;
mod error;
mod listeners;
mod password;
mod resent;
mod settings;
mod tap;

use std::time::Duration;

/// Log lines of one kind that clients can cause: at most one in this time.
const LOG_PERIOD: Duration = Duration::from_secs(1);

pub use acl::{InvalidFilter, covers, validate_filter};
pub use broker::{Broker, INTERNAL_CLIENT_PREFIX};
pub use error::BrokerError;
pub use password::{InvalidPassword, PasswordSource};
pub use settings::{Limits, Settings, Tls, User};
pub use tap::Tap;
