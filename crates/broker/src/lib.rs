//! The embedded MQTT broker for the building's own devices, so that sensors need nothing but the gateway.
//!
//! The crate `broker-engine` is the protocol. This crate adds what it needs: sockets (`entrance`, `link`), the disk
//! (`store`), users and permissions (`auth`, `acl`), the gateway's adapters (`tap`), and a `hub` that holds them together.
//!
//! Promises:
//! - MQTT 3.1, 3.1.1 and 5 over TCP, TLS, WebSocket (any path), WebSocket over TLS, and a Unix socket.
//! - [`Broker::start`] opens every address that it can. If an address is taken, the broker starts all the same, tries
//!   the address again until it is free, and reports it with the remedy in the [`Condition`](gateway_core::Condition).
//! - Bounded, in bytes ([`Limits`]): whoever reaches a bound harms only himself, and is named in the log.
//! - A QoS 1 or 2 message is acknowledged when the adapters that subscribe to it have reported its outcome ([`Tap`]) and
//!   when it is written for every kept session that waits for it, and if it is retained. Written means that the
//!   system has it; with `sync_every` zero, the disk.

mod acl;
mod auth;
mod bridge;
mod broker;
pub mod check;
pub mod config;
mod entrance;
mod error;
mod gathering;
mod hub;
mod inbox;
mod link;
mod listeners;
mod log;
mod rate;
mod receive_memory;
mod settings;
mod store;
mod tap;
mod tls;
mod transport;

use std::time::Duration;

/// Of each kind of log line that clients can cause, at most one is written in this time.
const LOG_PERIOD: Duration = Duration::from_secs(1);

pub use acl::{InvalidFilter, covers, validate_filter};
pub use auth::Access;
pub use bridge::BridgeSettings;
pub use broker::{Broker, INTERNAL_CLIENT_PREFIX};
pub use credentials::{InvalidPassword, PasswordSource};
pub use error::BrokerError;
pub use settings::{Limits, Settings, Tls, User};
pub use tap::{LocalAccess, Tap};
pub use tls::Certificates;
