//! The embedded MQTT broker for the building's own devices, so that sensors need nothing but the gateway.
//!
//! The `mqtt5` crate implements the protocol, the routing and the sessions on disk. This crate adds the rest: who may
//! connect (`auth`), the listeners and how many clients connect at once (`listener`), what each client may publish and
//! read (`acl`), and an `engine` that wires mqtt5's parts together.
//!
//! Promises:
//! - MQTT 3.1.1 and 5 over TCP, TLS, WebSocket (path `/mqtt`) and WebSocket over TLS; QoS 0 to 2, retained messages,
//!   wills, persistent sessions, `$share`.
//! - [`Broker::start`] opens every address that it can. If an address is taken, the broker starts all the same, tries
//!   the address again until it is free, and reports it with the remedy in the [`Condition`](gateway_core::Condition).
//! - Bounded: clients, packet size, queues, subscriptions, retained messages ([`Limits`]). A stalled handshake delays no
//!   other client, and a flood of connections from outside cannot block the gateway's own commands: they use a
//!   separate loopback listener ([`Broker::internal_address`]).
//! - The gateway's adapters receive the messages they subscribe to ([`Tap`]) before mqtt5 routes them. The client of a
//!   QoS 1 or 2 message is acknowledged when the adapter has reported the outcome; other clients do not wait for it. If
//!   an adapter's queue stays full or it reports no outcome in time, the client's connection is closed without an
//!   acknowledgement, so the client sends again.
//! - QoS 2 is acknowledged like QoS 1: at least once for the adapters, exactly once for subscribers.
//! - QoS 1 messages queued for a disconnected client with a persistent session survive `kill -9`, except those of the
//!   last quarter of a second: mqtt5 keeps them in memory that long, so that a subscriber that acknowledges at once
//!   costs no disk write.

mod acl;
mod auth;
mod broker;
pub mod check;
mod client;
pub mod config;
mod dup_flags;
mod engine;
mod error;
mod listener;
mod listeners;
mod password;
mod settings;
mod tap;

use std::time::Duration;

/// Of each kind of log line that clients can cause, at most one is written in this time.
const LOG_PERIOD: Duration = Duration::from_secs(1);

pub use acl::{InvalidFilter, covers, validate_filter};
pub use auth::Access;
pub use broker::{Broker, INTERNAL_CLIENT_PREFIX};
pub use error::BrokerError;
pub use password::{InvalidPassword, PasswordSource};
pub use settings::{Limits, Settings, Tls, User};
pub use tap::Tap;
