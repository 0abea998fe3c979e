//! Devices that speak CoAP, in the clear and over DTLS with pre-shared keys: takes what they report, and answers with
//! the newest values of all devices that the gateway knows, these and others.
//!
//! Promises:
//! - 2.04 leaves once the pipeline has told that a report is in the journal; a report that is refused gets a code and a
//!   text that says why. A slow disk makes an empty acknowledgement and a later answer; a slow pipeline makes 5.03.
//! - A report that comes again (same message) counts once, also where the gateway was started anew in between.
//! - One task owns sockets, sessions and exchanges of the server; another those of the [`client`], which observes
//!   devices and carries commands to them. What they hold is bounded, whatever comes in.
//! - A DTLS identity reports and reads the devices that its `devices` name, and no others. In the clear everybody may.
//! - A port that is taken is waited for; the other listener works meanwhile.

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
pub use names::{Known, Names};
