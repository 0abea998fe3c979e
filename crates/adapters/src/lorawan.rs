//! The LoRaWAN adapter: Riser is the network server of devices behind Semtech UDP packet forwarders.
//!
//! Promises:
//! - A confirmed uplink is acknowledged after it is in the journal. An uplink counts once, also if it is repeated after a
//!   restart or a power cut: the journal recognises it by its frame counter.
//! - A join accept or other downlink is sent only after its session is on disk. Counters of uplinks are stored within a
//!   second, and at the stop.
//! - One task owns socket and network; its memory is bounded. SQLite runs on separate threads.
//! - Every refused frame is counted with its reason, those of known devices in the ledger. Keys are never printed.
//! - If the port is taken, the adapter waits for it.

mod adapter;
mod build;
mod check;
mod commands;
pub mod config;
pub mod device;
mod figures;
mod intake;
mod kind;
mod networks;
mod refusals;
mod repair;
mod session_writer;
mod store;

pub use adapter::{KnownDevice, LorawanAdapter, Settings};
pub use kind::{Lorawan, TargetKeys};
pub use networks::{Network, NetworkError};
pub use store::StoreError;
