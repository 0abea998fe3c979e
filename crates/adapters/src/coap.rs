//! The CoAP adapter, over UDP and over DTLS with pre-shared keys: accepts reports of devices, and answers requests for the
//! newest values of all devices of the gateway.
//!
//! Promises:
//! - 2.04 is sent after a report is in the journal; a refused report gets an error code and a text with the reason. If the
//!   disk is slow, an empty acknowledgement is sent first and the answer later; if the pipeline is full, 5.03.
//! - A repeated report (the same message) counts once, also if the gateway was restarted in between.
//! - One task owns sockets, sessions and exchanges of the server; another those of the [`client`], which observes
//!   devices and sends commands to them. The memory of both is bounded.
//! - A DTLS identity may report and read only the devices in its `devices`. Clients without DTLS may use all devices.
//! - If a port is taken, the adapter waits for it; the other listener works meanwhile.

mod access;
mod adapter;
mod build;
mod build_client;
mod check;
mod check_client;
pub mod client;
pub mod config;
mod figures;
mod formats;
mod intake;
pub mod key;
mod kind;
mod names;
mod observed;
mod outcomes;
mod resource;
mod server;
mod socket;
mod views;

pub use access::Holder;
pub use adapter::{CoapAdapter, Settings};
pub use formats::Codecs;
pub use kind::{Coap, CommandFormat, CommandMethod, Resource, TargetKeys};
pub use names::{ConfiguredDevice, Names};
