//! Where results go: the cloud (`[upstream]`), and further sinks (`[sinks.*]`).
//!
//! A kind of sink is a folder that implements [`kind::SinkKind`], and an entry in [`kinds`]. [`runner`] runs it.

pub mod file;
pub mod http;
mod http_client;
pub mod influxdb;
#[cfg(feature = "sink-kafka")]
pub mod kafka;
pub mod kind;
pub mod kinds;
#[cfg(feature = "sink-mongodb")]
pub mod mongodb;
#[cfg(feature = "sink-nats")]
pub mod nats;
#[cfg(any(feature = "sink-mongodb", feature = "sink-postgres"))]
mod newest;
#[cfg(feature = "sink-postgres")]
pub mod postgres;
mod probe;
mod reason;
mod remedy;
pub mod runner;
pub mod sink;
mod sinks;
pub mod upstream;

pub use sinks::{Blueprint, ConfiguredKind, KindInfo, Sinks};
